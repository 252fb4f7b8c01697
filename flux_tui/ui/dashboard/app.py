"""The app: the board with its keys, its prompt, signals, and leaving."""

import asyncio
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from textual import events, on
from textual.app import SystemCommand
from textual.screen import Screen

from flux_tui.core.text.plain import plain, plain_lines
from flux_tui.paths import folder_here
from flux_tui.regular_files import APPEND, open_regular
from flux_tui.signals import AGAIN_SECONDS, Ended, heeded
from flux_tui.ui.dashboard.garbage_collection import settle
from flux_tui.ui.dashboard.look_actions import NOT_FILTERED, LookActions
from flux_tui.ui.dashboard.push_actions import PushActions, new_mark
from flux_tui.ui.dashboard.themes import THEMES
from flux_tui.ui.dashboard.time_actions import SPEEDS, TimeActions
from flux_tui.ui.keys import JUMP
from flux_tui.ui.typed.command_line import Context, LineError, Outcome, complete_line, read_line
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.one_line import Keybar
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.prompt import Prompt, PromptInput

HANGUP_SECONDS = 1.0
"""The process ends this long after its terminal is gone."""
SETTLED_SECONDS = 1.0
"""Seconds after the first frame until the garbage collector is set up (`garbage_collection.settle`)."""


