"""The window in which a person types or picks a path to share. It shows errors and keeps the typed text."""

import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from rich.text import Text, TextType
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.suggester import Suggester
from textual.widgets import DirectoryTree
from typing_extensions import override

from flux_tui.core.content.ticket import is_ticket_like, ticket_words
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import plain
from flux_tui.path_arguments import PathError, dropped_words, to_share, typed_paths
from flux_tui.ui.rows.view_and_lines import identifies
from flux_tui.ui.screens.typed_window import TypedWindow
from flux_tui.ui.typed.command_line_types import Context
from flux_tui.ui.typed.completions import paths
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText


class PathSuggester(Suggester):
    """Suggests how a typed path may go on, from the names in the file system."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(use_cache=False, case_sensitive=True)
        self._folder = folder

    @override
    async def get_suggestion(self, value: str) -> str | None:
        return complete_path(value, self._folder)


def complete_path(value: str, folder: Path | None) -> str | None:
    """Return the first path that begins with the typed text and is longer. A folder ends in a slash.

    None: there is no such path, or nothing was typed. `folder`: the folder for relative paths.
    """
    found = paths(value, Context(State(), folder, str)) if value else []
    return next((path for path in found if path != value), None)


class PathField(PlainInput):
    """An input for the path to share. It also takes files that are dropped on the terminal."""

    @override
    def pasted(self, text: str) -> str:
        try:
            words = dropped_words(text.strip())
        except PathError:
            return super().pasted(text)  # the error is shown when the line is entered
        return words[0] if len(words) == 1 else shlex.join(words)


class VisibleTree(DirectoryTree):
    """A tree of folders and files without hidden ones. Unfinished downloads are hidden files, too."""

    @override
    def process_label(self, label: TextType) -> Text:
        return Text(plain(str(label)))

    @override
    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".")]


class AddScreen(TypedWindow[list[Path]]):
    """A window in which a person types a path to share, picks it from a tree, or drops several files."""

    WINDOW = "add"

    BINDINGS: ClassVar[list[BindingType]] = [Binding("down", "to_tree", "Tree", show=False)]

    def __init__(
        self,
        folder: Path | None,
        *,
        masked: bool = False,
        text: str = "",
        send: Callable[[list[Path]], None] = lambda paths: None,
        trouble: str | None = None,
    ) -> None:
        """Open the window; see `TypedWindow`. `send` shares the paths that the person chose.

        `folder`: the folder for relative paths; None: it no longer exists. `masked`: show no ids, addresses
        and paths.
        """
        super().__init__(send, text, trouble)
        self._folder = folder
        self._masked = masked
        self._example = "" if masked else ", a whole one" if folder is None else f", e.g. {folder}/"

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Share a file or folder"
            yield PlainText(plain("Its bytes stay where they are."), classes="note")
            suggester = None if self._masked else PathSuggester(self._folder)
            yield PathField(placeholder=plain(f"a path{self._example}"), suggester=suggester, id="path")
            yield PlainText(id="error", classes="error")
            yield VisibleTree(self._folder or "/")
            yield PlainText(
                plain("tab completes · ↓ to the tree · enter shares · esc leaves"), classes="note"
            )

    @on(PlainInput.Changed)
    def hide(self, event: PlainInput.Changed) -> None:
        """Hide the typed text, if ids are hidden and the text has an id, an address or a path."""
        event.input.password = self._masked and identifies(event.value)

    def on_paste(self, event: events.Paste) -> None:
        """Put a pasted text into the input, while the tree or nothing has the focus."""
        event.stop()
        self.call_after_refresh(lambda: self._take(event.text))

    def _take(self, text: str) -> None:
        self.field.value = ""  # it holds the path that is highlighted in the tree
        self.field.take(text)
        self.field.focus()

    @on(PlainInput.Submitted)
    def typed(self, event: PlainInput.Submitted) -> None:
        """Share the typed paths and close the window, or show why they cannot be shared."""
        text = event.value.strip()
        if not text:
            self.say("Nothing was typed yet.")
            return
        try:
            self.send_and_close([to_share(path) for path in typed_paths(event.value, self._folder)])
        except PathError as error:
            if any(map(is_ticket_like, ticket_words(text))):
                self.say("That is a ticket, not a path: the window for wants takes it.")
            else:
                self.say(error.unnamed if self._masked else str(error))

    @on(DirectoryTree.FileSelected)
    def picked(self, event: DirectoryTree.FileSelected) -> None:
        """Share the file that the person chose in the tree and close the window, or show why it cannot be shared."""
        try:
            self.send_and_close([to_share(event.path.absolute())])
        except PathError as error:
            self.say(error.unnamed if self._masked else str(error))

    @on(DirectoryTree.NodeHighlighted)
    def looked_at(self, event: DirectoryTree.NodeHighlighted[object]) -> None:
        """Put the path that is highlighted in the tree into the input, while the tree has the focus.

        While ids are hidden, the path is relative to the window's folder.
        """
        data = getattr(event.node.data, "path", None)
        if data is not None and self.query_one(DirectoryTree).has_focus:
            inside = self._masked and self._folder is not None and data.is_relative_to(self._folder)
            self.field.value = str(data.relative_to(self._folder) if inside else data)

    def action_complete(self) -> None:
        """Complete the typed path. If the tree has the focus, go back to the input."""
        if self.query_one(DirectoryTree).has_focus:
            self.field.focus()
        else:
            self.fill(complete_path(self.field.value, self._folder))

    def action_to_tree(self) -> None:
        """Move the focus to the tree of files."""
        self.query_one(DirectoryTree).focus()
