"""Where a person types what to push: a want, or a path to share. What is wrong is said in place, and what
was typed stays."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import DirectoryTree

from flux_tui.core.commands import Command
from flux_tui.core.plain import plain, plain_lines
from flux_tui.core.state import State
from flux_tui.paths import PathError, typed_path
from flux_tui.ui.commandline import Context, paths
from flux_tui.ui.shown import Field, Words
from flux_tui.ui.view import HIDDEN, tells
from flux_tui.ui.wants import Reading, names, read_wants


class PasteInput(Field):
    """An input that takes many pasted lines as words of one."""

    def _on_paste(self, event: events.Paste) -> None:
        self.insert_text_at_cursor(" ".join(event.text.split()))
        event.prevent_default()
        event.stop()


class WantScreen(ModalScreen[list[Command]]):
    """Tickets and CIDs, with a preview of each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_nothing", "Close", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
    ]

    def __init__(self, state: State, folder: Path, mark: Callable[[], str], *, masked: bool = False) -> None:
        super().__init__()
        self._state = state
        self._folder = folder
        self._masked = masked
        self._where = HIDDEN if masked else str(folder)
        self._mark = mark

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Push a want"
            yield Words(plain("Paste a ticket, a CID, or several:"), classes="note")
            yield PasteInput(placeholder="flux1… or bafy… or a name that the series knows", id="what",
                             suggester=NameSuggester(self._state))  # fmt: skip
            yield Words(id="preview", classes="preview")
            yield Words(id="error", classes="error")
            where = f"enter pushes · tab completes a name · esc leaves · files of tickets go to {self._where}"
            yield Words(plain(where), id="where", classes="note")

    @on(Field.Changed)
    def preview(self) -> None:
        lines, errors, _ = self._read()
        self.query_one("#preview", Words).tell(plain_lines(*lines[:8]))
        # While typing, an unfinished CID is no mistake yet; a space says that it was meant to be whole.
        field = self.query_one(PasteInput)
        text = field.value
        field.password = self._masked and tells(text)  # what was understood is said below, without that
        self._say(*(errors[:3] if text.endswith(" ") else ()))

    @on(Field.Submitted)
    def push(self) -> None:
        _, errors, commands = self._read()
        if errors:
            several = ["Nothing was pushed: mend or remove that."] if commands else []
            self._say(*errors[:3], *several)
        elif commands:
            self.dismiss(commands)
        else:
            self._say("Nothing was typed yet.")

    def action_complete(self) -> None:
        field = self.query_one(PasteInput)
        if (longer := complete_name(field.value, self._state)) is not None:
            field.value = longer
            field.cursor_position = len(longer)

    def action_dismiss_nothing(self) -> None:
        self.dismiss([])

    def _say(self, *lines: str) -> None:
        self.query_one("#error", Words).tell(plain_lines(*lines))

    def _read(self) -> Reading:
        return read_wants(
            self.query_one(PasteInput).value, self._state, self._folder, self._mark, masked=self._masked
        )


class NameSuggester(Suggester):
    """Completes a name that the series knows."""

    def __init__(self, state: State) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._state = state

    async def get_suggestion(self, value: str) -> str | None:
        return complete_name(value, self._state)


def complete_name(value: str, state: State) -> str | None:
    """What was typed, with its last word completed to the first name that begins so."""
    head, space, last = value.rpartition(" ")
    found = next((name for name in names(state) if last and name.startswith(last) and name != last), None)
    return None if found is None else head + space + found


class PathSuggester(Suggester):
    """Completes a path from the file system."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return complete_path(value)


def complete_path(value: str) -> str | None:
    """The first path that begins with what was typed; folders end in a slash."""
    found = paths(value, Context(State(), Path.cwd(), str)) if value else []
    return next((path for path in found if path != value), None)


class VisibleTree(DirectoryTree):
    """Without hidden files, among them those that are still being fetched."""

    def process_label(self, label: TextType) -> Text:
        return Text(plain(str(label)))

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".")]


class AddScreen(ModalScreen[Path | None]):
    """A path, typed with completion or picked from a tree."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_nothing", "Close", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
        Binding("down", "to_tree", "Tree", show=False),
    ]

    def __init__(self, folder: Path, *, masked: bool = False) -> None:
        super().__init__()
        self._folder = folder
        self._masked = masked
        self._example = "" if masked else f", e.g. {folder}/"

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Share a file or folder"
            yield Words(plain("Its bytes stay where they are."), classes="note")
            suggester = None if self._masked else PathSuggester()
            yield Field(placeholder=plain(f"a path{self._example}"), suggester=suggester, id="path")
            yield Words(id="error", classes="error")
            yield VisibleTree(self._folder)
            yield Words(plain("tab completes · ↓ to the tree · enter shares · esc leaves"), classes="note")

    @on(Field.Changed)
    def hide(self, event: Field.Changed) -> None:
        event.input.password = self._masked and tells(event.value)

    @on(Field.Submitted)
    def typed(self, event: Field.Submitted) -> None:
        typed = event.value.strip()
        try:
            self._share(typed_path(typed, self._folder), bool(typed))
        except PathError as error:
            self._say(str(error))

    @on(DirectoryTree.FileSelected)
    def picked(self, event: DirectoryTree.FileSelected) -> None:
        self._share(event.path.absolute(), True)

    @on(DirectoryTree.NodeHighlighted)
    def looked_at(self, event: DirectoryTree.NodeHighlighted[object]) -> None:
        data = getattr(event.node.data, "path", None)
        if data is not None and self.query_one(DirectoryTree).has_focus:
            inside = self._masked and data.is_relative_to(self._folder)
            self.query_one(Field).value = str(data.relative_to(self._folder) if inside else data)

    def action_complete(self) -> None:
        field = self.query_one(Field)
        if self.query_one(DirectoryTree).has_focus:
            field.focus()
        elif (longer := complete_path(field.value)) is not None:
            field.value = longer
            field.cursor_position = len(longer)

    def action_to_tree(self) -> None:
        self.query_one(DirectoryTree).focus()

    def action_dismiss_nothing(self) -> None:
        self.dismiss(None)

    def _say(self, *lines: str) -> None:
        self.query_one("#error", Words).tell(plain_lines(*lines))

    def _share(self, path: Path, named: bool) -> None:
        if not named:
            self._say("Nothing was typed yet.")
        elif not path.exists():
            self._say(f"{'that' if self._masked else path} does not exist")
        else:
            self.dismiss(path)
