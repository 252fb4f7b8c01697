r"""Makes text from other nodes, files and people safe to show. Pure.

Names, reasons, addresses, paths, error messages and typed values can contain characters that control a
terminal, change the writing direction, or are invisible. `plain` writes each of them out (`\\x1b`, `\\u202e`,
`\\n`). So a path can still be recognised, and two different names look different. The result has its own
type: every function that shows text takes `Plain`, and mypy finds a caller that forgot to call `plain`.

JSON, the clipboard, completion and pipes carry the exact text. They do not use this module.
"""

import re
from typing import NewType

Plain = NewType("Plain", str)
"""Text that can be shown: one line, every character visible, no instructions to a terminal."""

MARKS = 4
"""Combining marks that a letter may carry. More of them would be drawn over the lines above and below."""
_INVISIBLE = (
    "\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0"
    "\U0001d159\U000e0100-\U000e01ef"
)
"""Letters and marks that show nothing: joiners, fillers, blanks, and variation selectors. Terminals also
disagree about their width."""
_COMBINING = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u0610-\u061a\u064b-\u065f\u06d6-\u06dc\u06df-\u06e4\u06e7-\u06ed"
    "\u0e31\u0e34-\u0e3a\u0e47-\u0e4e\u0eb1\u0eb4-\u0ebc\u0ec8-\u0ece\u1ab0-\u1ace\u1dc0-\u1dff\u20d0-\u20f0"
    "\u302a-\u302d\u3099\u309a\ua66f-\ua672\ufe20-\ufe2f"
)
_HIDDEN = f"[{_INVISIBLE}]|(?<=[{_COMBINING}]{{{MARKS}}})[{_COMBINING}]"
"""Invisible characters that `str.isprintable` accepts."""
_SUSPECT = re.compile(f"[{_INVISIBLE}{_COMBINING}]")
"""If none of these is in a text, `_HIDDEN` finds nothing. This check is four times as fast."""
_SPACES = frozenset(
    "\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
)
"""Spaces that have a width, but that `str.isprintable` treats as separators."""
_SHORT = {"\t": "\\t", "\n": "\\n", "\r": "\\r"}


def plain(text: str) -> Plain:
    """Return the text on one line, with every control character and invisible character written out.

    Plain text is returned as it is.

    These are written out: control characters (C0, DEL, C1); line and paragraph separators; characters without
    width, and those that change the writing direction (Unicode's format characters, tags, joiners, variation
    selectors); combining marks after the first MARKS in a row; surrogates; private and unassigned characters,
    whose width is unknown.
    """
    if text.isascii() and text.isprintable():
        return Plain(text)
    if not text.isprintable():
        text = "".join(one if one.isprintable() or one in _SPACES else _written_out(one) for one in text)
    if _SUSPECT.search(text) is None:
        return Plain(text)
    return Plain(re.sub(_HIDDEN, lambda found: _written_out(found[0]), text))


def plain_lines(*lines: str) -> Plain:
    """Join several lines, each made safe by `plain`, with line breaks between them.

    A line break inside one of the lines is written out like any other control character.
    """
    return Plain("\n".join(map(plain, lines)))


def plain_in_place(text: str) -> Plain:
    """Return the text with a single `�` in place of each character that `plain` would write out.

    So the positions of characters stay the same, as an input field needs. Combining marks are never replaced.
    """
    shown = plain(text)
    if shown == text:
        return shown
    return Plain("".join("\ufffd" if plain(one) != one else one for one in text))


def _written_out(character: str) -> str:
    """Return the escape sequence by which Python writes this character in a string."""
    number = ord(character)
    if character in _SHORT:
        return _SHORT[character]
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"
