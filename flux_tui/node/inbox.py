"""The command socket, from inside: commands come in, nothing goes out.

Only the user's own processes can reach it (mode 0600 in a folder of mode 0700). Bytes that are no
command end that connection and nothing else.
"""

import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import trio

from flux_tui.core.commands import MAX_COMMAND, BadCommandError, Command, decode_command
from flux_tui.home import LENGTH, Home

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
"""Processes that push commands at the same time."""


async def serve_inbox(
    home: Home,
    on_command: Callable[[Command], None],
    task_status: Any = trio.TASK_STATUS_IGNORED,
) -> None:
    """Take commands until cancelled. Under the home's lock, so that a socket found here is a dead one."""
    path = home.socket
    _unlink(path)
    listener = trio.socket.socket(trio.socket.AF_UNIX, trio.socket.SOCK_STREAM)
    try:
        # The folder keeps others out until the mode is set. (A umask would be every thread's, also of the
        # one that makes somebody's folders just now.)
        await listener.bind(str(path))
        path.chmod(0o600)
        listener.listen(MAX_CONNECTIONS)
        task_status.started()
        handler = partial(_take, on_command)
        await trio.serve_listeners(handler, [trio.SocketListener(listener)])
    finally:
        listener.close()
        _unlink(path)


def _unlink(path: Path) -> None:
    path.unlink(missing_ok=True)


async def _take(on_command: Callable[[Command], None], stream: trio.SocketStream) -> None:
    async with stream:
        try:
            buffer = bytearray()
            async for data in stream:
                buffer += data
                while len(buffer) >= LENGTH.size:
                    (size,) = LENGTH.unpack_from(buffer)
                    if size > MAX_COMMAND:
                        raise BadCommandError(f"a command of {size} bytes")
                    if len(buffer) < LENGTH.size + size:
                        break
                    command = decode_command(bytes(buffer[LENGTH.size : LENGTH.size + size]))
                    del buffer[: LENGTH.size + size]
                    on_command(command)
        except BadCommandError as error:
            log.warning("the command socket was sent %s", error)
        except trio.BrokenResourceError:
            pass  # who pushed has gone; what came whole was taken
