"""Where a person types what to push: a want, or a path to share. What is wrong is said in place, and what
was typed stays."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.suggester import Suggester
from textual.widgets import DirectoryTree, Input, Label, Static

from flux_tui.core.commands import Command, Get, Want
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.state import State
from flux_tui.core.ticket import Ticket, parse_ticket
from flux_tui.core.words import counted, human_size


class PasteInput(Input):
    """An input that takes many pasted lines as words of one."""

    def _on_paste(self, event: events.Paste) -> None:
        self.insert_text_at_cursor(" ".join(event.text.split()))
        event.prevent_default()
        event.stop()


class WantScreen(ModalScreen[list[Command]]):
    """Tickets and CIDs, with a preview of each."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss_nothing", "Close", show=False)]

    def __init__(self, state: State, folder: Path, mark: Callable[[], str]) -> None:
        super().__init__()
        self._state = state
        self._folder = folder
        self._mark = mark

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Push a want"
            yield Label("Paste a ticket, a CID, or several:", classes="note")
            yield PasteInput(placeholder="flux1… or bafy…", id="what")
            yield Static("", id="preview", classes="preview", markup=False)
            yield Static("", id="error", classes="error", markup=False)
            yield Label(f"enter pushes · esc leaves · files of tickets go to {self._folder}", classes="note")

    @on(Input.Changed)
    def preview(self) -> None:
        lines, errors, _ = self._read()
        self.query_one("#preview", Static).update("\n".join(lines[:8]))
        # While typing, an unfinished CID is no mistake yet; a space says that it was meant to be whole.
        text = self.query_one(PasteInput).value
        self.query_one("#error", Static).update("\n".join(errors[:3]) if text.endswith(" ") else "")

    @on(Input.Submitted)
    def push(self) -> None:
        _, errors, commands = self._read()
        if errors:
            self.query_one("#error", Static).update("\n".join(errors[:3]))
        elif commands:
            self.dismiss(commands)

    def action_dismiss_nothing(self) -> None:
        self.dismiss([])

    def _read(self) -> tuple[list[str], list[str], list[Command]]:
        """Preview lines, errors, and the commands that the text stands for."""
        lines: list[str] = []
        errors: list[str] = []
        commands: list[Command] = []
        taken: set[Path] = set()
        for word in self.query_one(PasteInput).value.split():
            known = self._by_name(word)
            try:
                ticket = Ticket(known) if known is not None else parse_ticket(word)
            except BadIdError as error:
                errors.append(str(error))
                continue
            path = _free(self._folder / Path(ticket.name).name, taken) if ticket.name else None
            if path is not None:
                taken.add(path)
            lines.append(_preview(ticket, path, self._state))
            if path is not None:
                commands.append(
                    Get(ticket.root, str(path), ticket.name, ticket.size, ticket.addrs, self._mark())
                )
            else:
                commands.append(Want(ticket.root, self._mark()))
        return lines, errors, commands

    def _by_name(self, word: str) -> Cid | None:
        """An object that the series names."""
        return next((root for root, found in self._state.objects.items() if found.name == word), None)


def _free(path: Path, taken: set[Path]) -> Path:
    """A name that nothing has yet: `film.mkv`, else `film-2.mkv`, and so on."""
    number, free = 1, path
    while free in taken or free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free


def _preview(ticket: Ticket, path: Path | None, state: State) -> str:
    known = state.objects.get(ticket.root)
    name = ticket.name or (known.name if known else None) or ticket.root
    size = ticket.size if ticket.size is not None else known.size if known else None
    words = [name, human_size(size) if size is not None else "size not known yet"]
    if known is not None and known.completed_at is not None:
        words.append("is here already")
    words.append(
        counted(len(ticket.addrs), "address", "addresses") if ticket.addrs else "from whoever has it"
    )
    return " · ".join(words) + (f"  → {path}" if path else "")


class PathSuggester(Suggester):
    """Completes a path from the file system."""

    def __init__(self) -> None:
        super().__init__(use_cache=False, case_sensitive=True)

    async def get_suggestion(self, value: str) -> str | None:
        return complete_path(value)


def complete_path(value: str) -> str | None:
    """The first path that begins with what was typed; folders end in a slash."""
    if not value:
        return None
    typed = Path(value).expanduser()
    folder, start = (typed, "") if value.endswith("/") else (typed.parent, typed.name)
    try:
        names = sorted(child.name for child in folder.iterdir() if child.name.startswith(start))
    except OSError:
        return None
    names = [name for name in names if start.startswith(".") or not name.startswith(".")]
    if not names:
        return None
    rest = names[0][len(start) :]
    slash = "/" if (folder / names[0]).is_dir() else ""
    return value + rest + slash if rest or slash else None


class VisibleTree(DirectoryTree):
    """Without hidden files, among them those that are still being fetched."""

    def filter_paths(self, paths: Iterable[Path]) -> Iterable[Path]:
        return [path for path in paths if not path.name.startswith(".")]


class AddScreen(ModalScreen[Path | None]):
    """A path, typed with completion or picked from a tree."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss_nothing", "Close", show=False),
        Binding("tab", "complete", "Complete", show=False, priority=True),
        Binding("down", "to_tree", "Tree", show=False),
    ]

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def compose(self) -> ComposeResult:
        with Vertical(classes="window") as window:
            window.border_title = "Share a file or folder"
            yield Label("Its bytes stay where they are.", classes="note")
            yield Input(placeholder=f"a path, e.g. {self._folder}/", suggester=PathSuggester(), id="path")
            yield Static("", id="error", classes="error", markup=False)
            yield VisibleTree(self._folder)
            yield Label("tab completes · ↓ to the tree · enter shares · esc leaves", classes="note")

    @on(Input.Submitted)
    def typed(self, event: Input.Submitted) -> None:
        self._share(Path(event.value.strip() or ".").expanduser().absolute(), bool(event.value.strip()))

    @on(DirectoryTree.FileSelected)
    def picked(self, event: DirectoryTree.FileSelected) -> None:
        self._share(event.path.absolute(), True)

    @on(DirectoryTree.NodeHighlighted)
    def looked_at(self, event: DirectoryTree.NodeHighlighted[object]) -> None:
        data = getattr(event.node.data, "path", None)
        if data is not None and self.query_one(DirectoryTree).has_focus:
            self.query_one(Input).value = str(data)

    def action_complete(self) -> None:
        field = self.query_one(Input)
        if self.query_one(DirectoryTree).has_focus:
            field.focus()
        elif (longer := complete_path(field.value)) is not None:
            field.value = longer
            field.cursor_position = len(longer)

    def action_to_tree(self) -> None:
        self.query_one(DirectoryTree).focus()

    def action_dismiss_nothing(self) -> None:
        self.dismiss(None)

    def _share(self, path: Path, named: bool) -> None:
        if not named:
            return
        if not path.exists():
            self.query_one("#error", Static).update(f"{path} does not exist")
        else:
            self.dismiss(path)
