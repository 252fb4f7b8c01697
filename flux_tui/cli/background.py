"""Start a home's node in the background, and check that it listens."""

import subprocess
import time
from collections.abc import Callable

from flux_tui.child_command import child_command
from flux_tui.cli.arguments.flags_for_node import apply_to_running
from flux_tui.cli.output import failure_in, say
from flux_tui.home import Home, HomeError
from flux_tui.regular_files import open_to_read, open_to_write

START_SECONDS = 60.0
"""Seconds for a node to start listening. Importing libp2p takes one of them, and more on a machine that is busy."""
BUSY_SECONDS = 20.0
"""Seconds in which another process that uses the home, and does not listen, may end or begin to listen."""
TOLD_SECONDS, MAX_TOLD_SECONDS = 2.0, 30.0
"""Seconds after which a line says how much of a long series a node has read. Each later line waits twice as long."""


class StartDeadline:
    """When a node that is starting is late: so many seconds after the start, or after it has last read entries."""

    def __init__(self, home: Home, seconds: float = START_SECONDS, tell: Callable[[str], None] = say) -> None:
        self._home = home
        self._tell = tell
        self._seconds = seconds
        self._until = time.monotonic() + seconds
        self._read = home.opening()
        """What it said when this began: perhaps what a node that was killed has left."""
        self._wait = TOLD_SECONDS
        self._tell_at = time.monotonic() + self._wait

    def is_over(self) -> bool:
        """Return whether the node is late. Says how far it is, if it reads a long series."""
        now, read = time.monotonic(), self._home.opening()
        if read is not None and read != self._read:
            self._read = read
            self._until = now + self._seconds
            if now >= self._tell_at:
                self._wait = min(2 * self._wait, MAX_TOLD_SECONDS)
                self._tell_at = now + self._wait
                self._tell(f"The node reads its series before it starts: {read[0]:,} of {read[1]:,} entries.")
        return now >= self._until


def ensure_node(
    home: Home,
    flags: list[str] | None = None,
    started: Callable[["subprocess.Popen[bytes]"], None] = lambda process: None,
    tell: Callable[[str], None] = say,
) -> bool:
    """Make sure that a node with these options runs for this home.

    Returns True if this call started the node, False if a node ran already. A running node gets those options
    that can change while it runs. `flags`: the options as command-line words. `started` is called with the new
    process, before the node listens. `tell` is called while the node reads a long series. Raises HomeError if the node
    does not start, or if only a restart could give a running node one of the options.
    """
    home.prepare()
    if home.running() is not None and _wait_until_listening(home, None, tell):
        apply_to_running(home, flags or ())
        return False  # otherwise the node was stopping, and has stopped
    try:
        log = open_to_write(home.node_log)
    except OSError as error:
        words = (error.strerror or str(error)).lower()
        raise HomeError(f"{home.node_log} cannot be written: {words}") from None
    with log:
        start = log.tell()
        # Detached: the node outlives this command and its terminal. Its only output is the log.
        process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
            child_command("flux_tui", "node", "--home", str(home.path), *(flags or [])),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=log,
            start_new_session=True,
            close_fds=True,
        )
    started(process)
    _wait_until_listening(home, process, tell, start)
    return True


def _wait_until_listening(
    home: Home, process: "subprocess.Popen[bytes] | None", tell: Callable[[str], None], log_start: int = 0
) -> bool:
    """Wait until the node listens, and return True.

    `process`: the node that this command started; None if another process started the node. `log_start`: the
    size of the node's log in bytes before the start. Returns False if the node of another process has stopped.
    Raises HomeError if this command's node failed, or if the node does not listen in time.
    """
    deadline = StartDeadline(home, tell=tell)
    while not deadline.is_over():
        if home.listening():
            return True
        if process is not None and process.poll() is not None:
            raise HomeError(_start_error(home, log_start))
        if process is None and home.running() is None:
            return False
        time.sleep(0.03)
    raise HomeError(f"the node of {home.path} does not take commands: see {home.node_log}")


def _start_error(home: Home, start: int) -> str:
    """Return why a node failed to start, in one sentence. It is read from the node's log, after byte `start`."""
    with open_to_read(home.node_log) as log:
        log.seek(start)
        lines = log.read().decode(errors="replace").strip().splitlines()
    last = lines[-1] if lines else "it said nothing (`flux-tui node` shows why)"
    return failure_in(last) or f"the node did not start: {last}"
