"""For a terminal that shows no more than ASCII: what is drawn is translated on its way out, so that no text,
ours or Textual's, has to know of it."""

from rich.segment import Segment
from textual.color import Color
from textual.filter import LineFilter

_SIGNS = {
    "…": "~", "→": ">", "←": "<", "·": "-", "×": "x", "•": "*", "–": "-", "—": "-", "↑": "^", "↓": "v",  # noqa: RUF001
    "▼": "v", "▶": ">", "▲": "^", "◆": "+", "●": "*", "○": "o", "✓": "*", "✗": "!", "❚": "|",
    "│": "|", "║": "|", "─": "-", "═": "-", "├": "|", "└": "`", "┌": ".", "╰": "`", "╭": ".", "┐": ".", "┘": "'",
    "▔": "-", "▁": "_", "▏": "|", "▎": "|", "▊": "|", "▌": "|", "▐": "|", "█": "#", "▄": "_", "▀": "-",
    "▂": "_", "▃": "_", "▅": " ", "▆": " ", "▇": " ",
    "📁": "[]", "📂": "[]", "📄": "--", "🔎": "/ ", "\u00a0": " ",
}  # fmt: skip
"""As wide as what they stand for."""
_TABLE = str.maketrans(_SIGNS)


class AsciiFilter(LineFilter):
    """Signs of the dashboard and of Textual's widgets as ASCII; a name that a person gave stays as it is."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        return [
            segment if segment.text.isascii() else Segment(segment.text.translate(_TABLE), segment.style)
            for segment in segments
        ]
