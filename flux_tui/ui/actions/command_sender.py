"""Sends a person's commands to the shown node, and starts that node again if it is gone."""

import os
import threading
from collections.abc import Callable, Sequence

from flux_tui.core.api.commands import Command
from flux_tui.ui.typed.part_wanted import PartWanted
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.watched_node import Nodes

STILL_STARTING = "the node is still starting: try again in a moment"
NOTHING_HERE = "this is a recording: nothing can be pushed"


def new_mark() -> str:
    """Return a new random id for a command. The entries about the command's outcome have the same id."""
    return os.urandom(6).hex()


class CommandSender:
    """Pushes commands to the shown node, without waiting for an answer.

    The outcome of a command appears in the series. `sent` is called after commands were pushed.
    """

    def __init__(self, nodes: Nodes, liveness: Liveness, *, notify: Notify, sent: Callable[[], None]) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._notify = notify
        self._sent = sent

    def ready(self) -> bool:
        """Return whether the shown node takes commands. If it does not, show the person why."""
        if self._nodes.shown.push is None:
            self._notify(NOTHING_HERE, severity="warning")
            return False
        if gone := self._liveness.gone():
            self._notify(gone, severity="error", timeout=8)
            return False
        return True

    def can_type(self) -> bool:
        """Return whether a person may type a command. If a recording is shown, show them that they cannot.

        A person may type while the node is gone. The prompt keeps the text until the node runs again. Without
        a prompt, the keys would go to the panels.
        """
        if self._nodes.shown.push is None:
            return self.ready()
        return True

    def gone(self) -> str | None:
        """Return a sentence for the person if the shown node is gone, to be shown in a window.

        None: the node runs or is starting, or a recording is shown.
        """
        return self._liveness.gone_behind_window()

    def push(self, commands: Sequence[Command | PartWanted], done: str) -> bool:
        """Push commands in order, then show `done` as a notice. At the first error, stop, and show the error instead.

        Return whether all were pushed.
        """
        try:
            self.push_or_raise(commands, done)
        except ValueError as error:
            self._notify(str(error), severity="error", timeout=8)
            return False
        return True

    def push_or_raise(self, commands: Sequence[Command | PartWanted], done: str) -> None:
        """Push commands in order, then show `done` as a notice.

        A want for a part of an object is pushed when the part's CID is found, in a thread of its own; an error is then
        shown as a notice. Raise ValueError with one sentence at the first other command that cannot be pushed. Those
        before it were pushed.
        """
        push = self._nodes.shown.push
        if push is None:
            raise ValueError(NOTHING_HERE)
        for command in commands:
            if isinstance(command, PartWanted):
                threading.Thread(target=self._push_part, args=(command,), daemon=True).start()
                continue
            try:
                push(command)
            except Exception as error:  # HomeError: the node does not run; its sentence says so
                raise ValueError(STILL_STARTING if self._liveness.starting else str(error)) from error
        self._notify(done, timeout=3)
        self._sent()

    def _push_part(self, wanted: PartWanted) -> None:
        """Find a part of an object, and push the want for it. Show an error as a notice. Runs in a thread."""
        node = self._nodes.shown
        try:
            if node.find_part is None or node.push is None:
                raise ValueError(NOTHING_HERE)
            node.push(wanted.command(node.find_part(wanted.path)))
        except Exception as error:  # its sentence says what is wrong
            self._notify(f"{wanted.path.names[-1]} cannot be fetched: {error}", severity="error", timeout=8)

    def restart(self) -> None:
        """Start the shown node again with its earlier flags, if it is gone.

        If it runs, or was not started from here, only tell the person so.
        """
        node = self._nodes.shown
        if node.restart is None:
            self._notify(NOTHING_HERE if node.recording else "this node is not ours to start", timeout=4)
        elif self._liveness.alive:
            self._notify("the node runs", timeout=3)
        else:
            node.restart()
            self._notify("starting the node", timeout=3)
