"""A session reads ahead: the same bytes, however the socket cuts them; and no more work for cutting finely."""

import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.peer.id import ID
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.secure_session import SecureSession

from flux_tui.net.session import YIELD_EVERY, ReadAheadSession


class Cut:
    """A socket that gives `size` bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size, self._at = data, size, 0

    async def read(self, n: int | None = None) -> bytes:
        size = min(self._size, n or self._size)
        self._at += size
        return self._data[self._at - size : self._at]


class Plain(NoiseTransportReadWriter):
    """A cipher that does nothing, and counts what it is asked for."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        cipher = SimpleNamespace(decrypt_with_ad=self.decrypt_with_ad)
        self.noise_state: Any = SimpleNamespace(noise_protocol=SimpleNamespace(cipher_state_decrypt=cipher))

    def decrypt_with_ad(self, ad: None, data: memoryview) -> bytes:
        self.asked.append(len(data))
        return bytes(data)

    def encrypt(self, data: bytes) -> bytes:
        return data


def session_of(messages: list[bytes], size: int) -> tuple[ReadAheadSession, Plain]:
    pair, cipher = create_new_key_pair(), Plain()
    me = ID.from_pubkey(pair.public_key)
    plain = SecureSession(
        local_peer=me,
        local_private_key=pair.private_key,
        remote_peer=me,
        remote_permanent_pubkey=pair.public_key,
        is_initiator=True,
        conn=cipher,
    )
    raw: Any = Cut(b"".join(len(one).to_bytes(2, "big") + one for one in messages), size)
    return ReadAheadSession(plain, raw), cipher


@pytest.mark.parametrize("size", [1, 2, 3, 100, 65_536, 1 << 20])
async def test_messages_are_the_same_however_they_are_cut(size: int) -> None:
    messages = [bytes([number]) * length for number, length in enumerate((1, 2, 0, 300, 5000, 1, 65_000))]
    session, cipher = session_of(messages, size)
    found = bytearray()
    with pytest.raises(ConnectionClosedError):
        while True:
            found += await session.read()
    assert found == b"".join(messages)
    assert cipher.asked == [len(one) for one in messages]


async def test_a_message_that_dribbles_costs_what_it_has_bytes() -> None:
    session, cipher = session_of([bytes(65_000)], 1)
    tracemalloc.start()
    try:
        with trio.move_on_after(20):
            for _ in range(30_000):
                await session._decrypt_more()
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 100_000
    assert cipher.asked == []


async def test_messages_without_content_stop_nobody_else() -> None:
    session, _ = session_of([b""] * 10_000, 1 << 20)
    turns = 0
    async with trio.open_nursery() as nursery:

        async def other() -> None:
            nonlocal turns
            while True:
                await trio.lowlevel.checkpoint()
                turns += 1

        nursery.start_soon(other)
        await session._decrypt_more()
        nursery.cancel_scope.cancel()
    assert turns > 10_000 // YIELD_EVERY // 2


async def test_what_is_peeked_and_taken_is_what_is_read_next() -> None:
    session, _ = session_of([b"header and body", b"more"], 1 << 20)
    assert session.peek(1) is None
    await session.ahead()
    assert (session.peek(6), session.peek(6), session.whole) == (b"header", b"header", 15)
    assert session.take(16) is None, "it is not all in one piece"
    taken = session.take(11)
    assert taken is not None
    assert bytes(taken) == b"header and "
    assert await session.read(4) == b"body"
    assert await session.read(9) == b"more"


async def test_before_a_header_whole_frames_may_be_taken() -> None:
    session, _ = session_of([b"x" * 12, b"a header....", b"the body"], 1 << 20)

    async def take_the_first() -> None:
        await session.ahead()
        if session.peek(12) == b"x" * 12:
            session.take(12)

    session.before_header = take_the_first
    assert await session.read(12) == b"a header...."
    assert await session.read(8) == b"the body"
