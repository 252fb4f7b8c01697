"""Sends commands about the selected line or all marked lines: cancel, retry, hold, stop sharing."""

from collections.abc import Callable
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.ids import Cid
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.ui.actions.command_sender import CommandSender, new_mark
from flux_tui.ui.board.panels import OBJECTS, Panels
from flux_tui.ui.keys import Keys
from flux_tui.ui.screens.open_window_protocol import OpenWindow
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes

MARKING = ("pending", "retries", "objects")
"""The panels whose lines can be marked."""
NAME_WIDTH = 80
"""The width of the view that names objects. A name does not depend on it."""


class SelectedObjects:
    """Sends commands about the selected line, or about all marked lines.

    `type_command` opens the command line with a text in it. `changed` is called after lines were marked or
    unmarked.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        panels: Panels,
        sender: CommandSender,
        keys: Keys,
        *,
        notify: Notify,
        open_window: OpenWindow,
        type_command: Callable[[str], None],
        changed: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._views = views
        self._panels = panels
        self._sender = sender
        self._keys = keys
        self._notify = notify
        self._open_window = open_window
        self._type_command = type_command
        self._changed = changed
        self._cancelled: list[Command] = []
        """The wants that were cancelled last, to want them again."""

    def mark(self) -> None:
        """Mark the selected line for a command, or unmark it, and select the next line."""
        panel = self._panels.panel()
        if self._panels.current not in MARKING:
            self._notify("mark lines of Pending (2), Retries (4) or Objects (8)", timeout=3)
        elif (key := self._panels.selected_key()) is not None:
            panel.toggle_mark(key)
            panel.action_move(1)
            self._changed()

    def mark_range(self) -> None:
        """Mark all lines from the last marked line to the selected line. If no line is marked, show how to mark one."""
        if self._panels.current not in MARKING:
            self._notify("mark lines of Pending (2), Retries (4) or Objects (8)", timeout=3)
        elif not self._panels.panel().mark_range():
            mark = self._keys.shown(self._keys.named("mark"))
            self._notify(f"mark the first line of the range with {mark}, then select the last", timeout=4)
        else:
            self._changed()

    def mark_all(self) -> None:
        """Mark all lines that the filter of the panel shows, or unmark them if all are marked."""
        if self._panels.current not in MARKING:
            self._notify("mark lines of Pending (2), Retries (4) or Objects (8)", timeout=3)
            return
        self._panels.panel().toggle_all()
        self._changed()

    def hold(self) -> None:
        """Open the command line with `hold` and the selected object.

        The person then types the number of replicas.
        """
        if not self._sender.can_type():
            return
        root = self._panels.selected_root()
        called = self._name(root) if root is not None else ""
        self._type_command(f"hold {root if ' ' in called or '…' in called else called}".rstrip() + " ")

    def cancel(self) -> None:
        """Cancel the selected want or all marked wants.

        If a hold is selected, release it: no more replicas are kept.
        """
        if not self._sender.ready():
            return
        panel, state = self._panels.panel(), self._nodes.state
        selected = Cid(panel.selected or "")
        cids = self._chosen()
        if not cids and self._panels.current == "pending" and selected in state.holds:
            release = cmd.Release((selected,), new_mark())
            self._sender.push([release], f"released {self._name(selected)}")
        elif not cids:
            self._notify("select what to cancel in Pending (2), Retries (4) or Objects (8) first", timeout=4)
        else:
            again = self._wants_of(cids)
            undo = self._keys.shown(self._keys.named("undo"))
            done = f"cancelled {self._called(cids)}; {undo} wants {'it' if len(cids) == 1 else 'them'} again"
            if self._sender.push([cmd.Cancel(cids, new_mark())], done):
                self._cancelled = again
                self._unmark()
                if self._panels.current != OBJECTS:  # there it stays, as cancelled
                    panel.select_neighbour()

    def undo(self) -> None:
        """Want again the objects and loose chunks that were cancelled last, at the same paths."""
        if not self._sender.ready():
            return
        if not self._cancelled:
            self._notify("nothing was cancelled here", timeout=3)
        elif self._sender.push(self._cancelled, "wanted again what was cancelled last"):
            self._cancelled = []

    def _wants_of(self, cids: tuple[Cid, ...]) -> list[Command]:
        """Return the commands that want these objects and chunks again, with the same paths and limits as now."""
        state = self._nodes.state
        objects = [found for cid in cids if (found := state.objects.get(cid)) is not None]
        loose = [cid for cid in cids if cid not in state.objects]
        wants: list[Command] = [
            cmd.Get(found.root, found.path, size=found.limit, name=found.name, by=new_mark())
            if found.path is not None
            else cmd.Want(found.root, new_mark())
            for found in objects
        ]
        return wants + [cmd.WantMany(part, new_mark()) for part in cmd.in_parts(loose)]

    def retry(self) -> None:
        """Push the selected or marked wants to peers again now. If none is chosen, push all pending wants."""
        if not self._sender.ready():
            return
        cids = self._chosen()
        if not self._nodes.state.pending:
            self._notify("nothing is pending", timeout=3)
        elif cids:
            if self._sender.push([cmd.Retry(cids, new_mark())], f"pushed {self._called(cids)} again"):
                self._unmark()
        else:
            self._sender.push([cmd.Retry((), new_mark())], "pushed all that is pending again")

    # ── stop sharing ────────────────────────────────────────────────────────────────────────────

    def remove(self) -> None:
        """Ask the person whether to stop sharing the selected object, and do so if they say yes.

        If the selected entry is about a file or folder that is still being added, ask whether to stop adding
        it. If neither is selected, open the command line with `rm`.
        """
        if not self._sender.ready():
            return
        adding = self._selected_add()
        if adding is not None:
            self._ask_to_stop_adding(adding)
            return
        root = self._panels.selected_root()
        if root is None:
            self._type_command("rm ")
        elif (instead := self._not_shared(root)) is not None:
            self._notify(instead, timeout=4)
        else:
            self._ask_to_remove(root)

    def _ask_to_stop_adding(self, path: str) -> None:
        name = plain(Path(path).name)
        self._ask(
            plain(f"Read no more of {name}, and share nothing of it?"),
            [plain("The file or folder stays as it is.")],
            cmd.CancelAdd(path, by=new_mark()),
            f"no more of {name} is added",
        )

    def _ask_to_remove(self, root: Cid) -> None:
        view = self._views.view(NAME_WIDTH)
        name, path = view.name(root), self._nodes.state.objects[root].path
        facts = [plain("Peers that ask for it, or are fetching it, are answered NO.")]
        if path is not None:
            facts.append(plain(f"{view.text(path)} stays as it is."))
        self._ask(
            plain(f"Stop sharing {name}?"),
            facts,
            cmd.Remove((root,), new_mark()),
            f"{name} is no longer shared",
        )

    def _ask(self, question: Plain, facts: list[Plain], command: Command, done: str) -> None:
        from flux_tui.ui.screens.confirm import ConfirmScreen  # imported when it is first opened

        def answer(yes: bool | None) -> None:
            if yes:
                self._sender.push([command], done)

        self._open_window(ConfirmScreen(question, *facts), answer)

    def _not_shared(self, root: Cid) -> Plain | None:
        """Return why an object cannot be taken out of sharing, and which key or command ends it instead.

        None: the object is shared.
        """
        state = self._nodes.state
        name, pending = self._name(root), state.pending.get(root)
        if pending is not None and not pending.held:
            cancel = self._keys.shown(self._keys.named("cancel"))
            return plain(f"{name} is not whole yet: {cancel} cancels it")
        if state.objects[root].origin == "held":
            return plain(f"{name} is kept here for others: `:release {name}` lets go of it")
        return None

    def _selected_add(self) -> str | None:
        """Return the path of the file or folder that is being added, if the selected entry is about it.

        Otherwise None.
        """
        entry = self._panels.selected_entry()
        path = getattr(entry.event, "path", None) if entry is not None else None
        return path if path in self._nodes.state.adding else None

    # ── what is chosen ──────────────────────────────────────────────────────────────────────────

    def _chosen(self) -> tuple[Cid, ...]:
        """Return the wants that are marked in the current panel, or else the selected want.

        Empty: there is neither.
        """
        if self._panels.current not in MARKING:
            return ()
        panel, pending = self._panels.panel(), self._nodes.state.pending
        selected = self._panels.selected_key()
        marked = tuple(Cid(key) for key in sorted(panel.marked) if key in pending)
        if marked:
            return marked
        return (Cid(selected),) if selected is not None and selected in pending else ()

    def _name(self, cid: Cid) -> Plain:
        return self._views.view(NAME_WIDTH).name(cid)

    def _called(self, cids: tuple[Cid, ...]) -> str:
        return self._name(cids[0]) if len(cids) == 1 else counted(len(cids), "want")

    def _unmark(self) -> None:
        self._panels.panel().clear_marks()
        self._changed()
