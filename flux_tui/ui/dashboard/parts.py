"""Makes the parts of a dashboard, one after the other. Each part is given the parts that it needs."""

from collections.abc import Callable, Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol

from textual.screen import Screen

from flux_tui.config import NoticeBy
from flux_tui.ui.actions.caption_display import Story
from flux_tui.ui.actions.node_switch import NodeSwitch
from flux_tui.ui.board.key_sequence import KeySequence
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.board.screen_tree import ScreenTree
from flux_tui.ui.board.status_lines import StatusLines
from flux_tui.ui.board.timeline_strip import TimelineStrip
from flux_tui.ui.dashboard.ticker import TickedApp, Ticker
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.screens.open_window_protocol import Answer
from flux_tui.ui.watching.captions import Narrator
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.object_whole_notices import WholeNotices
from flux_tui.ui.watching.objects_feed import ObjectsFeed
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.story_position import Narration
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.prompt import History, Prompt

if TYPE_CHECKING:
    from flux_tui.ui.dashboard.acting_parts import ActingParts

SOON = 0.05
"""Seconds until the dashboard looks for the outcome of a command in the series."""


class Host(TickedApp, Protocol):
    """The methods of the app that the parts of the dashboard use."""

    @property
    def notify(self) -> Notify:
        """The function that shows a notice to the person."""

    @property
    def theme_names(self) -> Iterable[str]:
        """The names of all themes (sets of colours)."""

    @property
    def lines(self) -> int:
        """The height of the terminal, in lines."""

    def clear_notifications(self) -> None:
        """Remove the notice that is shown."""

    def call_after_layout(self, call: Callable[[], None]) -> None:
        """Call a function once, when the widgets have their new sizes."""

    def open_window(self, window: Screen[Answer], then: Callable[[Answer | None], None]) -> None:
        """Open a window over the panels and over other windows.

        When it closes, `then` gets its answer, or None.
        """

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text to the clipboard through the terminal."""

    def bell(self) -> None:
        """Ring the terminal's bell."""

    def write_to_terminal(self, sequence: str) -> None:
        """Write a control sequence to the terminal. The sequence must change nothing on the screen."""

    def save_screenshot(self, filename: str) -> str:
        """Save a picture of the screen (SVG) under this file name. Return its path."""

    def set_theme(self, name: str) -> None:
        """Set the colours of the dashboard. `name`: the name of a theme."""

    def leave(self, stays: bool) -> None:
        """End the dashboard. `stays`: whether the node keeps running afterwards."""

    def action_do(self, name: str) -> None:
        """Run the action with this name in the table of keys."""


class Parts:
    """All parts of one dashboard. Each part owns its state, and knows only parts that were made before it."""

    def __init__(
        self,
        app: Host,
        nodes: Nodes,
        keys: Keys,
        glyphs: Glyphs,
        clock: Callable[[], float],
        *,
        seconds: float,
        narrator: Narrator | None,
        masked: bool,
        history: History | None,
        notice_by: NoticeBy,
    ) -> None:
        """Make the parts. `seconds`: the time between two ticks. `clock`: returns seconds since 1970.

        `narrator`: tells a narrated demo; None: there is no demo. `masked`: begin with hidden ids. `history`:
        the lines typed before; None: begin without any. `notice_by`: how the person is told of whole objects
        outside of the panels.
        """
        self._app = app
        self._keys = keys

        # What is watched. Nothing of this knows Textual.
        self.nodes = nodes
        self.narration = Narration(narrator)
        self.liveness = Liveness(
            nodes,
            seconds=seconds / 2,
            often=self.narration.active,
            restart_key=keys.shown(keys.named("restart")),
        )
        self.playback = Playback(
            nodes, self.liveness, clock, times_sign=glyphs.times, notify=app.notify,
            moved=self._cursor_moved, changed=self._draw, live=self._cursor_is_live,
        )  # fmt: skip
        self.views = Views(nodes, self.liveness, self.playback, glyphs, masked=masked)

        # What is on the screen.
        self.flow_feed = FlowFeed(nodes)
        self.objects_feed = ObjectsFeed(nodes)
        self.panels = Panels(
            nodes, self.views, self.flow_feed, self.objects_feed, keys, laid_out=self._laid_out
        )
        self.prompt = Prompt(history, masked=masked, covers=app.clear_notifications, id="prompt")
        self.sequence = KeySequence(keys, changed=self._draw_footer)
        self.lines = StatusLines(
            nodes, self.liveness, self.playback, self.views, self.narration, self.panels, keys, self.sequence
        )
        self.timeline = TimelineStrip(nodes, self.liveness, self.playback, self.views, changed=self._draw)
        caption = CaptionStrip(keys, glyphs, id="caption")
        self.screen_tree = ScreenTree(
            self.panels, self.lines, self.timeline, self.prompt, caption if self.narration.active else None
        )

        # What a narrated demo shows.
        self.switch = NodeSwitch(
            nodes, self.liveness, self.playback, self.panels, notify=app.notify, changed=self._tick
        )
        self.story = Story(
            self.narration,
            caption,
            nodes,
            self.switch,
            self.panels,
            self.flow_feed,
            busy=lambda: self.covered,
            changed=self._tick,
            leave=lambda: app.leave(False),
        )

        # When entries are read and frames are drawn.
        whole = WholeNotices(
            nodes,
            self.views,
            notice_by,
            quiet=self.narration.active,
            notify=app.notify,
            ring=app.bell,
            to_terminal=app.write_to_terminal,
        )
        self.ticker = Ticker(
            app, nodes, self.liveness, self.playback, self.views, self.narration, self.panels, self.lines,
            self.timeline, self.story, whole, seconds=seconds,
        )  # fmt: skip

    @cached_property
    def acting(self) -> "ActingParts":
        """The parts that act on keys, clicks and typed lines.

        They are made when the first of them is needed: the first frame does not wait for their modules.
        """
        from flux_tui.ui.dashboard.acting_parts import ActingParts

        return ActingParts(self._app, self, self._keys, changed=self._draw, sent=self._tick_soon)

    @property
    def covered(self) -> bool:
        """Whether a window or the prompt is open over the panels."""
        return len(self._app.screen_stack) > 1 or bool(self.prompt.kind)

    # ── what follows from a change of a part ────────────────────────────────────────────────────

    def _draw(self) -> None:
        self.ticker.draw()

    def _draw_footer(self) -> None:
        self.ticker.draw_footer()

    def _tick(self) -> None:
        self.ticker.tick()

    def _tick_soon(self) -> None:
        self._app.call_in(SOON, self.ticker.tick)

    def _laid_out(self) -> None:
        self._app.call_after_layout(self.ticker.draw)

    def _cursor_moved(self) -> None:
        self.panels.series.follow()
        self.ticker.draw()

    def _cursor_is_live(self) -> None:
        self.panels.series.follow()
        self.ticker.tick()
