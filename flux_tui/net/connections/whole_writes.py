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


async def acquire(lock: trio.Lock) -> None:
    """Acquire a lock, without a checkpoint if it is free. The tasks that wait for it come first."""
    try:
        lock.acquire_nowait()
    except trio.WouldBlock:
        await lock.acquire()


class _Whole:
    """Writes to a TCP stream. A cancelled write is still finished before the task ends.

    If it cannot be finished in FINISH_SECONDS, the stream is closed.
    """

    def __init__(self, tcp: TrioTCPStream) -> None:
        self._socket = tcp.stream.socket
        self._lock = tcp.write_lock

    async def write(self, data: bytes) -> None:
        left = memoryview(data)

        async def send() -> None:
            nonlocal left
            await acquire(self._lock)
            try:
                while left := left[self._write_now(left) :]:
                    await trio.lowlevel.wait_writable(self._socket.fileno())
            finally:
                self._lock.release()

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
        await trio.lowlevel.checkpoint()

    def _write_now(self, data: memoryview) -> int:
        """Write what the system takes at once, and return the number of bytes. Raises ClosedResourceError, OSError."""
        descriptor = self._socket.fileno()
        if descriptor < 0:
            raise trio.ClosedResourceError
        try:
            return os.write(descriptor, data)
        except BlockingIOError:
            return 0
