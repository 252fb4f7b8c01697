"""Words that somebody pasted: what mail, chat and word processors put into and around them is taken away. Pure.

A ticket that was sent by mail comes back in lines of 76 characters, each behind a `> `; in quotation marks or angle
brackets; with marks of the direction of writing, or spaces of no width. None of that can be part of a ticket, a CID
or an address.
"""

import re
import unicodedata

_UNSEEN = re.compile(
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
"""What has no width: controls that are no space, hyphens that are not shown, joiners, marks of direction, selectors."""
_QUOTED = re.compile(r"^[\s>]+")
"""How mail marks a line of somebody else's."""
AROUND = "<>()[]{}\"'`“”„‟‘’‚‛«»‹›「」『』*_~|,.;:!?="  # noqa: RUF001
"""What stands around a word, and is none of its letters."""


def pasted_words(text: str) -> list[str]:
    """The words of a text, without what is around them; a line of mail is the same as one that was typed."""
    lines = (_QUOTED.sub("", line) for line in text.splitlines())
    return [bare for line in lines for word in line.split() if (bare := bare_word(word))]


def bare_word(word: str) -> str:
    """A word without what cannot be seen in it, and what stands around it; letters of other shapes as the usual ones
    (a word processor makes one letter of `fl`)."""
    return unicodedata.normalize("NFKC", _UNSEEN.sub("", word).strip(AROUND)).strip(AROUND)
