"""The strip that tells the person what to do next (`rows/next_steps.py`).

It is as high as its lines, and hidden when there are none.
"""

from textual.strip import Strip
from typing_extensions import override

from flux_tui.ui.rows.view_and_lines import Line
from flux_tui.ui.widgets.line_strips import LineStrip


class NextStepsStrip(LineStrip):
    """A strip that shows any number of lines about what to do next."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: list[Line] = []

    def tell(self, lines: list[Line]) -> None:
        """Replace the lines of this strip. An empty list hides it."""
        if lines == self._lines:
            return
        if len(lines) != len(self._lines):
            self.styles.height = len(lines)
            self.display = bool(lines)
        self._lines = lines
        self.refresh()

    @override
    def render_line(self, y: int) -> Strip:
        return self.drawn(self._lines[y] if y < len(self._lines) else [])
