"""A write to a connection is made whole, or the connection ends.

Whoever is cancelled in the middle of a write would leave half an encrypted message behind. Everything that others write
after it would be garbage to the peer. So a write that began gets FINISH_SECONDS more when it is cancelled; if the peer
takes it that slowly, the connection is closed.
"""

import trio
from libp2p.abc import IRawConnection
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream

FINISH_SECONDS = 1.0
"""For what is left of a write that was cancelled."""


def tcp_of(raw: object) -> TrioTCPStream | None:
    """The TCP stream at the bottom of a connection, whatever protects it; None: there is none of its own."""
    for _ in range(4):
        if isinstance(raw, TrioTCPStream):
            return raw
        inner = raw.__dict__ if hasattr(raw, "__dict__") else {}
        raw = inner.get("stream") or inner.get("_conn")
    return None


def keep_whole(raw: IRawConnection) -> None:
    """From now on, no write to this connection is left in the middle."""
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

    raw.write = whole  # type: ignore[method-assign]  # likewise


class _Whole:
    """Writes to one TCP stream."""

    def __init__(self, tcp: TrioTCPStream) -> None:
        self._socket = tcp.stream.socket
        self._lock = tcp.write_lock

    async def write(self, data: bytes) -> None:
        left = memoryview(data)

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
            return  # closed here: as libp2p's own
        except OSError as error:
            raise ConnectionClosedError(f"the connection broke: {error}", transport="tcp") from error
