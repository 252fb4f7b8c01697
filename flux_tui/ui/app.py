"""The dashboard: panels over one state, one ticker, actions that push commands. Nothing else happens here.

The series file is the interface: the app folds what is new a few times a second and shows the state at
the cursor. It never imports the network or the node, so its first frame does not wait for either.
"""

import os
import secrets
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.containers import Container
from textual.geometry import Size
from textual.screen import Screen
from textual.widgets import Input, Label, Static

from flux_tui.core import commands as cmd
from flux_tui.core.commands import Command
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.words import counted
from flux_tui.ui.filter import Filter, parse_filter
from flux_tui.ui.glyphs import Glyphs, for_this_terminal
from flux_tui.ui.keys import ACTIONS, bindings
from flux_tui.ui.panels.lines import LinesPanel
from flux_tui.ui.panels.series import SeriesPanel
from flux_tui.ui.panels.strips import LineStrip, Tabs
from flux_tui.ui.rates import fitting, header_line, throughput_rows, timeline_line
from flux_tui.ui.rows import no_rows, peer_rows, pending_rows, retry_rows
from flux_tui.ui.source import Source
from flux_tui.ui.times import parse_moment
from flux_tui.ui.view import Line, Row, Span, View, text_of

REMOTE = bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
TICK_SECONDS = 0.5 if REMOTE else 0.25
"""One ticker for all panels: calmer over SSH."""
WIDE, TALL, TWO = 100, 30, 22
"""Columns and rows from which everything fits at once; rows from which two panels do."""

NO_PEERS = "No peer yet.\nShare with a, and give the ticket to another machine."
FOOTER_ORDER = ("want", "help", "quit", "add", "freeze", "filter", "live", "zoom", "step")
"""The most needed first."""
PANELS = ("series", "pending", "noes", "retries", "peers", "throughput")
TITLES = ("Series", "Pending", "NO by node", "Retries", "Peers", "Throughput")
SHORT_TITLES = ("Series", "Pending", "NO", "Retries", "Peers", "Rates")


