"""The parts of the board: its widgets and their layout, the place it shows, and the view of that place."""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from textual.app import App, ComposeResult
from textual.containers import Container
from textual.filter import ANSIToTruecolor, LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widget import Widget

from flux_tui.core.ids import is_text
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import plain
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows.empty_panel import empty_words
from flux_tui.ui.rows.glyphs import Glyphs, for_this_terminal
from flux_tui.ui.rows.peers import TABLES
from flux_tui.ui.rows.timeline import Timeline
from flux_tui.ui.rows.view import Sort, Times, View
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.filter import Filter
from flux_tui.ui.watching.narrator import Narrator
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets.ascii_filter import AsciiFilter
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.next_steps_strip import NextStepsStrip
from flux_tui.ui.widgets.one_line import Keybar, LineStrip, Tabs, TimeStrip
from flux_tui.ui.widgets.panel_layout import PANELS, SCREEN, SHORT_TITLES, TITLES, fit, shape
from flux_tui.ui.widgets.plain_text import Guard, PlainText
from flux_tui.ui.widgets.prompt import Prompt
from flux_tui.ui.widgets.series_panel import SeriesPanel

REMOTE = bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
TICK_SECONDS = 0.5 if REMOTE else 0.25
"""The interval of the one ticker for all panels. It is longer over SSH."""
ASCII = AsciiFilter()
GUARD = Guard()
Part = TypeVar("Part", bound=Widget)


