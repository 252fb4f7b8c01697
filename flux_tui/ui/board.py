"""The board: panels over one state, one ticker, one place to look at. What the keys do is in the `…_actions`
modules, which add to it; app.py puts them together.

The series file is the interface: the board folds what is new a few times a second and shows the state at
the cursor. It never imports the network or the node, so its first frame does not wait for either.
"""

import os
import time
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from textual import events
from textual.app import App, ComposeResult
from textual.containers import Container
from textual.filter import LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import Static

from flux_tui.core.ids import Cid
from flux_tui.core.state import State
from flux_tui.core.words import counted
from flux_tui.ui.empty import empty_words
from flux_tui.ui.filter import Filter, cids_of
from flux_tui.ui.glyphs import Glyphs, for_this_terminal
from flux_tui.ui.guide import guide_lines
from flux_tui.ui.keys import Keys, Situation, sign
from flux_tui.ui.layout import PANELS, SCREEN, SHORT_TITLES, TITLES, fit, shape
from flux_tui.ui.panels.caption import CaptionStrip
from flux_tui.ui.panels.guide import GuideStrip
from flux_tui.ui.panels.lines import LinesPanel
from flux_tui.ui.panels.plain import PlainFilter
from flux_tui.ui.panels.series import SeriesPanel
from flux_tui.ui.panels.strips import Keybar, LineStrip, Tabs, TimeStrip
from flux_tui.ui.place import Narrator, Place
from flux_tui.ui.prompt import Prompt
from flux_tui.ui.rates import fitting, header_line, throughput_rows
from flux_tui.ui.rows import pending_rows, retry_rows
from flux_tui.ui.source import Source
from flux_tui.ui.tables import TABLES, no_rows, peer_rows
from flux_tui.ui.timeline import Timeline
from flux_tui.ui.view import Line, Row, Sort, Span, Times, View, cut, text_of

REMOTE = bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
TICK_SECONDS = 0.5 if REMOTE else 0.25
"""One ticker for all panels: calmer over SSH."""
BEHIND_SECONDS = 1.0
"""Between two frames behind a window."""
READING_SECONDS = 0.1
"""Between two frames while a long series is read."""
PLAIN = PlainFilter()
Part = TypeVar("Part", bound=Widget)

ROWS: dict[str, Callable[[View], list[Row]]] = {
    "pending": pending_rows,
    "noes": no_rows,
    "retries": retry_rows,
    "peers": peer_rows,
    "throughput": throughput_rows,
}


