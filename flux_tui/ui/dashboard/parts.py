"""Makes the parts of a dashboard, one after the other. Each part is given the parts that it needs."""

from collections.abc import Callable, Iterable
from typing import Protocol

from textual.screen import Screen

from flux_tui.config import NoticeBy
from flux_tui.ui.actions.caption_display import Story
from flux_tui.ui.actions.command_sender import CommandSender
from flux_tui.ui.actions.completion_context import Completion
from flux_tui.ui.actions.copy_and_screenshot import Copying
from flux_tui.ui.actions.display_actions import DisplayActions
from flux_tui.ui.actions.filtering import Filtering
from flux_tui.ui.actions.in_panels.flow_actions import FlowActions
from flux_tui.ui.actions.in_panels.object_actions import ObjectActions
from flux_tui.ui.actions.inspecting import Inspecting
from flux_tui.ui.actions.leaving import Leaving
from flux_tui.ui.actions.node_switch import NodeSwitch
from flux_tui.ui.actions.prompt_lines import CommandLine
from flux_tui.ui.actions.selected_objects import SelectedObjects
from flux_tui.ui.actions.sorting import Sorting
from flux_tui.ui.actions.want_and_add import WantAndAdd
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
        flow = FlowFeed(nodes)
        objects = ObjectsFeed(nodes)
        self.panels = Panels(nodes, self.views, flow, objects, keys, laid_out=self._laid_out)
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

        # What keys do.
        self.switch = NodeSwitch(
            nodes, self.liveness, self.playback, self.panels, notify=app.notify, changed=self._tick
        )
        self.story = Story(
            self.narration,
            caption,
            nodes,
            self.switch,
            self.panels,
            flow,
            busy=lambda: self.covered,
            changed=self._tick,
            leave=lambda: app.leave(False),
        )
        self.leaving = Leaving(nodes, self.views, keys, open_window=app.open_window, leave=app.leave)
        self.sender = CommandSender(nodes, self.liveness, notify=app.notify, sent=self._tick_soon)
        self.want_and_add = WantAndAdd(
            nodes, self.views, self.sender, keys, notify=app.notify, open_window=app.open_window
        )
        self.flow = FlowActions(flow, self.panels, self.playback, notify=app.notify, changed=self._draw)
        self.objects = ObjectActions(objects, self.panels, notify=app.notify, changed=self._draw)
        self.sorting = Sorting(self.views, self.panels, notify=app.notify, changed=self._draw)
        self.completion = Completion(
            nodes, self.views, self.panels, self.sorting, themes=lambda: app.theme_names
        )
        self.filtering = Filtering(
            self.panels, self.prompt, self.completion, keys, notify=app.notify, changed=self._draw
        )
        self.command_line = CommandLine(
            nodes, self.prompt, self.completion, self.sender, self.playback, self.panels, self.filtering,
            self.sorting, notify=app.notify, run=app.action_do, set_theme=app.set_theme, changed=self._draw,
        )  # fmt: skip
        self.selected_objects = SelectedObjects(
            nodes, self.views, self.panels, self.sender, keys, notify=app.notify,
            open_window=app.open_window, type_command=self.command_line.open, changed=self._draw,
        )  # fmt: skip
        self.display = DisplayActions(
            self.views, self.panels, flow, self.filtering, self.prompt, notify=app.notify,
            clear_notices=app.clear_notifications, changed=self._draw,
        )  # fmt: skip
        self.copying = Copying(
            nodes, self.views, self.panels, keys, notify=app.notify, to_terminal=app.copy_to_clipboard,
            save_picture=app.save_screenshot, width=lambda: app.columns, height=lambda: app.lines,
            open_window=app.open_window,
        )  # fmt: skip
        self.inspecting = Inspecting(
            nodes, self.views, self.playback, self.panels, flow, open_window=app.open_window,
            copy=self.copying.copy, type_command=self.command_line.open,
        )  # fmt: skip

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
