"""Actions that push commands into the node (want, add, cancel, retry), or start it again."""

import secrets
from collections.abc import Sequence
from pathlib import Path

from textual import events

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.content.ticket import is_ticket_like, ticket_words
from flux_tui.core.ids import Cid, is_cid
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.paths import folder_here
from flux_tui.ui.dashboard.board import Board
from flux_tui.ui.widgets.plain_text import MAX_PASTED

SOON = 0.05
"""Seconds until the board looks for the result of a command in the series."""
NOTHING_HERE = "this is a recording: nothing can be pushed"


def new_mark() -> str:
    """Return a mark for a command, to find its outcome in the series."""
    return secrets.token_hex(6)


class PushActions(Board):
    """Actions that push commands. They do not wait: the outcome of a command is in the series."""

    def push_commands(self, commands: Sequence[Command], done: str) -> bool:
        """Push commands into the node, then show `done`. Show an error as a notice."""
        try:
            self.push_or_raise(commands, done)
        except ValueError as error:
            self.notify(str(error), severity="error", timeout=8)
            return False
        return True

    def push_or_raise(self, commands: Sequence[Command], done: str) -> None:
        """Push commands into the node, then show `done`. Raise ValueError with one sentence."""
        if self.place.push is None:
            raise ValueError(NOTHING_HERE)
        for command in commands:
            try:
                self.place.push(command)
            except Exception as error:  # HomeError: the node does not run; its sentence says so
                raise ValueError(str(error)) from error
        self.notify(done, timeout=3)
        self.set_timer(SOON, self.tick)

    def action_want(self) -> None:
        if not self._can_push():
            return
        self.open_wants("")

    def open_wants(self, text: str) -> None:
        """Open the window for wants, with a text in it."""
        from flux_tui.ui.screens.typing import WantScreen

        def push(commands: list[Command] | None) -> None:
            if commands:
                self.push_commands(commands, f"pushed {counted(len(commands), 'want')}")

        screen = WantScreen(self.state, folder_here(), new_mark, masked=self.masked, text=text)
        self.push_screen(screen, push)

    def action_add(self) -> None:
        if not self._can_push():
            return
        self.open_add("")

    def open_add(self, text: str) -> None:
        """Open the window for adding, with a text in it."""
        from flux_tui.ui.screens.typing import AddScreen

        ticket = self.keys.shown(self.keys.named("ticket"))

        def push(paths: list[Path] | None) -> None:
            if paths:
                what = paths[0].name if len(paths) == 1 else counted(len(paths), "path")
                self.push_commands(
                    [cmd.Add(str(path), new_mark()) for path in paths],
                    f"adding {what}; {ticket} then copies its ticket",
                )

        self.push_screen(AddScreen(folder_here(), masked=self.masked, text=text), push)

    def on_paste(self, event: events.Paste) -> None:
        """Handle a paste outside of any input.

        A ticket or a CID opens the window for wants. A dropped file opens the window for adding.
        """
        if len(self.screen_stack) > 1 or self.prompt.kind or not self._can_push():
            return
        words = ticket_words(event.text[:MAX_PASTED])
        if any(is_ticket_like(word) or is_cid(word) for word in words):
            self.open_wants(event.text)
        elif event.text.strip().lstrip("'\"").startswith(("/", "~/", "file://")):
            self.open_add(event.text)
        else:
            self.notify("what was pasted is neither a ticket nor a path", timeout=4)

    def action_hold(self) -> None:
        """Open the command line with `hold` and the selected object. The person adds the number of replicas."""
        if not self._can_push():
            return
        root = self.selected_root()
        called = self.view(80).name(root) if root is not None else ""
        self.begin_command(f"hold {root if ' ' in called or '…' in called else called}".rstrip() + " ")

    def begin_command(self, text: str) -> None:
        """Open the command line with a text in it."""

    def action_cancel(self) -> None:
        if not self._can_push():
            return
        held = Cid(self.panel().selected or "")
        cids = self._chosen_cids()
        if not cids and self.current == "pending" and held in self.state.holds:
            self.push_commands([cmd.Release((held,), new_mark())], f"released {self.view(80).name(held)}")
        elif not cids:
            self.notify("select what to cancel in Pending (2) or Retries (4) first", timeout=4)
        elif self.push_commands(
            [cmd.Cancel(cids, new_mark())], f"cancelled {self._called(cids)}; what came of it is kept"
        ):
            self._unmark()
            self.panel().step_aside()

    def action_remove(self) -> None:
        """Stop sharing the selected object, after a question that says what this does and does not change."""
        if not self._can_push():
            return
        from flux_tui.ui.screens.confirm import ConfirmScreen

        view, adding = self.view(80), self._selected_add()
        root = self.selected_root()
        if adding is not None:
            command: Command = cmd.CancelAdd(adding, by=new_mark())
            name = plain(Path(adding).name)
            question = plain(f"Read no more of {name}, and share nothing of it?")
            facts, done = [plain("The file or folder stays as it is.")], f"no more of {name} is added"
        elif root is None:
            self.begin_command("rm ")
            return
        elif (instead := self._not_shared(root)) is not None:
            self.notify(instead, timeout=4)
            return
        else:
            command, name = cmd.Remove((root,), new_mark()), view.name(root)
            question = plain(f"Stop sharing {name}?")
            found = self.state.objects[root]
            facts = [plain("Whoever asks for it, or is fetching it, hears NO.")]
            if found.path is not None:
                facts.append(plain(f"{view.text(found.path)} stays as it is."))
            done = f"{name} is no longer shared"

        def answer(yes: bool | None) -> None:
            if yes:
                self.push_commands([command], done)

        self.push_screen(ConfirmScreen(question, *facts), answer)

    def _not_shared(self, root: Cid) -> Plain | None:
        """Return what to press or type for an object that is not shared. None: it is shared."""
        name, found = self.view(80).name(root), self.state.objects[root]
        pending = self.state.pending.get(root)
        if pending is not None and not pending.held:
            cancel = self.keys.shown(self.keys.named("cancel"))
            return plain(f"{name} is not whole yet: {cancel} cancels it")
        if found.origin == "held":
            return plain(f"{name} is kept here for others: `:release {name}` lets go of it")
        return None

    def _selected_add(self) -> str | None:
        """Return the path of a running add, if the selected entry is about it."""
        key = self.panel().selected
        if self.current != "series" or key is None or self.panel().selected_index() < 0:
            return None
        entry = self.source.entry(int(key))
        path = getattr(entry.event, "path", None) if entry is not None else None
        return path if path in self.state.adding else None

    def action_retry(self) -> None:
        if not self._can_push():
            return
        cids = self._chosen_cids()
        if not self.state.pending:
            self.notify("nothing is pending", timeout=3)
        elif cids:
            if self.push_commands([cmd.Retry(cids, new_mark())], f"pushed {self._called(cids)} again"):
                self._unmark()
        else:
            self.push_commands([cmd.Retry((), new_mark())], "pushed all that is pending again")

    def action_mark(self) -> None:
        panel = self.panel()
        if self.current not in ("pending", "retries"):
            self.notify("mark lines of Pending (2) or Retries (4)", timeout=3)
        elif (key := panel.selected) is not None and panel.selected_index() >= 0:
            panel.marked ^= {key}
            panel.action_move(1)
            self.show_all()

    def action_restart(self) -> None:
        if self.place.restart is None:
            self.notify(NOTHING_HERE if self.place.recording else "this node is not ours to start", timeout=4)
        elif self.alive:
            self.notify("the node runs", timeout=3)
        else:
            self.place.restart()
            self.notify("starting the node", timeout=3)

    def _chosen_cids(self) -> tuple[Cid, ...]:
        """Return the wants that are marked in Pending or Retries, or else the selected one."""
        if self.current not in ("pending", "retries"):
            return ()
        panel = self.panel()
        pending = self.state.pending
        marked = tuple(Cid(key) for key in sorted(panel.marked) if key in pending)
        if marked:
            return marked
        return (Cid(panel.selected),) if panel.selected in pending else ()

    def _called(self, cids: tuple[Cid, ...]) -> str:
        return self.view(80).name(cids[0]) if len(cids) == 1 else counted(len(cids), "want")

    def _unmark(self) -> None:
        self.panel().marked.clear()
        self.show_all()

    def _can_push(self) -> bool:
        """Return whether a node takes commands. If not, tell the person before they type anything."""
        if self.place.push is None:
            self.notify(NOTHING_HERE, severity="warning")
            return False
        if gone := self._gone():
            self.notify(gone, severity="error", timeout=8)
            return False
        return True
