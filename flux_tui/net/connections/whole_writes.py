"""Finishes each write to a connection that has begun, or closes the connection.

A task that is cancelled in the middle of a write would send only half of an encrypted message. Everything written
after it would be garbage to the peer. So a cancelled write gets FINISH_SECONDS more to finish. If the peer does not
read it in that time, the connection is closed.

Most writes find room in the system's buffer. Such a write costs one system call, and one checkpoint after it.
"""

import os

import trio
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream

FINISH_SECONDS = 1.0
"""Seconds for the rest of a cancelled write."""


def tcp_of(raw: object) -> TrioTCPStream | None:
    """Return the TCP stream below a connection, even below a private swarm's cipher; None if there is none."""
    for _ in range(4):
        if isinstance(raw, TrioTCPStream):
            return raw
        inner = raw.__dict__ if hasattr(raw, "__dict__") else {}
        raw = inner.get("stream") or inner.get("_conn")
    return None


def keep_whole(raw: IRawConnection) -> None:
    """Change a connection so that no write to it stops in the middle, even when its task is cancelled."""
    tcp = tcp_of(raw)
    if tcp is not None:
        tcp.write = _Whole(tcp).write  # type: ignore[method-assign]  # of this one only
        return
    write = raw.write

    async def whole(data: bytes) -> None:
        try:
            await write(data)
        except trio.Cancelled:
            with trio.move_on_after(FINISH_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                await raw.close()
            raise

    raw.write = whole  # type: ignore[method-assign]  # of this one only


class _Whole:
    """Writes to a TCP stream. A cancelled write is still finished before the task ends.

    If it cannot be finished in FINISH_SECONDS, the stream is closed.
    """

    def __init__(self, tcp: TrioTCPStream) -> None:
        self._socket = tcp.stream.socket
        self._lock = tcp.write_lock

    async def write(self, data: bytes) -> None:
        left = memoryview(data)
        left = left[self._write_now(left) :]
        if not left:
            await trio.lowlevel.checkpoint()
            return

        async def send() -> None:
            nonlocal left
            async with self._lock:
                while left:
                    left = left[await self._socket.send(left) :]

        try:
            await send()
        except trio.Cancelled:
            try:
                with trio.move_on_after(FINISH_SECONDS, shield=True):  # type: ignore[call-arg]  # likewise
                    await send()
            except (OSError, trio.ClosedResourceError):
                pass  # it is closed
            finally:
                if left:
                    self._socket.close()
            raise
        except trio.ClosedResourceError:
            return  # closed by this node: return, as libp2p does
        except OSError as error:
            raise ConnectionClosedError(f"the connection broke: {error}", transport="tcp") from error

    def _write_now(self, data: memoryview) -> int:
        """Write what the system takes at once, and return the number of bytes. 0: another task is writing."""
        if self._lock.locked() or (descriptor := self._socket.fileno()) < 0:
            return 0
        try:
            return os.write(descriptor, data)
        except OSError:
            return 0  # it takes nothing now; or the error comes again where it is handled
