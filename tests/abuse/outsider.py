"""An outsider, which does not know the key of a private swarm.

It has no session, only sockets, and as many as it can open.
"""

import os
from collections.abc import Awaitable, Callable

import trio

from flux_tui.net.upstream.pnet import NONCE_BYTES, xsalsa20

HELLO = b"\x13/multistream/1.0.0\n\x07/noise\n"
"""The first bytes of every connection."""
AT_ONCE = 32
"""How many connections are open at once."""
JUNK = 64 * 1024
"""Bytes sent after the start."""
HOLD_SECONDS = 1.0
"""Seconds after which a connection is left that the node did not close."""


def without_key() -> bytes:
    """Begin as in a swarm without a key."""
    return HELLO + os.urandom(JUNK)


def with_a_wrong_key() -> bytes:
    """Begin as a member of another swarm would."""
    nonce = os.urandom(NONCE_BYTES)
    return nonce + xsalsa20(os.urandom(32), nonce).encrypt(HELLO + bytes(JUNK))


def half_a_nonce() -> bytes:
    """Send half a nonce and nothing more."""
    return os.urandom(NONCE_BYTES // 2)


OUTSIDERS: dict[str, Callable[[], bytes]] = {
    "outsider": without_key, "wrong-key": with_a_wrong_key, "half-nonce": half_a_nonce,
}  # fmt: skip


async def knock(port: int, begin: Callable[[], bytes], heard: Callable[[bytes], object]) -> None:
    """Connect and begin, again and again, until cancelled. `heard` is called with received bytes."""

    async def again() -> None:
        while True:
            await trio.lowlevel.checkpoint()
            try:
                async with await trio.open_tcp_stream("127.0.0.1", port) as stream:
                    with trio.move_on_after(HOLD_SECONDS):
                        await stream.send_all(begin())
                        while data := await stream.receive_some(4096):
                            heard(data)
            except (OSError, trio.BrokenResourceError):
                await trio.sleep(0.001)

    await _all([again] * AT_ONCE)


async def _all(tasks: list[Callable[[], Awaitable[None]]]) -> None:
    async with trio.open_nursery() as nursery:
        for task in tasks:
            nursery.start_soon(task)
