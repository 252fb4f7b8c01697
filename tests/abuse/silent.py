"""Connections that begin and then fall silent: one for each stage of a handshake.

Each function goes to its stage, leaves its socket open until the stack is closed, and returns.
"""

import os
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack

import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.security_multistream import SecurityMultistream

from flux_tui.net.flux.noise_and_yamux import security
from flux_tui.net.upstream.pnet import NONCE_BYTES, ProtectedConnection

Stage = Callable[[AsyncExitStack, int, str, bytes | None], Awaitable[None]]
GREETING = b"\x13/multistream/1.0.0\n"
NOISE = b"\x07/noise\n"
YAMUX_HEADER = bytes(12)


async def _socket(
    stack: AsyncExitStack, port: int, key: bytes | None
) -> "RawConnection | ProtectedConnection":
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    stack.push_async_callback(stream.aclose)
    raw = RawConnection(TrioTCPStream(stream), True)
    return raw if key is None else ProtectedConnection(raw, key)


async def _say(stack: AsyncExitStack, port: int, key: bytes | None, words: bytes) -> None:
    try:
        await (await _socket(stack, port, key)).write(words)
    except Exception:
        return  # it was closed already, which is fine


async def tcp_only(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Send no byte."""
    await _socket(stack, port, None)


async def half_a_nonce(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Send half of the start of a private swarm (in an open one: random bytes)."""
    await _say(stack, port, None, os.urandom(NONCE_BYTES // 2))


async def half_a_greeting(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Send half of the first line of multistream."""
    await _say(stack, port, key, GREETING[:9])


async def half_a_handshake(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Negotiate Noise, and send half of its first message."""
    await _say(stack, port, key, GREETING + NOISE + b"\x00\x20" + os.urandom(16))


async def secured_and_silent(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Complete Noise, and never negotiate yamux."""
    await _secure(stack, port, victim, key, b"")


async def half_a_muxer(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Complete Noise, and send half of the greeting that negotiates yamux."""
    await _secure(stack, port, victim, key, GREETING[:9])


async def half_a_frame(stack: AsyncExitStack, port: int, victim: str, key: bytes | None) -> None:
    """Negotiate yamux, and send half of its first header."""
    await _secure(stack, port, victim, key, GREETING + b"\x0d/yamux/1.0.0\n" + YAMUX_HEADER[:5])


async def _secure(stack: AsyncExitStack, port: int, victim: str, key: bytes | None, words: bytes) -> None:
    try:
        raw = await _socket(stack, port, key)
        pair = create_new_key_pair()
        secured = await SecurityMultistream(dict(security(pair))).secure_outbound(raw, ID.from_base58(victim))
        if words:
            await secured.write(words)
    except Exception:
        return  # it was closed already, which is fine


STAGES: tuple[Stage, ...] = (
    tcp_only, half_a_nonce, half_a_greeting, half_a_handshake, secured_and_silent, half_a_muxer, half_a_frame,
)  # fmt: skip
