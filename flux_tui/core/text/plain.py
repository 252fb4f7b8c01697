"""Text from elsewhere, made safe to show. Pure.

Names, reasons, addresses, paths, error messages and typed values can hold characters that steer a terminal, turn
the direction of writing, or cannot be seen. `plain` writes each of them out (`\\x1b`, `\\u202e`, `\\n`), so that a
path can still be recognised, and two names that differ look different. What it returns has a type of its own:
every function that shows text takes `Plain`, and mypy finds a caller that did not ask for it.

JSON, the clipboard, completion and pipes carry the exact text instead; they do not go through here.
"""

import re
from typing import NewType

Plain = NewType("Plain", str)
"""Text that can be shown: on one line, every character visible, none of them an instruction to a terminal."""

MARKS = 4
"""Combining marks that a letter may carry; more of them are drawn over the lines above and below."""
_INVISIBLE = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef"
)
"""Letters and marks that leave nothing to see: joiners, fillers, blanks, and the selectors of a variant. Terminals
disagree about their width, too."""
_COMBINING = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u06df-\u06e4\u06e7-\u06ed"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u1ab0-\u1ace\u1dc0-\u1dff\u20d0-\u20f0"
    "\u302a-\u302d\u3099\u309a\ua66f-\ua672\ufe20-\ufe2f"
)
_HIDDEN = re.compile(f"[{_INVISIBLE}]|(?<=[{_COMBINING}]{{{MARKS}}})[{_COMBINING}]")
"""What `str.isprintable` lets through, and is not to be seen."""
_SUSPECT = re.compile(f"[{_INVISIBLE}{_COMBINING}]")
"""Without one of these, `_HIDDEN` finds nothing: four times as quick."""
_SPACES = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
"""Spaces that have a width, which `str.isprintable` takes for separators."""
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def plain(text: str) -> Plain:
    """The text on one line, with every character that steers or hides written out. Of plain text: itself.

    Written out are control characters (C0, DEL, C1), line and paragraph separators, whatever has no width or turns
    the direction of writing (Unicode's format characters, tags, joiners, variation selectors), halves of characters,
    and characters that are private or not assigned, whose width nobody knows.
    """
    if text.isascii() and text.isprintable():
        return Plain(text)
    if not text.isprintable():
        text = "".join(one if one.isprintable() or one in _SPACES else _written_out(one) for one in text)
    if _SUSPECT.search(text) is None:
        return Plain(text)
    return Plain(_HIDDEN.sub(lambda found: _written_out(found[0]), text))


def plain_lines(*lines: str) -> Plain:
    """A text of several lines, each of them plain. A line end within one is written out like anything else."""
    return Plain("\n".join(map(plain, lines)))


def plain_in_place(text: str) -> Plain:
    """The same, with `�` for each such character: where places in the text are counted, as in a field for typing."""
    shown = plain(text)
    if shown == text:
        return shown
    return Plain("".join("\ufffd" if plain(one) != one else one for one in text))


def _written_out(character: str) -> str:
    """As Python writes it in a string."""
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
