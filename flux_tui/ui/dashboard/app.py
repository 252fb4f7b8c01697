"""The app: it has the parts of the dashboard, and passes keys and messages on to them."""

import os
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import App, ComposeResult, SystemCommand
from textual.filter import ANSIToTruecolor, LineFilter
from textual.notifications import SeverityLevel
from textual.screen import Screen
from typing_extensions import override

from flux_tui.config import NoticeBy
from flux_tui.core.ids import is_text
from flux_tui.core.text.plain import plain
from flux_tui.signals import Ended
from flux_tui.ui.dashboard.garbage_collection import settle
from flux_tui.ui.dashboard.parts import Parts
from flux_tui.ui.dashboard.signals_and_crashes import SignalEnd, write_crash_report
from flux_tui.ui.dashboard.themes import THEMES
from flux_tui.ui.dashboard.waiting_keys import WaitingKeys
from flux_tui.ui.keys import JUMP, PRIORITY, Keys
from flux_tui.ui.rows.glyphs import Glyphs, for_this_terminal
from flux_tui.ui.screens.help_asked import HelpAsked
from flux_tui.ui.screens.open_window_protocol import Answer
from flux_tui.ui.watching.captions import Narrator
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode
from flux_tui.ui.widgets.ascii_filter import AsciiFilter
from flux_tui.ui.widgets.line_strips import Keybar, Tabs, TimeStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.objects_panel import ObjectsPanel
from flux_tui.ui.widgets.panel_layout import PANELS, SCREEN, shape
from flux_tui.ui.widgets.plain_text import ControlFilter
from flux_tui.ui.widgets.prompt import History, Prompt, PromptInput

REMOTE = bool(os.environ.get("SSH_CONNECTION") or os.environ.get("SSH_TTY"))
TICK_SECONDS = 0.5 if REMOTE else 0.25
"""The interval of the one ticker for all panels. It is longer over SSH."""
SETTLED_SECONDS = 1.0
"""Seconds after the first frame until what keys do is made, and the garbage collector is set up."""
ASCII = AsciiFilter()
GUARD = ControlFilter()


