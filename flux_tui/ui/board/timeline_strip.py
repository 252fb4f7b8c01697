"""The timeline under the panels: which period it shows, and which moment each of its columns stands for."""

from collections.abc import Callable

from flux_tui.ui.rows.timeline import Timeline
from flux_tui.ui.rows.view_and_lines import span
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.line_strips import TimeStrip

LABEL_WIDTH = 80
"""From this many columns, the timeline says which period it shows."""


class TimelineStrip:
    """Draws the timeline. For each node, it keeps the period of time that a person chose.

    `changed` is called when another period was chosen.
    """

    def __init__(
        self,
        nodes: Nodes,
        liveness: Liveness,
        playback: Playback,
        views: Views,
        *,
        changed: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._playback = playback
        self._views = views
        self._changed = changed
        self._timelines = {node.title: Timeline(node.source, whole=node.recording) for node in nodes.all}
        self.widget = TimeStrip(id="timeline")

    @property
    def _timeline(self) -> Timeline:
        return self._timelines[self._nodes.shown.title]

    def wider(self, by: int) -> None:
        """Show a longer (1) or shorter (-1) period of time in the timeline."""
        self._timeline.wider(by)
        self._changed()

    def go_to_column(self, column: int) -> None:
        """Freeze the cursor at the moment that a column of the timeline stands for.

        `column`: the terminal's column, counted from 0.
        """
        self._playback.go_to_time(self._timeline.at(column - len(self._label(self.widget.size.width))))

    def draw(self, width: int) -> None:
        """Draw the timeline, `width` columns wide."""
        label = self._label(width)
        end = " now " if width >= LABEL_WIDTH and not self._playback.frozen and self._liveness.alive else " "
        room = max(10, width - len(label) - len(end))
        line = self._timeline.line(self._playback.now, room, self._views.glyphs)
        self.widget.show([span(label, "dim"), *line, span(end, "dim")])

    def _label(self, width: int) -> str:
        return f" {self._timeline.words} " if width >= LABEL_WIDTH else " "
