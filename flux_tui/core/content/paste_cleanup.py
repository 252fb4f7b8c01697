"""Pasted words: remove the characters that mail, chat and word processors add to them. Pure.

A ticket that was sent by mail comes back in lines of 76 characters, each after a `> `. It may be in quotation
marks or angle brackets, or contain direction marks or zero-width characters. None of these can be part of a
ticket, a CID or an address.
"""

import re
import unicodedata

_UNSEEN = (
    r"[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u00ad\u034f\u061c\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    r"\ufe00-\ufe0f\ufeff\U000e0000-\U000e01ef]"
)
"""Characters without width: control characters that are not spaces, soft hyphens, joiners, direction marks,
variation selectors."""
_QUOTED = r"^[\s>]+"
"""How mail marks quoted lines."""
AROUND = "<>()[]{}\"'`“”„‟‘’‚‛«»‹›「」『』*_~|,.;:!?="  # noqa: RUF001
"""Characters that may stand around a word and are not part of it."""


def pasted_words(text: str) -> list[str]:
    """Return the words of a text without added characters around or inside them.

    A quoted line of mail gives the same words as a typed line.
    """
    lines = (re.sub(_QUOTED, "", line) for line in text.splitlines())
    return [bare for line in lines for word in line.split() if (bare := bare_word(word))]


def bare_word(word: str) -> str:
    """Return a word without invisible characters in it and without punctuation around it.

    Compatibility letters become the usual ones: a word processor may write `fl` as one letter.
    """
    return unicodedata.normalize("NFKC", re.sub(_UNSEEN, "", word).strip(AROUND)).strip(AROUND)