class Dashboard(App[bool]):
    """The dashboard of one or several nodes, as a Textual app.

    It returns True if the node keeps running (`d`), False if a node that was started here may stop. It reads
    the series file a few times a second, computes the state at the cursor, and shows it. The network and the
    node are never imported, so the first frame waits for neither.
    """

    CSS_PATH = "styles/app.tcss"
    TITLE = "flux-tui"
    ENABLE_COMMAND_PALETTE = True
    animation_level = "none"

    def __init__(
        self,
        node: WatchedNode,
        *,
        others: Sequence[WatchedNode] = (),
        narrator: Narrator | None = None,
        keys: Keys | None = None,
        clock: Callable[[], float] = time.time,
        glyphs: Glyphs | None = None,
        masked: bool = False,
        history: History | None = None,
        theme: str = "",
        crash_log: Path | None = None,
        notice_by: NoticeBy = "none",
        drawn: Callable[[], None] = lambda: None,
    ) -> None:
        """Make the parts of the dashboard. It shows `node` first; `others` are the nodes to switch to.

        A narrator, if given, tells its captions about `node` and `others`. `keys`: None: the keys that are
        bound by default. `clock`: seconds since 1970. `glyphs`: the signs to draw with; None: those that this
        terminal can show. `masked`: whether ids, addresses and paths are hidden at first. `history` has the
        lines typed before. `theme` is the name of a theme; empty: our own. `crash_log` is the file for the
        report of an error; None: Textual shows it. `notice_by`: how the terminal tells the person that an
        object has become whole. `drawn` is called once, after the first frame.
        """
        super().__init__()
        self._crash_log = crash_log
        self._drawn = drawn
        self._has_terminal = False
        """Whether the dashboard has a terminal, which can go away."""
        for own in THEMES:
            self.register_theme(own)
        self.theme = theme or THEMES[0].name
        self._parsed_with = self.get_css_variables()
        """The variables (colours) with which the style sheets are parsed."""
        self.stylesheet.set_variables(self._parsed_with)
        glyphs = glyphs or for_this_terminal()
        self.set_class(not glyphs.unicode, "-ascii")
        self.glyphs = glyphs
        self.keys = keys or Keys(narrated=narrator is not None)
        for key, found in self.keys.bindings().key_to_bindings.items():
            self._bindings.key_to_bindings.setdefault(key, [])[:0] = found

        self.parts = Parts(
            self, Nodes(node, others), self.keys, glyphs, clock, seconds=TICK_SECONDS, narrator=narrator,
            masked=masked, history=history, notice_by=notice_by,
        )  # fmt: skip
        self._waiting_keys = WaitingKeys()
        self._signal_end = SignalEnd(leave=lambda: self.leave(True))

    # ── what parts ask for ──────────────────────────────────────────────────────────────────────

    @property
    def columns(self) -> int:
        """The width of the terminal, in columns."""
        return self.size.width

    @property
    def lines(self) -> int:
        """The height of the terminal, in lines."""
        return self.size.height

    def call_in(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function once, after some seconds."""
        self.set_timer(seconds, call)

    def call_after_layout(self, call: Callable[[], None]) -> None:
        """Call a function once, when the widgets have their new sizes."""
        self.call_after_refresh(call)

    def open_window(self, window: Screen[Answer], then: Callable[[Answer | None], None]) -> None:
        """Open a window over the panels and over other windows.

        When it closes, `then` gets the person's answer; None if they gave none.
        """
        self.push_screen(window, then)

    @property
    def theme_names(self) -> Iterable[str]:
        """The names of all themes (sets of colours)."""
        return self.available_themes

    def set_theme(self, name: str) -> None:
        """Set the colours of the dashboard. `name`: the name of a theme."""
        self.theme = name

    def leave(self, stays: bool) -> None:
        """End the dashboard. `stays`: whether the node keeps running afterwards."""
        self.exit(stays)

    def _help(self) -> None:
        from flux_tui.ui.rows.terms_in_focus import entry_terms, line_terms, panel_terms
        from flux_tui.ui.screens.help import HelpScreen, panel_help  # both imported when help is first opened

        panels = self.parts.panels
        view, entry = panels.view(), panels.selected_entry()
        focus = (
            line_terms(panels.current, panels.selected_key(), view) if entry is None else entry_terms(entry)
        )
        columns = panel_terms(panels.current, view)
        self.push_screen(HelpScreen(panel_help(self.keys, panels.current, focus, columns)))

    @on(HelpAsked)
    def _explain_window(self, event: HelpAsked) -> None:
        from flux_tui.ui.screens.help import HelpScreen, window_help  # imported when help is first opened

        self.push_screen(HelpScreen(window_help(self.keys, event.window, event.focus)))

    # ── what Textual asks for ───────────────────────────────────────────────────────────────────

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Return the filters that every drawn line passes through.

        They are the filter that removes control characters, and the ASCII filter where the terminal needs it.
        Textual's filter for the sixteen ANSI colours is left out: nothing here uses them, and every line
        would pass through it.
        """
        found = [one for one in super().get_line_filters() if not isinstance(one, ANSIToTruecolor)]
        return [*found, GUARD] if self.glyphs.unicode else [*found, GUARD, ASCII]

    def get_default_screen(self) -> Screen[Any]:
        """Return the first screen, with its final CSS classes.

        If the classes were set later, Textual would style the whole screen twice.
        """
        return Screen(id="_default", classes=" ".join(shape(self.size, self.parts.panels.current)[SCREEN]))

    @override
    def refresh_css(self, animate: bool = True) -> None:
        """Apply the style sheets again, because the theme was set.

        Before the first frame, they are only parsed again if the theme differs from the one that they were parsed
        with. Textual would parse all of them twice.
        """
        variables = self.get_css_variables()
        if variables == self._parsed_with and not any(screen.is_mounted for screen in self.screen_stack):
            self.stylesheet.update(self, animate=animate)
            return
        self._parsed_with = variables
        super().refresh_css(animate)

    @override
    def compose(self) -> ComposeResult:
        yield from self.parts.screen_tree.compose(shape(self.size, self.parts.panels.current))

    def notify(
        self,
        message: str,
        *,
        title: str = "",
        severity: SeverityLevel = "information",
        timeout: float | None = None,
        markup: bool = False,
    ) -> None:
        """Show a notice to the person. There is one line for notices, so the notice before disappears.

        Every notice goes through here, Textual's included. No notice is parsed as markup, because it may
        contain names that others chose.
        """
        self.clear_notifications()
        super().notify(plain(message), title=plain(title), severity=severity, timeout=timeout, markup=False)

    def copy_to_clipboard(self, text: str) -> None:
        """Copy a text, unchanged, to the clipboard through the terminal.

        A path that is not UTF-8 cannot be sent to a terminal, so the form in which it is shown is copied.
        """
        super().copy_to_clipboard(text if is_text(text) else plain(text))

    def write_to_terminal(self, sequence: str) -> None:
        """Write a control sequence to the terminal, if there is one.

        The sequence must change nothing on the screen.
        """
        if self._driver is not None and not self.is_headless:
            self._driver.write(sequence)

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """Return the commands of the command palette: the dashboard's own actions first, then Textual's."""
        for action in self.keys.actions:
            if action.name != "palette":
                name = action.name.replace("-", " ").capitalize()
                title = f"{name} ({self.keys.shown(action)})"
                yield SystemCommand(title, action.help, partial(self.action_do, action.name))
        yield from super().get_system_commands(screen)

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _actions(self) -> Mapping[str, Callable[[], object]]:
        """The method that runs each action, by the name of the action. Made at the first key, or soon before."""
        from flux_tui.ui.dashboard.action_methods import action_table

        return action_table(
            self.parts, show_help=self._help, show_palette=self.action_command_palette, leave=self.leave
        )

    def _settle(self) -> None:
        """Do what the first frame did not wait for."""
        assert self._actions  # the first key finds it made
        settle()

    def action_do(self, name: str) -> None:
        """Run the action with this name in the table of keys."""
        self._actions[name]()

    def action_begin(self, first: str) -> None:
        """Begin a sequence of two keys, because its first key was pressed."""
        self.parts.sequence.begin(first)

    def action_help_quit(self) -> None:
        """Show how to leave the dashboard, because Ctrl+C was pressed. Many people try to leave with it."""
        self.notify(f"{self.keys.shown(self.keys.named('quit'))} leaves", timeout=4)

    async def action_quit(self) -> None:
        """Leave the dashboard, because Textual's own command "quit" was chosen."""
        self.parts.acting.leaving.quit()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Return whether a key's action may run now. Textual asks this before it runs an action.

        Keys that work everywhere are turned off while a window or the prompt is open.
        """
        prior = action == "do" and (parameters[0] in PRIORITY or str(parameters[0]).startswith("narrate-"))
        return not (prior and self.parts.covered)

    async def on_event(self, event: events.Event) -> None:
        """Run the action of a key in a panel before the next key is read.

        Textual passes a key on from widget to widget, which takes a while. Without this method, the keys after
        a pasted or quickly typed `:` would reach the panel instead of the prompt. Keys after enter are kept
        until it is known which widget gets the focus.
        """
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self.parts.ticker.note_key()
        if self._waiting_keys.take(event):
            return
        if await self._act(event):
            self.parts.ticker.after_key()
        else:
            await super().on_event(event)

    async def _act(self, event: events.Key) -> bool:
        """Run the action of a key in a panel, or of a key that ends a sequence. Return whether the key was used."""
        if self.parts.sequence.first and self._end_sequence(event.key):
            return True
        if isinstance(self.focused, PromptInput) and event.key == "enter":
            self._waiting_keys.begin()
        elif isinstance(self.focused, LinesPanel):
            self.app_focus = True
            for priority in (True, False):
                if await self._check_bindings(event.key, priority=priority):
                    return True
        return False

    def _end_sequence(self, key: str) -> bool:
        """Handle the second key of a sequence of two keys. Return whether the key was used.

        A key without an action ends the sequence, as esc does, and counts as used. It is not used if
        something else than a panel has the focus meanwhile.
        """
        action = self.parts.sequence.end(key)
        if len(self.screen_stack) > 1 or not isinstance(self.focused, LinesPanel):
            return False  # a click has opened something else meanwhile
        if action is not None:
            self.action_do(action.name)
        return True

    # ── messages of widgets ─────────────────────────────────────────────────────────────────────

    @on(Keybar.Picked)
    def _key_picked(self, event: Keybar.Picked) -> None:
        if event.label == JUMP:
            self.parts.sequence.begin(self.keys.starts()[0])
            return
        action = next((a for a in self.keys.actions if event.label in (a.label, a.next, a.on)), None)
        self.parts.sequence.end()
        if action is not None:
            self.action_do(action.name)

    @on(Tabs.Picked)
    def _tab_picked(self, event: Tabs.Picked) -> None:
        self.parts.panels.go_to(PANELS[event.number - 1])

    @on(TimeStrip.Moved)
    def _moment_picked(self, event: TimeStrip.Moved) -> None:
        self.parts.timeline.go_to_column(event.x)

    @on(LinesPanel.HeadClicked)
    def _heading_picked(self, event: LinesPanel.HeadClicked) -> None:
        if isinstance(event.panel, ObjectsPanel) and event.index == 0:
            self.parts.acting.objects.click(event.x)
        else:
            self.parts.acting.sorting.click(event.panel.id or "", event.x)

    @on(LinesPanel.Uncovered)
    def _panel_uncovered(self) -> None:
        self.parts.ticker.draw()

    @on(LinesPanel.Chosen)
    def _line_chosen(self) -> None:
        if len(self.screen_stack) == 1:
            self.parts.acting.inspecting.inspect()

    @on(ObjectsPanel.Unfolds)
    def _object_selected(self) -> None:
        self.parts.panels.draw_objects()
        self.parts.panels.reveal_object()

    @on(events.DescendantFocus)
    def _focus_came(self, event: events.DescendantFocus) -> None:
        name = event.widget.id
        if not self.screen_stack:
            return  # the dashboard is closing
        # Otherwise the focus has moved on meanwhile.
        if self.focused is event.widget and name in PANELS and name != self.parts.panels.current:
            self.parts.panels.set_current(name)

    @on(Prompt.Typed)
    def _prompt_typed(self, event: Prompt.Typed) -> None:
        self.parts.acting.command_line.typed(event.kind, event.text)

    @on(Prompt.Left)
    def _prompt_left(self, event: Prompt.Left) -> None:
        self.parts.acting.command_line.left(event.kind)

    @on(Prompt.Entered)
    def _prompt_entered(self, event: Prompt.Entered) -> None:
        try:
            self.parts.acting.command_line.entered(event.kind, event.text)
        finally:
            for key in self._waiting_keys.end():
                self.post_message(key)

    def on_paste(self, event: events.Paste) -> None:
        """Open the window that fits a pasted text: for wants, or for sharing a path.

        Textual calls this while no input has the focus. Behind an open window or prompt, the text is ignored.
        """
        if not self.parts.covered:
            self.parts.acting.want_and_add.take_paste(event.text)

    # ── beginning and leaving ───────────────────────────────────────────────────────────────────

    async def run_async(self, **options: Any) -> Any:
        """Install the signal handlers before Textual takes the terminal, so that it can always be restored."""
        if self._has_terminal:
            self._signal_end.install()
        return await super().run_async(**options)

    def on_mount(self) -> None:
        """Draw the first frame before any entry is read."""
        self.parts.panels.focus()
        self.parts.ticker.draw_footer()
        self.call_after_refresh(self._first_frame_is_drawn)
        self.call_after_refresh(self.parts.ticker.tick)
        self.set_interval(TICK_SECONDS, self.parts.ticker.tick_unless_typing)
        if self._has_terminal:
            self.set_timer(SETTLED_SECONDS, self._settle)
        if self._signal_end.signal is not None:  # the signal came before the app ran
            self.exit(True)

    def _first_frame_is_drawn(self) -> None:
        """Begin what the first frame did not wait for, unless the person has left meanwhile."""
        if self.screen_stack and self.return_value is None:
            self.parts.prompt.fill()
            self._drawn()

    def on_resize(self, event: events.Resize) -> None:
        """Lay out the panels for the new size of the terminal, then draw all of them."""
        self.parts.panels.fit(event.size)
        self.call_after_refresh(self.parts.ticker.draw)

    def on_unmount(self) -> None:
        """Close the series of all nodes, because the dashboard ends."""
        for node in self.parts.nodes.all:
            node.source.close()

    def _handle_exception(self, error: Exception) -> None:
        """End the dashboard after an error in it, and append the report of the error to the crash log.

        Without a crash log, Textual prints the report.
        """
        if self._crash_log is None:
            super()._handle_exception(error)
            return
        self._return_code = 1
        self.exit(True, return_code=1, message=write_crash_report(error, self._crash_log))

    def run_in_terminal(self) -> bool:
        """Run the dashboard until the person leaves it. Return whether the node keeps running.

        Raises Ended if a signal ends the dashboard.
        """
        self._has_terminal = True
        stays = bool(self.run())
        if self._signal_end.signal is not None:
            raise Ended(self._signal_end.signal)
        return stays
