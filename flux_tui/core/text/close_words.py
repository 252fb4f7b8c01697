"""Finds the word that a person probably meant. Pure."""

from collections.abc import Iterable
from itertools import islice

from flux_tui.core.text.plain import plain

LOOKED_AT = 1_000
"""Words that are compared."""
MAX_LENGTH = 80
"""Characters of a word that is compared at all."""


def did_you_mean(typed: str, known: Iterable[str]) -> str:
    """Return the end of a sentence about a word that is not known: `; did you mean X?`, or nothing.

    `known`: the words that would have been right. Upper and lower case are alike.
    """
    if len(typed) > MAX_LENGTH:
        return ""
    from difflib import get_close_matches  # takes 3 ms, and only a mistake needs it

    by_key = {word.casefold(): word for word in islice(known, LOOKED_AT) if len(word) <= MAX_LENGTH}
    found = get_close_matches(typed.casefold(), by_key, n=2, cutoff=0.7)
    return f"; did you mean {plain(' or '.join(by_key[key] for key in found))}?" if found else ""