class Frame(App[bool]):
    """The widgets over one place. The subclasses decide what they show."""

    CSS_PATH = "styles/app.tcss"
    TITLE = "flux-tui"
    ENABLE_COMMAND_PALETTE = True
    animation_level = "none"

    def __init__(
        self,
        place: WatchedNode,
        *,
        others: Sequence[WatchedNode] = (),
        narrator: Narrator | None = None,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs | None = None,
        masked: bool = False,
        prompt: Prompt | None = None,
    ) -> None:
        super().__init__()
        self.place = place
        self.places = (place, *others)
        self.narrator = narrator
        self.keys = keys or Keys(narrated=narrator is not None)
        for key, found in self.keys.bindings().key_to_bindings.items():
            self._bindings.key_to_bindings.setdefault(key, [])[:0] = found
        self.clock = clock
        self.glyphs = glyphs or for_this_terminal()
        self.set_class(not self.glyphs.unicode, "-ascii")
        self.masked = masked
        self.current = "series"
        """The panel that the keys act on."""
        self.times: Times = "clock"
        self.sorts = {name: Sort() for name in TABLES}
        self.panel_filters: dict[str, Filter] = {}
        self._ran: float | None = None
        """The start time of the node that was last seen running."""
        self.held_now: float | None = None
        """The time shown as "now" while the cursor is frozen by hand or plays. None: the time of the entry."""
        self.playing: int | None = None
        """The speed of playing. None: not playing."""
        self.prompt = prompt or Prompt(id="prompt")
        self.prompt.masked = masked
        self.begun = ""
        """The first key of a sequence, once it was pressed."""
        self._timelines: dict[str, Timeline] = {}
        self._narrated_place: str | None = None
        self._narrated_step = 0
        self._narrated_panel: str | None = None
        self._story_held = False
        self._alive = False
        self._alive_asked = -10.0
        self._was_alive = False
        self._shown: tuple[object, ...] = ()
        self._reading_shown = 0.0
        self._behind_shown = 0.0
        self._looks = False
        """Whether the next slice of a search is scheduled."""
        self._ticked_at = self._pressed_at = 0.0

    @property
    def source(self) -> Source:
        """The series of the place, with its cursor."""
        return self.place.source

    @property
    def timeline(self) -> Timeline:
        """The strip of time of the series."""
        found = self._timelines.get(self.place.title)
        if found is None:
            found = Timeline(self.source, whole=self.place.recording)
            self._timelines[self.place.title] = found
        return found

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters for every drawn line: the guard, and the ASCII filter where the terminal needs
        it.

        Textual's filter for the sixteen ANSI colours is left out. Nothing here uses them, and every line
        would go through it.
        """
        found = [one for one in super().get_line_filters() if not isinstance(one, ANSIToTruecolor)]
        return [*found, GUARD] if self.glyphs.unicode else [*found, GUARD, ASCII]

    # ── layout ──────────────────────────────────────────────────────────────────────────────────

    def get_default_screen(self) -> Screen[Any]:
        """Return the board's screen with its final classes. A screen that changes its classes is styled twice."""
        return Screen(id="_default", classes=" ".join(self._shape()[SCREEN]))

    def _shape(self) -> dict[str, set[str]]:
        return shape(self.size, self.current)

    def compose(self) -> ComposeResult:
        classes = self._shape()

        def shaped(part: Part) -> Part:
            return part.add_class(*classes[part.id or ""])

        yield LineStrip(id="header")
        yield Tabs(TITLES, SHORT_TITLES, id="tabs")
        yield PlainText(id="trouble")
        with Container(id="main"):
            with shaped(Container(id="top")):
                with shaped(Container(id="left")):
                    yield shaped(SeriesPanel(self.source, grows=not self.place.recording, id="series"))
                with shaped(Container(id="right")):
                    yield shaped(LinesPanel("2", TITLES[1], id="pending"))
                    yield shaped(LinesPanel("3", TITLES[2], id="noes"))
                    yield shaped(LinesPanel("4", TITLES[3], id="retries"))
            with shaped(Container(id="bottom")):
                yield shaped(LinesPanel("5", TITLES[4], id="peers"))
                yield shaped(LinesPanel("6", TITLES[5], id="throughput"))
        yield NextStepsStrip(id="guide")
        yield TimeStrip(id="timeline")
        yield self.prompt
        if self.narrator is not None:
            yield CaptionStrip(self.keys, id="caption")
        yield Keybar(id="footer")

    def say_where_empty(self) -> None:
        """Set the text of each panel for when it is empty."""
        for name in PANELS:
            self.panel(name).empty = empty_words(
                name, self.keys, recording=self.place.recording,
                filtered=self.panel_filters.get(name, Filter()),
            )  # fmt: skip

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notice on what a key did, instead of the one before, as there is one line for it.

        Every notice goes through here, Textual's included. None is parsed as markup, because it may contain
        names.
        """
        self.clear_notifications()
        super().notify(plain(message), title=plain(title), severity=severity, timeout=timeout, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy the exact text. A path that is not UTF-8 cannot be sent to a terminal, so its shown form is
        copied.
        """
        super().copy_to_clipboard(text if is_text(text) else plain(text))

    def action_help_quit(self) -> None:
        """Answer Ctrl+C, with which many people try to leave."""
        self.notify(f"{self.keys.shown(self.keys.named('quit'))} leaves", timeout=4)

    def mark_current(self) -> None:
        """Show the current panel, where not all panels fit."""
        fit(self.screen_stack[0], self.size, self.current)

    def panel(self, name: str | None = None) -> LinesPanel:
        """Return a panel by its name, or the current one."""
        return self.screen_stack[0].query_one(f"#{name or self.current}", LinesPanel)

    @property
    def series(self) -> SeriesPanel:
        """The Series panel."""
        return self.screen_stack[0].query_one(SeriesPanel)

    # ── what is looked at ───────────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> bool:
        """Whether a node writes this series now.

        A running node is checked once a second, and at each tick in a narrated demo. Otherwise the check is
        at each tick, as a node may just have started.
        """
        now = time.monotonic()
        seldom = self._alive and self.narrator is None
        if now - self._alive_asked >= (1.0 if seldom else TICK_SECONDS / 2):
            self._alive_asked = now
            self._alive = not self.place.recording and self.place.node_alive()
            self._was_alive = self._was_alive or self._alive
        return self._alive

    @property
    def state(self) -> State:
        """The state at the cursor."""
        return self.source.state

    def view(self, width: int, name: str = "") -> View:
        """Return the view of the state and the time at the cursor, for a panel of that width."""
        state = self.source.state
        if self.source.frozen:
            now = state.at if self.held_now is None else self.held_now
        else:
            now = self.clock() if self.alive else state.at
        view = View(
            state, now, width, self.glyphs, self.masked, times=self.times, called=self.place.names,
            dead=not (self.source.frozen or self.source.loading or self.place.recording or self.alive),
        )  # fmt: skip
        if name:
            view = view._replace(height=self.panel(name).size.height)
        if name in ("pending", "peers"):
            view = view._replace(trends=self.source.trends())
        return view._replace(sort=self.sorts[name]) if name in self.sorts else view