class Dashboard(App[bool]):
    """Returns True where the node is to run on (`d`), False where one that was started here may stop."""

    CSS_PATH = "styles/app.tcss"
    TITLE = "flux-tui"
    BINDINGS = bindings()  # type: ignore[assignment]  # a list made by a function is a list all the same
    ENABLE_COMMAND_PALETTE = True
    animation_level = "none"

    def __init__(
        self,
        source: Source,
        *,
        title: str,
        push: Callable[[Command], None] | None,
        node_alive: Callable[[], bool],
        recording: bool = False,
        trouble: Callable[[], str | None] = lambda: None,
        crash_log: Path | None = None,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs | None = None,
    ) -> None:
        super().__init__()
        self.source = source
        self.place = title
        self._push = push
        self._node_alive = node_alive
        self._recording = recording
        self._trouble = trouble
        self._crash_log = crash_log
        self._clock = clock
        self._glyphs = glyphs or for_this_terminal()
        self._masked = False
        self._frozen_at: float | None = None
        self._held_now: float | None = None
        """What "now" is while the cursor is held where it was frozen; elsewhere it is the entry's time."""
        self._current = "series"
        self._panel_filters: dict[str, Filter] = {}
        self._prompt = ""
        self._alive = False
        self._alive_asked = 0.0

    # ── layout ──────────────────────────────────────────────────────────────────────────────────

    def compose(self) -> ComposeResult:
        yield LineStrip(id="header")
        yield Tabs(TITLES, SHORT_TITLES, id="tabs")
        yield Static("", id="trouble", markup=False)
        with Container(id="main"):
            with Container(id="top"):
                with Container(id="left"):
                    yield SeriesPanel(self.source, id="series")
                with Container(id="right"):
                    yield LinesPanel("2", TITLES[1], id="pending",
                                     empty="Nothing is wanted.\nPress w and paste a ticket or a CID.")  # fmt: skip
                    yield LinesPanel("3", TITLES[2], id="noes", empty="Nobody has said NO.")
                    yield LinesPanel("4", TITLES[3], id="retries", empty="Nothing waits to be pushed again.")
            with Container(id="bottom"):
                yield LinesPanel("5", TITLES[4], id="peers", empty=NO_PEERS)
                yield LinesPanel("6", TITLES[5], id="throughput")
        yield LineStrip(id="timeline")
        with Container(id="prompt"):
            yield Label("", id="prompt-label")
            yield Input(id="prompt-input")
            yield Label("", id="prompt-error", classes="error", markup=False)
        yield LineStrip(id="footer")

    def on_mount(self) -> None:
        self._fit(self.size)
        self.query_one(SeriesPanel).focus()
        # The first frame is painted before anything is read.
        self.call_after_refresh(self.tick)
        self.set_interval(TICK_SECONDS, self.tick)

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size)
        self.call_after_refresh(self.show_all)

    def _fit(self, size: Size) -> None:
        width, height = size
        screen = self.screen_stack[0]
        whole = width >= WIDE and height >= TALL
        screen.set_class(whole, "-wide")
        screen.set_class(whole, "-tall")
        screen.set_class(not whole, "-small")
        screen.set_class(not whole and height >= TWO, "-two")
        self._mark_current()

    def _mark_current(self) -> None:
        """Classes by which the stylesheet shows the current panel where not all fit."""
        screen = self.screen_stack[0]
        for name in PANELS:
            screen.query_one(f"#{name}").set_class(name == self._current, "-current")
        small = screen.has_class("-small")
        two = screen.has_class("-two") and not screen.has_class("-zoomed")
        right = self._current in ("pending", "noes", "retries")
        bottom = self._current in ("peers", "throughput")
        left = self._current == "series" or (small and two)
        screen.query_one("#right").set_class(right, "-holds-current")
        screen.query_one("#bottom").set_class(bottom, "-holds-current")
        screen.query_one("#left").set_class(small and not left, "-empty-left")
        screen.query_one("#top").set_class(small and not left and not right, "-empty-top")
        for name, holds in (("#left", self._current == "series"), ("#right", right), ("#bottom", bottom)):
            screen.query_one(name).set_class(not holds, "-no-current")
        screen.query_one("#top").set_class(not (self._current == "series" or right), "-no-current")
        if small and two and self._current == "series":
            # Two fit: beside the series, what is wanted.
            screen.query_one("#pending").add_class("-current")
            screen.query_one("#right").add_class("-holds-current")

    # ── the ticker ──────────────────────────────────────────────────────────────────────────────

    def tick(self) -> None:
        """Take in what is new, and show it."""
        self.source.poll()
        self.show_all()
        if self.source.loading:
            self.set_timer(0.001, self.tick)

    @property
    def alive(self) -> bool:
        """Whether a node writes this series now; asked once a second."""
        now = time.monotonic()
        if now - self._alive_asked >= 1.0:
            self._alive_asked = now
            self._alive = not self._recording and self._node_alive()
        return self._alive

    def view(self, width: int) -> View:
        """The state at the cursor, and the time there."""
        state = self.source.state
        if self.source.frozen:
            now = state.at if self._held_now is None else self._held_now
        else:
            now = self._clock() if self.alive else state.at
        return View(state, now, width, self._glyphs, self._masked)

    def show_all(self) -> None:
        """Every panel, from one state."""
        if not self.is_running or not self.screen_stack:
            return
        screen = self.screen_stack[0]
        self._show_strips(screen)
        series = screen.query_one(SeriesPanel)
        series.update_view(self.view(series.columns))
        for name, build in (
            ("pending", pending_rows),
            ("noes", no_rows),
            ("retries", retry_rows),
            ("peers", peer_rows),
            ("throughput", throughput_rows),
        ):
            panel = screen.query_one(f"#{name}", LinesPanel)
            if panel.size.height:
                rows = build(self.view(panel.columns))
                panel.show(self._filtered(name, rows), self._note(name))

    def _filtered(self, name: str, rows: list[Row]) -> list[Row]:
        wanted = self._panel_filters.get(name)
        if not wanted:
            return rows
        return [row for row in rows if row.title or wanted.takes_text(text_of(row.line).lower())]

    def _note(self, name: str) -> str:
        state = self.source.state
        if self._panel_filters.get(name):
            return "filtered"
        match name:
            case "pending" if state.pending:
                objects = sum(1 for cid in state.pending if cid in state.objects)
                loose = len(state.pending) - objects
                parts = [counted(objects, "object")] if objects else []
                parts += [counted(loose, "chunk")] if loose else []
                return ", ".join(parts)
            case "noes":
                total = sum(sum(peer.counts.values()) for peer in state.peers.values())
                return f"{total:,}" if total else ""
            case "peers" if state.peers:
                return f"{state.connected} of {len(state.peers)} connected"
        return ""

    def _show_strips(self, screen: Screen[Any]) -> None:
        width = self.size.width
        view = self.view(width)
        status, note = self._status()
        screen.query_one("#header", LineStrip).show(header_line(view, status=status, frozen_note=note))
        screen.query_one("#timeline", LineStrip).show(timeline_line(view))
        tabs = screen.query_one(Tabs)
        if tabs.display:
            tabs.show_current(PANELS.index(self._current) + 1)
        screen.query_one("#footer", LineStrip).show(self._footer(width))
        trouble = screen.query_one("#trouble", Static)
        text = self.source.trouble or self._trouble()
        trouble.set_class(bool(text), "-shown")
        if text and str(trouble.content) != text:
            trouble.update(text)

    def _status(self) -> tuple[Span, str]:
        glyphs = self._glyphs
        if self.source.frozen:
            since = self._clock() - (self._frozen_at or self._clock())
            minutes, seconds = divmod(int(since), 60)
            return (f"{glyphs.pause} frozen", "warn"), f"{minutes:02}:{seconds:02} · +{self.source.behind:,}"
        if self._recording:
            return (f"{glyphs.ring} recording", "accent"), ""
        if self.source.loading:
            return (f"{glyphs.ring} reading", "dim"), f"{self.source.cursor:,} of {self.source.last_seq:,}"
        if self.alive:
            return (f"{glyphs.dot} live", "good"), ""
        return (f"{glyphs.ring} no node", "bad"), ""

    def _footer(self, width: int) -> Line:
        """Keys and what they do; where not all fit, those that a person would look for last are left out."""
        shown = [action for action in ACTIONS if action.label]
        parts: list[tuple[int, Line]] = [
            (
                FOOTER_ORDER.index(action.label),
                [(f" {action.shown}", "accent"), (f" {action.label} ", "dim")],
            )
            for action in shown
        ]
        return fitting(parts, width)

    # ── pushing ─────────────────────────────────────────────────────────────────────────────────

    def push_command(self, command: Command, done: str) -> bool:
        """Push into the node; what comes of it will be in the series."""
        if self._push is None:
            self.notify("this is a recording: nothing can be pushed", severity="warning")
            return False
        try:
            self._push(command)
        except Exception as error:  # HomeError: the node is not there; the sentence says so
            self.notify(str(error), severity="error", timeout=8)
            return False
        self.notify(done, timeout=3)
        self.set_timer(0.05, self.tick)
        return True

    def action_want(self) -> None:
        if not self._can_push():
            return
        from flux_tui.ui.screens.typing import WantScreen

        def push(commands: list[Command] | None) -> None:
            for command in commands or []:
                self.push_command(command, "pushed a want")

        self.push_screen(WantScreen(self.source.state, Path.cwd(), _mark), push)

    def action_add(self) -> None:
        if not self._can_push():
            return
        from flux_tui.ui.screens.typing import AddScreen

        def push(path: Path | None) -> None:
            if path is not None:
                self.push_command(cmd.Add(str(path), _mark()), f"adding {path.name}")

        self.push_screen(AddScreen(Path.cwd()), push)

    def action_cancel(self) -> None:
        cid = self._selected_cid()
        if cid is None or cid not in self.source.state.pending:
            self.notify("select what to cancel in Pending (2) or Retries (4) first", timeout=4)
        else:
            name = self.view(80).name(cid)
            self.push_command(cmd.Cancel((cid,), _mark()), f"cancelled {name}; what came of it is kept")

    def action_retry(self) -> None:
        cid = self._selected_cid()
        if not self.source.state.pending:
            self.notify("nothing is pending", timeout=3)
        elif cid is not None and cid in self.source.state.pending:
            self.push_command(cmd.Retry((cid,), _mark()), f"pushed {self.view(80).name(cid)} again")
        else:
            self.push_command(cmd.Retry((), _mark()), "pushed all that is pending again")

    def _selected_cid(self) -> Cid | None:
        """What is selected in Pending or Retries."""
        if self._current not in ("pending", "retries"):
            return None
        key = self.query_one(f"#{self._current}", LinesPanel).selected
        return Cid(key) if key in self.source.state.pending else None

    def _can_push(self) -> bool:
        if self._push is None:
            self.notify("this is a recording: nothing can be pushed", severity="warning")
        return self._push is not None

    # ── looking ─────────────────────────────────────────────────────────────────────────────────

    def action_panel(self, number: int) -> None:
        self._go_to_panel(PANELS[number - 1])

    def action_next_panel(self) -> None:
        self._go_to_panel(PANELS[(PANELS.index(self._current) + 1) % len(PANELS)])

    def action_previous_panel(self) -> None:
        self._go_to_panel(PANELS[(PANELS.index(self._current) - 1) % len(PANELS)])

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`tab` belongs to a window while one is open: it has priority here, and would be taken from it."""
        return not (action in ("next_panel", "previous_panel") and len(self.screen_stack) > 1)

    def _go_to_panel(self, name: str) -> None:
        self._current = name
        self._mark_current()
        self.query_one(f"#{name}").focus()
        self.call_after_refresh(self.show_all)

    @on(events.DescendantFocus)
    def _focused(self, event: events.DescendantFocus) -> None:
        if event.widget.id in PANELS and event.widget.id != self._current:
            self._current = event.widget.id
            self._mark_current()

    @on(Tabs.Picked)
    def _picked(self, event: Tabs.Picked) -> None:
        self.action_panel(event.number)

    def action_zoom(self) -> None:
        self.screen.toggle_class("-zoomed")
        self._mark_current()
        self.call_after_refresh(self.show_all)

    def action_inspect(self) -> None:
        panel = self.query_one(f"#{self._current}", LinesPanel)
        key = panel.selected
        if key is None:
            return
        from flux_tui.ui.screens import inspect

        view = self.view(100)
        screen: inspect.InspectScreen | None = None
        if self._current == "series":
            entry = self.source.entry(int(key))
            screen = inspect.inspect_entry(entry, self.source, view) if entry is not None else None
        elif key in view.state.peers:
            screen = inspect.inspect_peer(PeerId(key), self.source, view)
        elif key in view.state.pending or key in view.state.objects:
            screen = inspect.inspect_cid(Cid(key), self.source, view)
        if screen is not None:
            self.push_screen(screen, self._inspected)

    def _inspected(self, seq: int | None) -> None:
        if seq is not None:
            self._hold(seq)
            self._go_to_panel("series")

    @on(LinesPanel.Chosen)
    def _chosen(self) -> None:
        if len(self.screen_stack) == 1:
            self.action_inspect()

    def action_clear(self) -> None:
        if self._prompt:
            self._close_prompt()
        elif self.screen.has_class("-zoomed"):
            self.action_zoom()
        elif self._panel_filters.get(self._current):
            self._set_filter("")
        else:
            self.clear_notifications()

    def action_filter(self) -> None:
        self._open_prompt("filter", "/", "text  !not  kind:status_no  peer:12D3  cid:bafk  reason:busy")

    def action_match(self, direction: int) -> None:
        self.query_one(f"#{self._current}", LinesPanel).action_move(direction)

    def _set_filter(self, text: str) -> None:
        wanted = parse_filter(text)
        self._panel_filters[self._current] = wanted
        if self._current == "series":
            self.query_one(SeriesPanel).set_filter(wanted)
        self.show_all()

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def action_freeze(self) -> None:
        if self.source.frozen:
            self.action_live()
        else:
            self.source.freeze()
            self._frozen_at = self._clock()
            self._held_now = self._frozen_at if self.alive else None
            self.show_all()

    def action_step(self, by: int) -> None:
        self._hold(self.source.cursor + by)

    def action_leap(self, seconds: float) -> None:
        self._hold_time(self.source.state.at + seconds)

    def action_live(self) -> None:
        self.source.live()
        self._frozen_at = self._held_now = None
        panel = self.query_one(SeriesPanel)
        panel.following = True
        self.tick()

    def action_goto(self) -> None:
        self._open_prompt("goto", "go to", "12:01:03  -5m  +10s  #1234  start  live")

    def _hold(self, seq: int) -> None:
        self.source.go_to(max(1, seq))
        self._frozen_at = self._frozen_at or self._clock()
        self._held_now = None
        self.query_one(SeriesPanel).following = True  # the cursor's entry is the last line, and in view
        self.show_all()

    def _hold_time(self, at: float) -> None:
        if not self.source.frozen:
            self.source.freeze()
        self.source.go_to_time(at)
        self._hold(self.source.cursor)

    # ── the prompt ──────────────────────────────────────────────────────────────────────────────

    def _open_prompt(self, what: str, label: str, hint: str) -> None:
        self._prompt = what
        self.query_one("#prompt").add_class("-open")
        self.query_one("#prompt-label", Label).update(label)
        self.query_one("#prompt-error", Label).update("")
        field = self.query_one("#prompt-input", Input)
        field.placeholder = hint
        field.value = ""
        field.focus()

    def _close_prompt(self) -> None:
        self._prompt = ""
        self.query_one("#prompt").remove_class("-open")
        self.query_one(f"#{self._current}").focus()

    @on(Input.Changed, "#prompt-input")
    def _prompt_typed(self, event: Input.Changed) -> None:
        self.query_one("#prompt-error", Label).update("")
        if self._prompt == "filter":
            self._set_filter(event.value)

    @on(Input.Submitted, "#prompt-input")
    def _prompt_done(self, event: Input.Submitted) -> None:
        if self._prompt == "goto":
            try:
                moment = parse_moment(event.value, self.source.state.at)
            except ValueError as error:
                self.query_one("#prompt-error", Label).update(str(error))
                return
            if moment.seq is not None:
                self._hold(moment.seq)
            elif moment.at is not None:
                self._hold_time(moment.at)
            else:
                self.action_live()
        self._close_prompt()

    # ── taking away ─────────────────────────────────────────────────────────────────────────────

    def action_copy(self) -> None:
        key = self.query_one(f"#{self._current}", LinesPanel).selected
        if key is not None and self._current == "series":
            from flux_tui.ui.filter import cids_of, peers_of

            entry = self.source.entry(int(key))
            found = (*cids_of(entry.event), *peers_of(entry.event)) if entry is not None else ()
            key = found[0] if found else None
        if key is None:
            self.notify("select a line first", timeout=3)
            return
        from flux_tui.ui.clipboard import copy

        how = copy(key, self.copy_to_clipboard)
        self.notify(f"copied {key} ({how})", timeout=4)

    def action_screenshot(self, filename: str | None = None, path: str | None = None) -> None:
        name = self.save_screenshot(filename or f"flux-tui-{time.strftime('%Y%m%d-%H%M%S')}.svg", path)
        self.notify(f"saved {Path(name).absolute()}", timeout=6)

    def action_mask(self) -> None:
        self._masked = not self._masked
        self.query_one(SeriesPanel).forget_names()
        self.show_all()
        self.notify(
            "ids and addresses are hidden" if self._masked else "ids and addresses are shown", timeout=2
        )

    # ── leaving ─────────────────────────────────────────────────────────────────────────────────

    def action_help(self) -> None:
        from flux_tui.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen())

    async def action_quit(self) -> None:
        self.exit(False)

    def action_detach(self) -> None:
        self.exit(True)

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """The palette: our actions first, then Textual's own."""
        for action in ACTIONS:
            if action.help:
                name = (action.label or action.id.partition("(")[0].replace("_", " ")).capitalize()
                yield SystemCommand(f"{name} ({action.shown})", action.help, self._runner(action.id))
        yield from super().get_system_commands(screen)

    def _runner(self, action: str) -> Callable[[], Any]:
        async def run() -> None:
            await self.run_action(action)

        return run

    def _handle_exception(self, error: Exception) -> None:
        """A fault of our own: the report goes to a file in the home, never over the screen."""
        if self._crash_log is None:
            super()._handle_exception(error)
            return
        with self._crash_log.open("a") as log:
            log.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
            traceback.print_exception(error, file=log)
        self._return_code = 1
        self.exit(
            True, return_code=1, message=f"flux-tui: the dashboard failed; the report is in {self._crash_log}"
        )

    def on_unmount(self) -> None:
        self.source.close()


def _mark() -> str:
    return secrets.token_hex(6)


def run_dashboard(
    path: Path,
    *,
    title: str,
    push: Callable[[Command], None] | None,
    node_alive: Callable[[], bool],
    recording: bool = False,
    trouble: Callable[[], str | None] = lambda: None,
    crash_log: Path | None = None,
) -> bool:
    """Show a series until the person leaves. Returns whether the node is to run on."""
    app = Dashboard(
        Source.of_file(path),
        title=title,
        push=push,
        node_alive=node_alive,
        recording=recording,
        trouble=trouble,
        crash_log=crash_log,
    )
    return bool(app.run())
