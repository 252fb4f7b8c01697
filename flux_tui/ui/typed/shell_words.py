"""Splits a line into words, and quotes words, as a shell does."""

import re
import shlex

from flux_tui.core.content.ticket import PREFIX
from flux_tui.ui.typed.command_line_types import LineError

OPTIONS = ("--replicas",)
"""Options that are completed with a space after them."""
_SPECIAL = r"[^\w@%+=:,./~…\-]"
"""Characters that need a backslash in a shell."""


def arguments_of(rest: str) -> list[str]:
    """Split a line into words as a shell does. Raise LineError if a quotation mark is not closed.

    If the line has a ticket, an open quotation mark is taken as pasted with it: the line is split at spaces.
    """
    try:
        return shlex.split(rest)
    except ValueError:
        if PREFIX in rest.lower():
            return rest.split()  # the quotation mark was copied together with the ticket
        raise LineError("a quotation mark is open") from None


def last_argument(rest: str) -> tuple[str, str]:
    """Split a line at its last word. Return the part before the word, and the word without quotation marks.

    Backslashes are removed from the word, too.
    """
    start, word, quote, at = 0, "", "", 0
    while at < len(rest):
        one = rest[at]
        if one == "\\" and quote != "'" and at + 1 < len(rest):
            at += 1
            word += rest[at]
        elif one == quote:
            quote = ""
        elif quote:
            word += one
        elif one in "'\"":
            quote = one
        elif one.isspace():
            start, word = at + 1, ""
        else:
            word += one
        at += 1
    return rest[:start], word


def quoted(word: str) -> str:
    """Quote a word for the command line: put a backslash before each special character.

    Options, such as `--replicas `, keep the space at their end.
    """
    return word if word.rstrip(" ") in OPTIONS else re.sub(_SPECIAL, r"\\\g<0>", word)


def split_last(rest: str) -> tuple[str, str]:
    """Split a line at its last space. Return the part up to the space, and the last word.

    A space between quotation marks counts, too.
    """
    head, space, last = rest.rpartition(" ")
    return head + space, last
