"""The home: one folder with a node's identity, its series and chunk index, and its command socket.

At most one process writes to a home: the process that holds the lock. The lock ends with its process, so a killed
node leaves nothing to clean up. Programs push commands to a running node through a Unix socket (mode 0600, in a
folder of mode 0700). Commands are never answered; their outcome is in the series.
"""

import contextlib
import fcntl
import os
import socket as socketlib
import struct
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import platformdirs

from flux_tui.core.api.commands import MAX_COMMAND, Command, encode_command
from flux_tui.core.errors import FluxError
from flux_tui.path_arguments import NO_FOLDER, literal_path, typed_path
from flux_tui.regular_files import open_regular, read_regular, write_regular

ENVIRONMENT = "FLUX_TUI_HOME"
LENGTH = struct.Struct("!I")
"""The prefix of each command on the socket: its length in bytes."""
MAX_SOCKET_PATH = 100
"""Bytes; the address of a Unix socket has room for 108 (104 on macOS)."""
PUSH_TIMEOUT = 5.0
"""Seconds after which a node that does not take a command counts as stuck."""
MANY_TIMEOUT = 60.0
"""The same for a command that is one part of many: the node may be busy with the parts before."""
LOOK_SECONDS = 1.0
"""Seconds to wait for processes that check whether a node runs: each holds the lock for microseconds."""


class HomeError(FluxError):
    """Raised if a home cannot be used. The message is one sentence for a person."""


class HomeBusyError(HomeError):
    """Raised if another running node uses this home."""


class NoNodeError(HomeError):
    """Raised if no node runs that could take commands for this home."""


def default_home() -> Path:
    """Return the home from `$FLUX_TUI_HOME`, else the platform's folder for user data.

    Raises PathError if the variable begins with `~/` and the user has no folder, and HomeError if the platform names no
    folder for user data.
    """
    if named := os.environ.get(ENVIRONMENT):
        return typed_path(named, Path())
    try:
        found = platformdirs.user_data_path("flux-tui", appauthor=False)
    except RuntimeError:
        found = Path()
    if not found.is_absolute():  # older versions of platformdirs return a relative one
        raise HomeError(f"{NO_FOLDER}; name a folder for the node with --home or {ENVIRONMENT}")
    return found


