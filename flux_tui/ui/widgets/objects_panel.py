"""The Objects panel. The left and right arrow keys change the tab.

Details are shown below the selected object at once.
"""

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.message import Message
from typing_extensions import override

from flux_tui.core.text.plain import Plain
from flux_tui.ui.rows.view_and_lines import Row
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import NOTHING


class ObjectsPanel(LinesPanel):
    """A panel of objects, with lines of details below the selected object."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.do('previous-tab')", "The tab before", show=False),
        Binding("right,l", "app.do('next-tab')", "The next tab", show=False),
    ]

    class Unfolds(Message):
        """Message: another line is selected, so the details of its object have to be shown below it."""

    _showing = False

    @override
    def show(self, rows: list[Row], note: Plain = NOTHING) -> None:
        self._showing = True
        super().show(rows, note)
        self._showing = False

    @override
    def select_index(self, index: int) -> None:
        before = self.selected
        super().select_index(index)
        if self.selected != before and not self._showing:
            self.post_message(self.Unfolds())

    def reveal_selected(self) -> None:
        """Scroll until the selected line and the lines below it are visible.

        If they do not all fit, the selected line is the top line of the panel.
        """
        at = end = self.selected_index()
        if at < 0:
            return
        while end + 1 < len(self.rows) and self.rows[end + 1].key.startswith(f"{self.selected}/"):
            end += 1
        top, height = int(self.scroll_offset.y), max(1, self.size.height)
        if at >= top and end < top + height:
            return
        y = at if at < top else min(at, end - height + 1)
        self.scroll_to(y=0 if y == 1 else y, animate=False, force=True)