class Dashboard(TimeActions, PushActions, LookActions):
    """The app. It returns True if the node keeps running (`d`), False if a node that was started here may stop."""

    def __init__(
        self, place: WatchedNode, *, theme: str = "", crash_log: Path | None = None, **options: Any
    ) -> None:
        super().__init__(place, **options)
        self._crash_log = crash_log
        self._held_back: list[events.Key] | None = None
        """Keys that came while a line was being read from the prompt. None: no line is."""
        self.ended_by: int | None = None
        """The signal that ends the dashboard."""
        self._ended_at = 0.0
        self.has_terminal = False
        """Whether the dashboard has a terminal, which can go away."""
        for own in THEMES:
            self.register_theme(own)
        self.theme = theme or THEMES[0].name

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Turn off the actions with priority while a window or the prompt is open."""
        if action in ("next_panel", "previous_panel", "narrate"):
            return len(self.screen_stack) == 1 and not self.prompt.kind
        return True

    async def on_event(self, event: events.Event) -> None:
        """Run the action of a key in a panel before the next key is read.

        Textual hands a key on from widget to widget. The keys after `:`, in a paste or from fast fingers,
        would then still go to the panel. Keys after the end of a line wait until it is known what has the
        focus then.
        """
        if not isinstance(event, events.Key) or event.is_forwarded:
            await super().on_event(event)
            return
        self.typed()
        if self._held_back is not None:
            self._held_back.append(event)
        elif await self._act(event):
            self.pressed()
        else:
            await super().on_event(event)

    async def _act(self, event: events.Key) -> bool:
        """Run the action that a key has in a panel. Return whether there was one."""
        if self.begun and await self._go_on(event.key):
            return True
        if isinstance(self.focused, PromptInput) and event.key == "enter":
            self._held_back = []
        elif isinstance(self.focused, LinesPanel):
            self.app_focus = True
            for priority in (True, False):
                if await self._check_bindings(event.key, priority=priority):
                    return True
        return False

    def action_begin(self, start: str) -> None:
        """Begin a sequence of two keys."""
        self.begun = start
        self.show_footer()

    async def _go_on(self, key: str) -> bool:
        """Handle the second key of a sequence.

        Return whether it was used. Any unknown key ends the sequence, as esc does.
        """
        action = self.keys.after(self.begun).get(key)
        self.begun = ""
        self.show_footer()
        if len(self.screen_stack) > 1 or not isinstance(self.focused, LinesPanel):
            return False  # a click has opened something else meanwhile
        if action is not None:
            await self.run_action(action.run)
        return True

    def _hand_on(self) -> None:
        """Post the keys that were held back."""
        keys, self._held_back = self._held_back or [], None
        for key in keys:
            self.post_message(events.Key(key.key, key.character))

    def action_narrate(self, by: int) -> None:
        if self.narrator is not None:
            if by:
                self.narrator.move(by)
            else:
                self.narrator.hold()
            self.tick()

    def action_help(self) -> None:
        from flux_tui.ui.screens.help import HelpScreen

        self.push_screen(HelpScreen(self.keys, self.current))

    @on(Keybar.Picked)
    async def _key_picked(self, event: Keybar.Picked) -> None:
        if event.label == JUMP:
            self.action_begin(self.keys.starts()[0])
            return
        action = next((a for a in self.keys.actions if event.label in (a.label, a.next, a.on)), None)
        if self.begun:
            self.begun = ""
            self.show_footer()
        if action is not None:
            await self.run_action(action.run)

    def get_system_commands(self, screen: Screen[Any]) -> Any:
        """Return the palette: our actions first, then Textual's."""
        for action in self.keys.actions:
            if action.name != "palette":
                name = action.name.replace("-", " ").capitalize()
                yield SystemCommand(
                    f"{name} ({self.keys.shown(action)})", action.help, self._runner(action.run)
                )
        yield from super().get_system_commands(screen)

    def _runner(self, action: str) -> Callable[[], Any]:
        async def run() -> None:
            await self.run_action(action)

        return run

    # ── the prompt ──────────────────────────────────────────────────────────────────────────────

    def action_command(self) -> None:
        self.begin_command("")

    def begin_command(self, text: str) -> None:
        self.prompt.open(
            "command", ":", "want  get  add  cancel  goto  filter  theme …   tab completes",
            text=text, completer=lambda typed: complete_line(typed, self._line_context()),
        )  # fmt: skip

    def complete_filter(self, text: str) -> list[str]:
        return [
            line.removeprefix("filter ") for line in complete_line(f"filter {text}", self._line_context())
        ]

    def _line_context(self) -> Context:
        return Context(
            self.state,
            folder_here(),
            new_mark,
            sorted(self.available_themes),
            PANELS,
            self.sort_columns(),
            {} if self.masked else self.place.names,
        )

    @on(Prompt.Typed)
    def _prompt_typed(self, event: Prompt.Typed) -> None:
        if event.kind == "filter":
            self.set_filter(event.text)

    @on(Prompt.Left)
    def _prompt_left(self, event: Prompt.Left) -> None:
        if event.kind == "filter":
            self.set_filter("")
        self.screen.set_focus(self.panel())

    @on(Prompt.Entered)
    async def _prompt_entered(self, event: Prompt.Entered) -> None:
        try:
            await self._enter(event)
        finally:
            self._hand_on()

    async def _enter(self, event: Prompt.Entered) -> None:
        if not event.kind:
            return
        outcome = Outcome()
        try:
            if event.kind == "goto":
                self.go_to_moment(event.text)
            elif event.kind == "command" and event.text.strip(": "):
                outcome = read_line(event.text, self._line_context())
                self._set(outcome)
            if outcome.commands:
                self.push_or_raise(outcome.commands, outcome.done)
        except ValueError as error:
            self.prompt.say(str(error))
            return
        self.prompt.close()
        self.screen.set_focus(self.panel())
        if outcome.action:
            await self.run_action(outcome.action)

    def _set(self, outcome: Outcome) -> None:
        """Apply a setting of the command line. Raise ValueError."""
        argument = outcome.argument
        match outcome.setting:
            case "":
                return
            case "filter":
                if self.current == "throughput":
                    raise LineError(NOT_FILTERED)
                self.set_filter(argument)
            case "goto":
                self.go_to_moment(argument)
            case "theme":
                if argument not in self.available_themes:
                    raise LineError(f"there is no theme {argument}; tab shows which there are")
                self.theme = argument
            case "speed":
                if argument.rstrip("x×") not in map(str, SPEEDS):  # noqa: RUF001
                    raise LineError("speed is 1, 10 or 100")
                self.set_speed(int(argument.rstrip("x×")))  # noqa: RUF001
            case "sort":
                if self.current not in self.sorts:
                    raise LineError("this panel cannot be sorted: NO by node (3) and Peers (5) can")
                if argument and argument not in self.sort_columns():
                    raise LineError(f"there is no column {argument} ({', '.join(self.sort_columns())})")
                self.sort_by(argument)
            case "panel":
                if argument not in PANELS:
                    raise LineError(f"there is no panel {argument} ({', '.join(PANELS)})")
                self.go_to_panel(argument)
            case other:
                raise AssertionError(other)

    def show_entry(self, seq: int) -> None:
        self.hold(seq)
        self.go_to_panel("series")

    # ── leaving ─────────────────────────────────────────────────────────────────────────────────

    async def run_async(self, **options: Any) -> Any:
        """Install the signal handlers before Textual takes the terminal, so that it can always be restored."""
        if self.has_terminal and threading.current_thread() is threading.main_thread():
            for number in heeded():
                asyncio.get_running_loop().add_signal_handler(number, self.end_by, number)
        return await super().run_async(**options)

    def on_mount(self) -> None:
        if self.has_terminal:
            self.set_timer(SETTLED_SECONDS, settle)
        if self.ended_by is not None:  # the signal came before the app ran
            self.exit(True)

    async def action_quit(self) -> None:
        self.exit(False)

    def action_detach(self) -> None:
        self.exit(True)

    def end_by(self, number: int) -> None:
        """End the dashboard because of a signal, and restore the terminal.

        If the terminal is gone, or a second signal comes a while after the first, the process ends without
        waiting for pending work.
        """
        if self.ended_by is None:
            self.ended_by, self._ended_at = number, time.monotonic()
            # In the background, a change of the terminal's settings would otherwise stop this process.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        elif time.monotonic() - self._ended_at > AGAIN_SECONDS:
            os._exit(128 + number)
        if number == signal.SIGHUP:
            timer = threading.Timer(HANGUP_SECONDS, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()
        self.exit(True)

    def _handle_exception(self, error: Exception) -> None:
        """Write the report of an error in the dashboard to a file, never over the screen."""
        if self._crash_log is None:
            super()._handle_exception(error)
            return
        where = f"the report is in {self._crash_log}"
        try:
            # Do not follow a link, which somebody else may have made in a shared folder.
            descriptor = open_regular(self._crash_log, APPEND | os.O_NOFOLLOW, 0o600)
            with open(descriptor, "a", encoding="utf-8") as log:
                log.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
                log.write(plain_lines(*"".join(traceback.format_exception(error)).split("\n")))
        except OSError as failed:
            where = f"and its report cannot be written to {self._crash_log}: {failed.strerror}"
        self._return_code = 1
        self.exit(True, return_code=1, message=plain(f"flux-tui: the dashboard failed; {where}"))

    def on_unmount(self) -> None:
        for place in self.places:
            place.source.close()


def run_dashboard(app: Dashboard) -> bool:
    """Run the dashboard until the person leaves. Return whether the node keeps running.

    Raises Ended if a signal ends the dashboard.
    """
    app.has_terminal = True
    stays = bool(app.run())
    if app.ended_by is not None:
        raise Ended(app.ended_by)
    return stays
