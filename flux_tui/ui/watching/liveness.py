"""Finds out whether the shown node runs, and which message to show if it does not."""

import time
from collections.abc import Callable
from typing import Literal, TypeAlias

from flux_tui.ui.watching.watched_node import Nodes

Phase: TypeAlias = Literal["live", "starting", "stopping", "none"]
"""What the node does now. `none`: there is no node."""
ALIVE_SECONDS = 1.0
"""Seconds between two checks of a node that ran at the last one."""


class Liveness:
    """Checks whether the shown node runs, at most once a second while it does.

    A node that does not run is checked every `seconds`, because it may just have started. `often`: a node
    that runs is checked every `seconds`, too. `restart_key`: the key that starts the node, as a person reads
    it.
    """

    def __init__(
        self,
        nodes: Nodes,
        *,
        seconds: float,
        restart_key: str,
        often: bool = False,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._seconds = seconds
        self._restart_key = restart_key
        self._often = often
        self._monotonic = monotonic
        self._alive = False
        self._checked_at: float | None = None
        """The time of the last check. None: check the node next time."""
        self._was_alive = False
        """Whether the node ran at any check since it is shown."""
        self._ran_from: float | None = None
        """The start time of the node that was last seen running."""

    @property
    def alive(self) -> bool:
        """Whether the shown node runs, so that it writes its series."""
        now = self._monotonic()
        wait = ALIVE_SECONDS if self._alive and not self._often else self._seconds
        if self._checked_at is None or now - self._checked_at >= wait:
            self._checked_at = now
            node = self._nodes.shown
            self._alive = not node.recording and node.alive()
            self._was_alive = self._was_alive or self._alive
        return self._alive

    @property
    def starting(self) -> bool:
        """Whether the shown node is being started, and no error was reported so far."""
        node = self._nodes.shown
        return node.starting() and not node.trouble()

    def check_again(self) -> None:
        """Check the node at the next call of `alive`, even if it was just checked."""
        self._checked_at = None

    def begin_again(self) -> None:
        """Forget the results of earlier checks, because another node is shown."""
        self.check_again()
        self._was_alive = False

    def phase(self) -> Phase:
        """Return the status of the shown node: starting, live, stopping, or none if it does not run."""
        if self.alive:
            state = self._nodes.state
            if state.running:
                self._ran_from = state.started_at
                return "live"
            # The node has locked its home. Its series does not say yet that it started, or says that it
            # stopped.
            ends = state.started_at is not None and self._ran_from == state.started_at
            return "stopping" if ends else "starting"
        return "starting" if self.starting else "none"

    def gone(self) -> str | None:
        """Return a message that the node has died or is stopped, and which key starts it.

        None: the node runs, is being started or never ran, its series is still being read, or it is a
        recording.
        """
        return self._gone(f"press {self._restart_key} to start it again")

    def gone_behind_window(self) -> str | None:
        """Return the message of `gone` for a window in which keys are text. None: as for `gone`.

        The message tells the person to close the window before they press the key that starts the node.
        """
        return self._gone(f"esc, then {self._restart_key} starts it again")

    def _gone(self, offer: str) -> str | None:
        node, source = self._nodes.shown, self._nodes.source
        if node.recording or self.alive or source.loading:
            return None
        trouble = node.trouble()
        if self.starting or not (source.last_seq or self._was_alive or trouble):
            return None
        state = source.state
        died = state.running or (self._was_alive and not state.seq)
        how = "has died: it left no word" if died else "is stopped"
        return (trouble or f"The node {how}") + (f"; {offer}" if node.restart else "")