class Home:
    """The paths in one home folder, and its lock. Nothing is created before `lock` or `prepare`."""

    def __init__(self, path: Path | str) -> None:
        """Set the paths. Raises PathError if `path` is relative and the working folder no longer exists."""
        self.path = literal_path(path)
        self.database = self.path / "flux.db"
        self.identity = self.path / "identity"
        self.settings = self.path / "settings.toml"
        self.names = self.path / "names.toml"
        self.node_log = self.path / "node.log"
        self.crash_log = self.path / "crash.log"
        self.port = self.path / "port"
        self._flags = self.path / "flags"
        self._lock = self.path / "lock"
        self.opening_file = self.path / "opening"

    @property
    def socket(self) -> Path:
        """The path of the Unix socket to which commands are pushed."""
        return self.path / "node.sock"

    @contextmanager
    def socket_address(self) -> Iterator[str]:
        """Yield the socket's path, short enough to bind or connect to. Raises HomeError.

        Systems limit the length of a socket's path. For a longer one, this process makes a temporary symbolic link
        to the home, which no other process uses.
        """
        address = str(self.socket)
        if len(os.fsencode(address)) <= MAX_SOCKET_PATH:
            yield address
            return
        with _link_to(self.path) as link:
            yield str(link / self.socket.name)

    def prepare(self) -> None:
        """Create the home folder, accessible only to its user. Raises HomeError."""
        try:
            self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.path.chmod(0o700)
        except FileExistsError:
            raise HomeError(f"the home {self.path} is a file, not a folder") from None
        except NotADirectoryError:
            raise HomeError(f"the home {self.path} cannot be made: a part of its path is a file") from None
        except OSError as error:
            raise HomeError(f"the home {self.path} cannot be written: {_words(error)}") from None

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold this home's lock while the context lasts, so that only this process writes to it.

        Raises HomeBusyError if another process holds the lock, and HomeError.
        """
        self.prepare()
        try:
            descriptor = open_regular(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise HomeError(f"the home {self.path} cannot be written: {_words(error)}") from None
        try:
            if not _lock_alone(descriptor):
                owner = os.pread(descriptor, 20, 0).decode(errors="replace").strip() or "?"
                raise HomeBusyError(
                    f"the home {self.path} is in use by the node with pid {owner}: stop it, or use --home"
                    " for another one"
                )
            try:
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            except OSError as error:
                raise HomeError(f"the home {self.path} cannot be written: {_words(error)}") from None
            yield
        finally:
            os.close(descriptor)

    def running(self) -> int | None:
        """Return the pid of the process that holds this home's lock; None: no process does; 0: the pid is unknown."""
        try:
            descriptor = open_regular(self._lock)
        except OSError:
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            text = os.pread(descriptor, 20, 0).decode(errors="replace").strip()
            return int(text) if text.isdigit() else 0
        else:
            return None
        finally:
            os.close(descriptor)

    def note_opening(self, done: int, total: int) -> None:
        """Note for other programs how many entries of its series the node has read, which listens after the last.

        If the home cannot be written, nothing is noted.
        """
        with contextlib.suppress(OSError):
            write_regular(self.opening_file, b"%d %d\n" % (done, total))

    def end_opening(self) -> None:
        """Note that the node has read its series."""
        with contextlib.suppress(OSError):
            self.opening_file.unlink(missing_ok=True)

    def opening(self) -> tuple[int, int] | None:
        """Return how many entries a node that is starting has read, and how many there are; None: it reads few."""
        try:
            done, total = map(int, read_regular(self.opening_file, 100).split())
        except (OSError, ValueError):
            return None
        return done, total

    def listening(self) -> bool:
        """Whether a node of this home accepts commands now."""
        try:
            self._connect().close()
        except HomeError:
            return False
        return True

    def push(self, *commands: Command, many: bool = False) -> None:
        """Push commands to this home's node, and return once it has taken them.

        `many`: they are a part of a long list that is pushed part by part, so the node may be busy with parts before.
        Raises NoNodeError if no node takes commands, and HomeError if a command is too long or the node breaks off.
        """
        frames = bytearray()
        for command in commands:
            body = encode_command(command)
            if len(body) > MAX_COMMAND:
                raise HomeError(f"that is too much for one command ({len(body):,} bytes): push it in parts")
            frames += LENGTH.pack(len(body)) + body
        connection = self._connect()
        connection.settimeout(MANY_TIMEOUT if many else PUSH_TIMEOUT)
        try:
            connection.sendall(frames)
            # Wait until the node has taken everything: closing earlier would discard what it has not read.
            connection.shutdown(socketlib.SHUT_WR)
            connection.recv(1)
        except OSError as error:
            raise HomeError(f"the node of {self.path} does not take commands: {_words(error)}") from None
        finally:
            connection.close()

    def last_port(self) -> int | None:
        """Return the TCP port on which this home's node listened last; None: not known.

        The node uses the port again, so that old tickets with its address stay valid.
        """
        try:
            port = int(read_regular(self.port))
        except (OSError, ValueError):
            return None
        return port if 0 < port < 65536 else None

    def remember_port(self, port: int) -> None:
        """Save the port for the next start. If the home cannot be written, nothing is saved."""
        with contextlib.suppress(OSError):
            write_regular(self.port, b"%d\n" % port)

    def last_flags(self) -> list[str] | None:
        """Return the command-line flags with which this home's node was started last; None: not known."""
        import json  # takes 1 ms, here and below: the dashboard's first frame does not wait for it

        try:
            found = json.loads(read_regular(self._flags))
        except (OSError, ValueError):
            return None
        known = isinstance(found, list) and all(isinstance(flag, str) for flag in found)
        return found if known else None

    def remember_flags(self, flags: Sequence[str]) -> None:
        """Save the command-line flags for a restart of the node. If the home cannot be written, nothing is saved."""
        import json

        with contextlib.suppress(OSError):
            write_regular(self._flags, json.dumps(list(flags)).encode() + b"\n")

    def _connect(self) -> socketlib.socket:
        connection = socketlib.socket(socketlib.AF_UNIX, socketlib.SOCK_STREAM)
        connection.settimeout(PUSH_TIMEOUT)
        deadline = time.monotonic() + PUSH_TIMEOUT
        while True:
            try:
                with self.socket_address() as address:
                    connection.connect(address)
            except HomeError:
                connection.close()
                raise
            except BlockingIOError:
                # The socket's queue is full. Linux says so at once, whatever the timeout.
                if time.monotonic() < deadline:
                    time.sleep(0.01)
                    continue
                connection.close()
                raise HomeError(f"the node of {self.path} does not take commands: too many wait") from None
            except OSError:
                connection.close()
                raise NoNodeError(
                    f"no node is running for {self.path}: start one with `flux-tui node`"
                ) from None
            return connection


@contextmanager
def _link_to(folder: Path) -> Iterator[Path]:
    """Yield a temporary symbolic link to `folder` that has a short path. Raises HomeError."""
    try:
        own = tempfile.TemporaryDirectory(prefix="flux-", dir=_short_folder())
        link = Path(own.name) / "home"
        link.symlink_to(folder)
    except OSError as error:
        raise HomeError(
            f"the path {folder} is too long for a socket, and no short link to it can be made: {_words(error)}"
        ) from None
    with own:
        yield link


def _short_folder() -> str:
    """Return the folder for temporary files if its path is short, else /tmp."""
    chosen = tempfile.gettempdir()
    return chosen if len(os.fsencode(chosen)) <= MAX_SOCKET_PATH // 2 else "/tmp"  # noqa: S108 - mkdtemp's


def _lock_alone(descriptor: int) -> bool:
    """Take the exclusive lock of a home's lock file. Returns False if another process holds it.

    Another process that calls `Home.running` takes a shared lock for a moment. This function waits for the release of
    a shared lock, at most LOOK_SECONDS.
    """
    deadline = time.monotonic() + LOOK_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return False
            fcntl.flock(descriptor, fcntl.LOCK_UN)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.001)
            continue
        return True


def _words(error: OSError) -> str:
    return (error.strerror or str(error)).lower()
