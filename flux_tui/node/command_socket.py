"""The node's end of the command socket: it receives commands, and never sends an answer.

Only the user's own processes can reach the socket (mode 0600, in a folder of mode 0700). If a client sends invalid
bytes, only its connection is closed.
"""

import errno
import logging
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import trio

from flux_tui.core.api.commands import MAX_COMMAND, BadCommandError, Command, decode_command
from flux_tui.core.limits import BoundedTable
from flux_tui.home import LENGTH, Home

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
"""Connections at the same time. One more, and the connection that has been silent the longest is closed."""
IDLE_SECONDS = 10.0
"""Seconds of silence after which a connection is closed: a client pushes and disconnects."""
NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
"""The errors of `accept` when this process or machine has no more open files or memory."""
LONG_COMMAND = 64 * 1024
"""Bytes of a command from which on it takes the node some time: a thousand CIDs."""
PAUSE_SECONDS = 0.1
"""Seconds until `accept` is tried again after such an error."""


async def serve_inbox(
    home: Home,
    on_command: Callable[[Command], None],
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Receive commands, and call `on_command` for each, until cancelled.

    The caller holds the home's lock, so no other node runs here. If a socket exists already, an earlier node left
    it, and it is replaced.
    """
    path = home.socket
    _unlink(path)
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        # The folder keeps other users out until the mode is set. (A umask would apply to every thread, also
        # to one that makes somebody's folders just now.)
        with home.socket_address() as address:
            await listener.bind(address)
        path.chmod(0o600)
        listener.listen(MAX_CONNECTIONS)
        task_status.started()
        await _accept(trio.SocketListener(listener), on_command)
    finally:
        listener.close()
        _unlink(path)


class _Clients:
    """The connected clients, ordered so that the client which has been silent longest comes first."""

    def __init__(self) -> None:
        self._scopes: BoundedTable[int, trio.CancelScope] = BoundedTable(MAX_CONNECTIONS)
        self._numbers = count()

    async def serve(self, stream: trio.SocketStream, on_command: Callable[[Command], None]) -> None:
        number = next(self._numbers)
        with trio.CancelScope() as scope:
            if (oldest := self._scopes.put(number, scope)) is not None:
                oldest[1].cancel()  # it had its time, and the new client has had none
            try:
                await _take(on_command, stream, lambda: self._heard(number))
            finally:
                self._scopes.pop(number, None)

    def _heard(self, number: int) -> None:
        if number in self._scopes:
            self._scopes.move_to_end(number)


async def _accept(listener: trio.SocketListener, on_command: Callable[[Command], None]) -> None:
    clients = _Clients()
    async with trio.open_nursery() as nursery:
        while True:
            stream = await _next(listener)
            nursery.start_soon(clients.serve, stream, on_command)


async def _next(listener: trio.SocketListener) -> trio.SocketStream:
    while True:
        try:
            return await listener.accept()
        except OSError as error:
            if error.errno not in NO_DESCRIPTORS:
                raise
            log.warning("the command socket takes nobody at the moment: %s", error)
            await trio.sleep(PAUSE_SECONDS)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _take(
    on_command: Callable[[Command], None], stream: trio.SocketStream, heard: Callable[[], None]
) -> None:
    async with stream:
        try:
            buffer = bytearray()
            while True:
                with trio.move_on_after(IDLE_SECONDS) as idle:
                    data = await stream.receive_some()
                if idle.cancelled_caught or not data:
                    return
                buffer += data
                heard()
                while len(buffer) >= LENGTH.size:
                    (size,) = LENGTH.unpack_from(buffer)
                    if size > MAX_COMMAND:
                        raise BadCommandError(f"a command of {size} bytes")
                    if len(buffer) < LENGTH.size + size:
                        break
                    command = decode_command(bytes(buffer[LENGTH.size : LENGTH.size + size]))
                    del buffer[: LENGTH.size + size]
                    on_command(command)
                    if size > LONG_COMMAND:
                        await trio.lowlevel.checkpoint()  # the node works between two parts of a long list
        except BadCommandError as error:
            log.warning("the command socket was sent %s", error)
        except trio.BrokenResourceError:
            pass  # the client is gone; its whole commands were taken
