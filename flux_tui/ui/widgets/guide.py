"""The strip that says what to do next (guide.py): as high as what it says, not there when it says nothing."""

from textual.strip import Strip

from flux_tui.ui.rows.view import Line
from flux_tui.ui.widgets.strips import LineStrip


class GuideStrip(LineStrip):
    """Some lines."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._lines: list[Line] = []

    def tell(self, lines: list[Line]) -> None:
        """Replace the lines."""
        if lines == self._lines:
            return
        if len(lines) != len(self._lines):
            self.styles.height = len(lines)
            self.display = bool(lines)
        self._lines = lines
        self.refresh()

    def render_line(self, y: int) -> Strip:
        return self.drawn(self._lines[y] if y < len(self._lines) else [])
