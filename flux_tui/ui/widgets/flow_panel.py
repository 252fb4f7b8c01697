"""The Flow panel.

The left and right arrow keys move the cursor in time from message to message of the selected peer.
"""

from typing import ClassVar

from textual.binding import Binding, BindingType

from flux_tui.ui.widgets.lines_panel import LinesPanel


class FlowPanel(LinesPanel):
    """A panel with a lane (line over time) for each peer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h", "app.do('mark-back')", "The mark before", show=False),
        Binding("right,l", "app.do('mark-forward')", "The next mark", show=False),
    ]
