"""The window in which a person types wants: tickets or CIDs. It shows errors and keeps the typed text."""

from collections.abc import Callable
from pathlib import Path

from textual import events, on
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.suggester import Suggester
from typing_extensions import override

from flux_tui.core.api.commands import Command
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import plain, plain_lines
from flux_tui.ui.rows.view_and_lines import HIDDEN, identifies
from flux_tui.ui.screens.typed_window import TypedWindow
from flux_tui.ui.typed.part_wanted import PartWanted
from flux_tui.ui.typed.typed_wants import Reading, names, read_wants
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText


class WantScreen(TypedWindow[list[Command | PartWanted]]):
    """A window in which a person types tickets and CIDs. It shows a preview of each."""

    WINDOW = "want"

    def __init__(
        self,
        state: State,
        folder: Path | None,
        mark: Callable[[], str],
        *,
        masked: bool = False,
        text: str = "",
        send: Callable[[list[Command | PartWanted]], None] = lambda commands: None,
        trouble: str | None = None,
    ) -> None:
        """Open the window; see `TypedWindow`. `send` pushes the commands to the node.

        `state`: has the objects that can be typed by name. `mark` returns an id for a command. `folder`:
        where files are put; None: it no longer exists. `masked`: show no ids and paths.
        """
        super().__init__(send, text, trouble)
        self._state = state
        self._folder = folder
        self._masked = masked
        where = "the folder that you are in, which is gone" if folder is None else str(folder)
        self._where = HIDDEN if masked else where
        self._mark = mark

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Push a want"
            yield PlainText(plain("Paste a ticket, a CID, CID/a/file, or several:"), classes="note")
            yield PlainInput(
                placeholder="flux1… or bafy… or a name that the series knows", id="what",
                suggester=NameSuggester(self._state),
            )  # fmt: skip
            yield PlainText(id="preview", classes="preview")
            yield PlainText(id="error", classes="error")
            where = f"enter pushes · tab completes a name · esc leaves · files of tickets go to {self._where}"
            yield PlainText(plain(where), id="where", classes="note")

    def on_paste(self, event: events.Paste) -> None:
        """Put a pasted text into the input, while nothing has the focus yet."""
        event.stop()
        self.call_after_refresh(lambda: self.field.take(event.text))

    @on(PlainInput.Changed)
    def preview(self) -> None:
        """Show which wants the typed text means so far.

        If a space ends the text, also show which words have errors.
        """
        lines, errors, _ = self._read()
        self.query_one("#preview", PlainText).tell(plain_lines(*lines[:8]))
        # While the person types, an unfinished CID is not an error yet. A space says that the word is whole.
        text = self.field.value
        # the preview below says what was understood, without ids
        self.field.password = self._masked and identifies(text)
        found = errors[:3] if text.endswith(" ") else []
        self.say(*([self._trouble] if self._trouble is not None and not found else found))

    @on(PlainInput.Submitted)
    def push(self) -> None:
        """Push the typed wants and close the window. If any word has an error, push nothing and show the errors."""
        _, errors, commands = self._read()
        if errors:
            several = ["Nothing was pushed: mend or remove that."] if commands else []
            self.say(*errors[:3], *several)
        elif commands:
            self.send_and_close(commands)
        else:
            self.say("Nothing was typed yet.")

    def action_complete(self) -> None:
        """Complete the name of an object that the person began to type."""
        self.fill(complete_name(self.field.value, self._state))

    def _read(self) -> Reading:
        return read_wants(
            self.field.value.split(),
            self._state,
            self._folder,
            self._mark,
            masked=self._masked,
        )


class NameSuggester(Suggester):
    """Suggests how a typed name may go on, from the names of objects in the series."""

    def __init__(self, state: State) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._state = state

    @override
    async def get_suggestion(self, value: str) -> str | None:
        return complete_name(value, self._state)


def complete_name(value: str, state: State) -> str | None:
    """Return the typed text with its last word completed to the name of an object.

    None: no name begins with the word.
    """
    head, space, last = value.rpartition(" ")
    found = next((name for name in names(state) if last and name.startswith(last) and name != last), None)
    return None if found is None else head + space + found