class Board(App[bool]):
    """Shows a place; knows nothing of keys."""

    CSS_PATH = "styles/app.tcss"
    TITLE = "flux-tui"
    ENABLE_COMMAND_PALETTE = True
    animation_level = "none"

    def __init__(
        self,
        place: Place,
        *,
        others: Sequence[Place] = (),
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
        self.frozen_at: float | None = None
        self.held_now: float | None = None
        """What "now" is while the cursor is held where it was frozen or played; elsewhere it is the entry's
        time."""
        self.playing: int | None = None
        """How many times as fast; None: not."""
        self.prompt = prompt or Prompt(id="prompt")
        self.begun = ""
        """The first of two keys, once it was pressed."""
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

    @property
    def source(self) -> Source:
        """The series that is looked at, with its cursor."""
        return self.place.source

    @property
    def timeline(self) -> Timeline:
        """The strip of the series that is looked at."""
        found = self._timelines.get(self.place.title)
        if found is None:
            found = Timeline(self.source, whole=self.place.recording)
            self._timelines[self.place.title] = found
        return found

    def get_line_filters(self) -> Sequence[LineFilter]:
        """What all that is drawn goes through: to ASCII, where there is no more."""
        found = super().get_line_filters()
        return found if self.glyphs.unicode else [*found, PLAIN]

    # ── layout ──────────────────────────────────────────────────────────────────────────────────

    def get_default_screen(self) -> Screen[Any]:
        """The board's, shaped from the start: what has another shape after a moment is styled twice."""
        return Screen(id="_default", classes=" ".join(self._shape()[SCREEN]))

    def _shape(self) -> dict[str, set[str]]:
        return shape(self.size, self.current)

    def compose(self) -> ComposeResult:
        classes = self._shape()

        def shaped(part: Part) -> Part:
            return part.add_class(*classes[part.id or ""])

        yield LineStrip(id="header")
        yield Tabs(TITLES, SHORT_TITLES, id="tabs")
        yield Static("", id="trouble", markup=False)
        with Container(id="main"):
            with shaped(Container(id="top")):
                with shaped(Container(id="left")):
                    yield shaped(SeriesPanel(self.source, id="series"))
                with shaped(Container(id="right")):
                    yield shaped(LinesPanel("2", TITLES[1], id="pending"))
                    yield shaped(LinesPanel("3", TITLES[2], id="noes"))
                    yield shaped(LinesPanel("4", TITLES[3], id="retries"))
            with shaped(Container(id="bottom")):
                yield shaped(LinesPanel("5", TITLES[4], id="peers"))
                yield shaped(LinesPanel("6", TITLES[5], id="throughput"))
        yield GuideStrip(id="guide")
        yield TimeStrip(id="timeline")
        yield self.prompt
        if self.narrator is not None:
            yield CaptionStrip(self.keys, id="caption")
        yield Keybar(id="footer")

    def say_where_empty(self) -> None:
        """What each panel says where it has nothing to show."""
        for name in PANELS:
            self.panel(name).empty = empty_words(
                name, self.keys, recording=self.place.recording,
                filtered=self.panel_filters.get(name, Filter()),
            )  # fmt: skip

    def on_mount(self) -> None:
        for panel in self.query(LinesPanel):
            panel.signs = self.glyphs
            panel.letter = self.keys.letter(f"panel-{panel.number}")
            panel.set_title()
        self.say_where_empty()
        self.query_one(SeriesPanel).focus()
        self.prompt.covers = self._cover_footer
        self.query_one(Keybar).show(self._footer(self.size.width))
        # The first frame is painted before anything is read.
        self.call_after_refresh(self.tick)
        self.set_interval(TICK_SECONDS, self.tick)

    def _cover_footer(self, covered: bool) -> None:
        self.query_one(Keybar).display = not covered
        if covered:
            self.clear_notifications()

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = True,
    ) -> None:
        """A word on what a key did, in the place of the one before: there is a line for one."""
        self.clear_notifications()
        super().notify(message, title=title, severity=severity, timeout=timeout, markup=markup)

    def on_resize(self, event: events.Resize) -> None:
        fit(self.screen_stack[0], event.size, self.current)
        self.call_after_refresh(self.show_all)

    def mark_current(self) -> None:
        """Show the current panel, where not all fit."""
        fit(self.screen_stack[0], self.size, self.current)

    def panel(self, name: str | None = None) -> LinesPanel:
        """A panel by its name; the current one."""
        return self.screen_stack[0].query_one(f"#{name or self.current}", LinesPanel)

    @property
    def series(self) -> SeriesPanel:
        """The first panel."""
        return self.screen_stack[0].query_one(SeriesPanel)

    def selected_root(self) -> Cid | None:
        """The object that is selected, or that the selected entry is about."""
        key = self.panel().selected
        if key is None or self.panel().selected_index() < 0:
            return None
        if self.current != "series":
            return Cid(key) if key in self.state.objects else None
        entry = self.source.entry(int(key))
        cids = cids_of(entry.event) if entry is not None else ()
        return next((cid for cid in cids if cid in self.state.objects), None)

    # ── the ticker ──────────────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Take in what is new, and show it."""
        if not self.is_running or not self.screen_stack:
            return
        self.source.poll()
        self.play_on()
        self.narrate()
        if self.source.loading:
            self.set_timer(0.001 if self.source.building is None else READING_SECONDS, self.tick)
            if time.monotonic() - self._reading_shown < READING_SECONDS:
                return
            self._reading_shown = time.monotonic()
        self.show_all(ticked=True)

    def play_on(self) -> None:
        """Move the cursor on, while a recording plays."""

    def narrate(self) -> None:
        """Say what the narrator says, and look where it points."""
        if self.narrator is None:
            return
        caption = self.narrator.caption
        self._story_held = caption.held
        self.screen_stack[0].query_one(CaptionStrip).tell(caption)
        if caption.place is not None and caption.place != self._narrated_place:
            self._narrated_place = caption.place
            self.look_at(caption.place)
        if caption.step != self._narrated_step and len(self.screen_stack) == 1 and not self.prompt.kind:
            self._narrated_step = caption.step
            wanted = caption.panel or (PANELS[0] if self.current == self._narrated_panel else None)
            self._narrated_panel = caption.panel
            if wanted is not None and wanted != self.current:
                self.go_to_panel(wanted)

    def go_to_panel(self, name: str) -> None:
        """Give a panel the keys."""
        self.current = name
        self.mark_current()
        self.screen.set_focus(self.panel(name))
        self.call_after_refresh(self.show_all)

    def look_at(self, title: str) -> None:
        """Show another place."""
        found = next((place for place in self.places if place.title == title), None)
        if found is None or found is self.place:
            return
        self.place = found
        self.frozen_at = self.held_now = self.playing = None
        if found.source.frozen:
            self.frozen_at = self.clock()
        self._alive_asked = -10.0
        self._was_alive = False
        for name in PANELS:
            self.panel(name).marked.clear()
        self.series.set_source(found.source)
        self.say_where_empty()
        self.tick()

    @property
    def alive(self) -> bool:
        """Whether a node writes this series now; asked once a second, and at each tick where somebody tells of it."""
        now = time.monotonic()
        if now - self._alive_asked >= (1.0 if self.narrator is None else TICK_SECONDS / 2):
            self._alive_asked = now
            self._alive = not self.place.recording and self.place.node_alive()
            self._was_alive = self._was_alive or self._alive
        return self._alive

    @property
    def state(self) -> State:
        """The state at the cursor."""
        return self.source.state

    def view(self, width: int, name: str = "") -> View:
        """The state at the cursor, and the time there, for a panel of that width."""
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

    def show_all(self, *, ticked: bool = False) -> None:
        """Every panel, from one state. On a tick with nothing new, only when something would look different."""
        if not self.is_running or not self.screen_stack:
            return
        screen = self.screen_stack[0]
        fresh = self._fresh()
        if ticked and fresh == self._shown and not self.series.looking:
            return
        if ticked and len(self.screen_stack) > 1:
            # Behind a window every change draws the whole screen: once a second is enough there.
            if time.monotonic() - self._behind_shown < BEHIND_SECONDS:
                return
            self._behind_shown = time.monotonic()
        self._shown = fresh
        self._show_strips(screen)
        self.series.update_view(self.view(self.series.columns))
        for name, build in ROWS.items():
            panel = self.panel(name)
            if panel.size.height:
                panel.show(self._filtered(name, build(self.view(panel.columns, name))), self._note(name))

    def _fresh(self) -> tuple[object, ...]:
        """What a frame depends on: entries, and the time as far as it is shown."""
        now = self.view(0).now
        state = self.source.state
        counting = state.pending or any(peer.until and peer.until > now for peer in state.peers.values())
        moment = round(now / TICK_SECONDS) if counting else int(now)
        return (self.place.title, state.seq, self.source.last_seq, self.source.frozen, moment, int(self.clock()),
                self.alive, self.place.trouble(), self.source.trouble, self.masked,
                len(self.place.names), self._story_held)  # fmt: skip

    def _filtered(self, name: str, rows: list[Row]) -> list[Row]:
        wanted = self.panel_filters.get(name)
        if not wanted:
            return rows
        return [row for row in rows if row.title or wanted.takes_text(text_of(row.line).lower())]

    def _note(self, name: str) -> str:
        state = self.source.state
        parts = []
        match name:
            case "pending" if state.pending:
                objects = sum(1 for cid in state.pending if cid in state.objects)
                loose = len(state.pending) - objects
                parts = [counted(objects, "object")] if objects else []
                parts += [counted(loose, "chunk")] if loose else []
            case "noes":
                total = sum(sum(peer.counts.values()) for peer in state.peers.values())
                parts = [f"{total:,}"] if total else []
            case "peers" if state.peers:
                parts = [f"{self.view(0).connected} of {len(state.peers)} connected"]
        panel = self.panel(name)
        if self.panel_filters.get(name):
            parts.append(f"filtered, {counted(sum(not row.title for row in panel.rows), 'match', 'matches')}")
        if panel.marked:
            parts.append(f"{len(panel.marked)} marked")
        return ", ".join(parts)

    # ── strips ──────────────────────────────────────────────────────────────────────────────────

    def _show_strips(self, screen: Screen[Any]) -> None:
        width = self.size.width
        view = self.view(width)
        status, note = self._status()
        screen.query_one("#header", LineStrip).show(header_line(view, status=status, frozen_note=note))
        screen.query_one("#timeline", LineStrip).show(self._time_line(view, width))
        tabs = screen.query_one(Tabs)
        if tabs.display:
            tabs.show_current(PANELS.index(self.current) + 1)
        screen.query_one("#footer", LineStrip).show(self._footer(width))
        screen.query_one(GuideStrip).tell(self._guide(view))
        trouble = screen.query_one("#trouble", Static)
        text = self.source.trouble or self._gone()
        trouble.set_class(bool(text), "-shown")
        if text and str(trouble.content) != text:
            trouble.update(text)

    def _guide(self, view: View) -> list[Line]:
        """What to do next: to whom the screen is new, and whose node can do it."""
        busy = self.narrator is not None or self.source.frozen or self.source.loading
        if busy or self.place.recording or not (self.alive or self._starting()):
            return []
        return guide_lines(view, self.keys)

    def _time_line(self, view: View, width: int) -> Line:
        label = f" {self.timeline.words} " if width >= 80 else " "
        end = " now " if width >= 80 and not self.source.frozen and self.alive else " "
        room = max(10, width - len(label) - len(end))
        return [(label, "dim"), *self.timeline.line(view.now, room, self.glyphs), (end, "dim")]

    @property
    def strip_left(self) -> int:
        """Where the strip of time begins."""
        return len(f" {self.timeline.words} ") if self.size.width >= 80 else 1

    def _gone(self) -> str | None:
        """That the node is gone, and what to do."""
        if self.place.recording or self.alive or self.source.loading:
            return None
        trouble = self.place.trouble()
        if self._starting() or not (self.source.last_seq or self._was_alive or trouble):
            return None
        state = self.source.state
        died = state.running or (self._was_alive and not state.seq)
        how = "has died: it left no word" if died else "is stopped"
        again = self.keys.named("restart")
        offer = f"; press {self.keys.shown(again)} to start it again" if self.place.restart else ""
        return f"{trouble or f'The node {how}'}{offer}"

    def _starting(self) -> bool:
        return self.place.starting() and not self.place.trouble()

    def _status(self) -> tuple[Span, str]:
        glyphs = self.glyphs
        if self.playing is not None:
            return (
                f"{glyphs.play} playing",
                "accent",
            ), f"{self.playing}{glyphs.times} · +{self.source.behind:,}"
        if self.source.frozen:
            since = self.clock() - (self.frozen_at or self.clock())
            minutes, seconds = divmod(max(0, int(since)), 60)
            return (f"{glyphs.pause} frozen", "warn"), f"{minutes:02}:{seconds:02} · +{self.source.behind:,}"
        if self.source.loading:
            at = max(self.source.cursor, self.source.building or 0)
            return (f"{glyphs.ring} reading", "dim"), f"{at:,} of {self.source.last_seq:,}"
        if self.place.recording:
            return (f"{glyphs.ring} recording", "accent"), ""
        if self.alive:
            return (f"{glyphs.dot} live", "good"), ""
        if self._starting():
            return (f"{glyphs.ring} starting", "warn"), ""
        return (f"{glyphs.ring} no node", "bad"), ""

    def show_footer(self) -> None:
        """The footer, at once."""
        self.screen_stack[0].query_one("#footer", LineStrip).show(self._footer(self.size.width))

    def _situation(self) -> Situation:
        if self.narrator is not None:
            return "told"
        if self.place.recording:
            return "recording"
        return "held" if self.source.frozen else "live"

    def _footer(self, width: int) -> Line:
        """Keys and what they do; where not all fit, those that a person would look for last are left out.
        After the first of two keys: how it goes on."""
        if self.begun:
            found: Line = [(f" {sign(self.begun)} ", "strong")]
            for key, action in self.keys.after(self.begun).items():
                found += [(f" {sign(key)}", "accent"), (f" {action.next or action.name}", "dim")]
            return cut(found, width, self.glyphs.ellipsis)
        parts: list[tuple[int, Line]] = [
            (importance, [(f" {keys}", "accent"), (f" {label} ", "dim")])
            for importance, keys, label in self.keys.footer(
                self._situation(), ("narrate-hold",) if self._story_held else ()
            )
        ]
        return fitting(parts, width)
