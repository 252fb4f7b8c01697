"""Replaces Unicode signs by ASCII when a line is drawn, for terminals that show nothing else.

It works on the finished line. So no other code, ours or Textual's, has to know about it.
"""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter
from typing_extensions import override

_SIGNS = {
    "…": "~", "→": ">", "←": "<", "·": "-", "×": "x", "•": "*", "–": "-", "—": "-", "↑": "^", "↓": "v",  # noqa: RUF001
    "▼": "v", "▶": ">", "▲": "^", "◆": "+", "●": "*", "○": "o", "✓": "*", "✗": "!", "❚": "|",
    "│": "|", "║": "|", "─": "-", "═": "-", "├": "|", "└": "`", "┌": ".", "╰": "`", "┐": ".", "┘": "'",
    "╭": ".", "╮": ".", "╯": "'",
    "▔": "-", "▁": "_", "▏": "|", "▎": "|", "▊": "|", "▌": "|", "▐": "|", "█": "#", "▄": "_", "▀": "-",
    "▂": "_", "▃": "_", "▅": " ", "▆": " ", "▇": " ",
    "📁": "[]", "📂": "[]", "📄": "--", "🔎": "/ ", "\u00a0": " ",
}  # fmt: skip
"""Each replacement is as wide as the sign that it replaces."""
_TABLE = str.maketrans(_SIGNS)


class AsciiFilter(LineFilter):
    """A line filter that replaces the signs of the dashboard and of Textual's widgets by ASCII.

    Letters in names that people gave stay as they are.
    """

    @override
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]
