"""The Flow panel: left and right go from mark to mark in the selected lane, with the cursor in time."""

from typing import ClassVar

from textual.binding import Binding, BindingType

from flux_tui.ui.widgets.lines_panel import LinesPanel


class FlowPanel(LinesPanel):
    """A panel of lanes over time."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.do('mark-back')", "The mark before", show=False),
        Binding("right,l", "app.do('mark-forward')", "The next mark", show=False),
    ]
