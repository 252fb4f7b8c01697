"""Runs the lines that a person types at the prompt: commands, moments to go to, and filters."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flux_tui.ui.actions.command_sender import CommandSender
from flux_tui.ui.actions.completion_context import Completion
from flux_tui.ui.actions.filtering import NOT_FILTERED, Filtering
from flux_tui.ui.actions.sorting import Sorting
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.playback import SPEEDS, Playback
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.prompt import Prompt

if TYPE_CHECKING:  # what reads typed lines is imported when the first one is entered
    from flux_tui.ui.typed.command_line_types import Outcome

COMMANDS = "want  get  add  cancel  goto  filter  theme …   tab completes"
MOMENTS = "12:01:03  -5m  +10s  #1234  start  live"


class CommandLine:
    """Opens the prompt and runs the commands, filters and moments that a person enters there.

    `run` runs an action by its name. `set_theme` sets the colours by the name of a theme. `changed` is called
    after a peer got another name.
    """

    def __init__(
        self,
        nodes: Nodes,
        prompt: Prompt,
        completion: Completion,
        sender: CommandSender,
        playback: Playback,
        panels: Panels,
        filtering: Filtering,
        sorting: Sorting,
        *,
        notify: Notify,
        run: Callable[[str], None],
        set_theme: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._notify = notify
        self._changed = changed
        self._prompt = prompt
        self._completion = completion
        self._sender = sender
        self._playback = playback
        self._panels = panels
        self._filtering = filtering
        self._sorting = sorting
        self._run = run
        self._set_theme = set_theme

    def open(self, text: str = "") -> None:
        """Open the prompt for a command, with `text` already typed."""
        self._prompt.open("command", ":", COMMANDS, text=text, completer=self._completion.lines)

    def open_goto(self) -> None:
        """Open the prompt in which a person types the moment to which the cursor moves."""
        self._prompt.open("goto", "go to", MOMENTS)

    def typed(self, kind: str, text: str) -> None:
        """React to each change of the typed text: a filter is applied while the person types it.

        `kind`: the kind of the prompt (command, goto or filter).
        """
        if kind == "filter":
            self._filtering.set(text)

    def left(self, kind: str) -> None:
        """React to the person closing the prompt without enter: a filter being typed is removed.

        `kind`: the kind of the prompt (command, goto or filter).
        """
        if kind == "filter":
            self._filtering.set("")
        self._panels.focus()

    def entered(self, kind: str, text: str) -> None:
        """Run the entered line and close the prompt.

        If the line has an error, keep the prompt open and show the error. `kind`: the kind of the prompt
        (command, goto or filter).
        """
        from flux_tui.ui.typed.command_line import read_line
        from flux_tui.ui.typed.command_line_types import Outcome

        if not kind:
            return
        outcome = Outcome()
        try:
            if kind == "goto":
                self._playback.go_to_typed(text)
            elif kind == "command" and text.strip(": "):
                outcome = read_line(text, self._completion.context())
                self._set(outcome)
                self._name(outcome)
            if outcome.commands:
                self._sender.push_or_raise(outcome.commands, outcome.done)
        except ValueError as error:
            self._prompt.say(str(error))
            return
        self._prompt.close()
        self._panels.focus()
        if outcome.action:
            self._run(outcome.action)

    def _set(self, outcome: "Outcome") -> None:
        """Do what the entered line asks of the dashboard: filter, go to a moment or panel, theme, speed or order.

        Do nothing if it asks none of these. Raise a ValueError with one sentence.
        """
        argument = outcome.argument
        match outcome.setting:
            case "":
                return
            case "filter":
                if not self._filtering.possible:
                    raise ValueError(NOT_FILTERED)
                self._filtering.set(argument)
            case "goto":
                self._playback.go_to_typed(argument)
            case "theme":
                if argument not in self._completion.context().themes:
                    raise ValueError(f"there is no theme {argument}; tab shows which there are")
                self._set_theme(argument)
            case "speed":
                self._playback.set_speed(_speed(argument))
            case "sort":
                self._sort(argument)
            case "panel":
                if argument not in PANELS:
                    raise ValueError(f"there is no panel {argument} ({', '.join(PANELS)})")
                self._panels.go_to(argument)
            case other:
                raise AssertionError(other)

    def _name(self, outcome: "Outcome") -> None:
        """Rename a peer, if the entered line asks for that; an empty name removes the peer's name.

        Raise ValueError with one sentence if the names cannot be changed.
        """
        if outcome.named is None:
            return
        rename = self._nodes.shown.rename
        if rename is None:
            raise ValueError("these names come with the nodes: they cannot be changed here")
        before = str(self._completion.context().forms.get(outcome.named) or "the peer")
        try:
            name = rename(outcome.named, outcome.argument)
        except Exception as error:  # SettingsError: the file cannot be written; its sentence says so
            raise ValueError(str(error)) from error
        self._changed()
        self._notify(
            f"{before} is called {name} now" if name else f"{before} has no name any more", timeout=4
        )

    def _sort(self, column: str) -> None:
        if not self._sorting.possible:
            raise ValueError("this panel cannot be sorted: NO by node (3) and Peers (5) can")
        columns = self._sorting.columns()
        if column and column not in columns:
            raise ValueError(f"there is no column {column} ({', '.join(columns)})")
        self._sorting.sort_by(column)


def _speed(typed: str) -> int:
    number = typed.rstrip("x×")  # noqa: RUF001
    if number not in map(str, SPEEDS):
        raise ValueError("speed is 1, 10 or 100")
    return int(number)
