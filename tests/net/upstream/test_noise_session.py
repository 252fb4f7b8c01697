"""A session reads ahead: it returns the same bytes in any cut of the socket, and small cuts cost no more work."""

import socket
import struct
import tracemalloc
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.abc import IRawConnection
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.io.exceptions import ConnectionClosedError
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.security.noise.io import NoiseTransportReadWriter
from libp2p.security.secure_session import SecureSession
from noise.connection import NoiseConnection

from flux_tui.net.upstream import noise_session as session_module
from flux_tui.net.upstream.noise_session import (
    BATCH_BYTES,
    QUICK_SECONDS,
    SLOW_BATCH_BYTES,
    YIELD_EVERY,
    ReadAheadSession,
    batch,
)

SIZES = (1, 2, 0, 300, 5000, 65_000, 1, 65_535, 65_535, 65_535, 7)
"""Sizes of consecutive messages."""


class Cut:
    """A socket that returns `size` bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        self._data, self._size, self._at = data, size, 0

    async def read(self, n: int | None = None) -> bytes:
        size = min(self._size, n or self._size)
        self._at += size
        return self._data[self._at - size : self._at]


class Counting(Cut):
    """A socket that counts how many times it is read."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data, 1 << 20)
        self.reads = 0

    async def read(self, n: int | None = None) -> bytes:
        self.reads += 1
        return await super().read(n)


class Echo:
    """The state of a Noise session without encryption."""

    def decrypt(self, data: bytes) -> bytes:
        return data


class Plain(NoiseTransportReadWriter):
    """A cipher that does nothing, and counts its calls."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        cipher = SimpleNamespace(cipher=self, format_nonce=lambda n: n)
        noise = SimpleNamespace(cipher_state_decrypt=SimpleNamespace(cipher=cipher, n=0))
        self.noise_state: Any = SimpleNamespace(noise_protocol=noise)

    def decrypt(self, nonce: int, data: memoryview, ad: None) -> bytes:  # type: ignore[override]
        self.asked.append(len(data))
        return bytes(data)

    def encrypt(self, data: bytes) -> bytes:
        return data


def session_of(messages: list[bytes], size: int) -> tuple[ReadAheadSession, Plain]:
    raw: Any = Cut(b"".join(map(framed, messages)), size)
    cipher = Plain()
    return session_on(raw, cipher), cipher


def framed(message: bytes) -> bytes:
    return len(message).to_bytes(2, "big") + message


def session_on(raw: IRawConnection, cipher: NoiseTransportReadWriter) -> ReadAheadSession:
    pair = create_new_key_pair()
    me = ID.from_pubkey(pair.public_key)
    plain = SecureSession(
        local_peer=me,
        local_private_key=pair.private_key,
        remote_peer=me,
        remote_permanent_pubkey=pair.public_key,
        is_initiator=True,
        conn=cipher,
    )
    return ReadAheadSession(plain, raw)


@pytest.mark.parametrize("size", [1, 2, 3, 100, 65_536, 1 << 20])
async def test_messages_are_the_same_in_any_cut(size: int) -> None:
    messages = [bytes([number]) * length for number, length in enumerate((1, 2, 0, 300, 5000, 1, 65_000))]
    session, cipher = session_of(messages, size)
    found = bytearray()
    with pytest.raises(ConnectionClosedError):
        while True:
            found += await session.read()
    assert found == b"".join(messages)
    assert cipher.asked == [len(one) for one in messages]


async def test_libp2p_still_reads_the_socket_twice_for_each_message() -> None:
    """If this fails, libp2p reads ahead: measure (tests/bench/raw_stream.py) whether ours is still faster."""
    messages = [bytes([number]) * 100 for number in range(10)]
    raw: Any = Counting(b"".join(map(framed, messages)))
    plain = NoiseTransportReadWriter(raw, Echo())
    assert [await plain.read_msg() for _ in messages] == messages
    assert raw.reads >= 2 * len(messages)


async def test_a_session_reads_all_waiting_messages_at_once() -> None:
    messages = [bytes([number]) * 100 for number in range(10)]
    raw: Any = Counting(b"".join(map(framed, messages)))
    session = session_on(raw, Plain())
    assert [await session.read() for _ in messages] == messages
    assert raw.reads == 1


async def test_a_slow_message_costs_work_in_proportion_to_its_bytes() -> None:
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


async def test_empty_messages_block_no_other_task() -> None:
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


async def test_peeked_and_taken_bytes_are_the_next_bytes() -> None:
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


async def test_whole_frames_may_be_taken_before_a_header() -> None:
    session, _ = session_of([b"x" * 12, b"a header....", b"the body"], 1 << 20)

    async def take_the_first() -> None:
        await session.ahead()
        if session.peek(12) == b"x" * 12:
            session.take(12)

    session.call_before_header(take_the_first)
    assert await session.read(12) == b"a header...."
    assert await session.read(8) == b"the body"


async def socket_pair() -> tuple[trio.SocketStream, trio.SocketStream]:
    one, other = trio.socket.socketpair()
    return trio.SocketStream(one), trio.SocketStream(other)


async def test_reading_a_real_socket_is_the_same_and_two_do_not_interfere() -> None:
    sent = [[bytes([who * 16 + number]) * size for number, size in enumerate(SIZES)] for who in range(3)]
    got = [bytearray() for _ in sent]

    async def read(session: ReadAheadSession, into: bytearray) -> None:
        with pytest.raises(ConnectionClosedError):
            while True:
                into += await session.read()

    async def write(stream: trio.SocketStream, messages: list[bytes]) -> None:
        data = b"".join(map(framed, messages))
        for start in range(0, len(data), 70_001):
            await stream.send_all(data[start : start + 70_001])
        await stream.aclose()

    async with trio.open_nursery() as nursery:
        for messages, into in zip(sent, got, strict=True):
            ours, theirs = await socket_pair()
            session = session_on(RawConnection(TrioTCPStream(ours), True), Plain())
            assert session._socket is ours.socket
            nursery.start_soon(read, session, into)
            nursery.start_soon(write, theirs, messages)
    assert got == [b"".join(messages) for messages in sent]


async def test_a_socket_that_is_closed_here_ends_the_reading() -> None:
    ours, theirs = await socket_pair()
    raw = RawConnection(TrioTCPStream(ours), True)
    session = session_on(raw, Plain())

    async def read() -> None:
        with pytest.raises(ConnectionClosedError):
            await session.read()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(read)
        await trio.testing.wait_all_tasks_blocked()
        await raw.close()
    with pytest.raises(ConnectionClosedError):
        await session.read()
    await theirs.aclose()


async def test_a_connection_reset_is_an_end_and_no_crash() -> None:
    listener = (await trio.open_tcp_listeners(0, host="127.0.0.1"))[0]
    ours = await trio.open_tcp_stream(*listener.socket.getsockname())
    theirs = await listener.accept()
    theirs.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    await theirs.aclose()
    session = session_on(RawConnection(TrioTCPStream(ours), True), Plain())
    with pytest.raises(ConnectionClosedError):
        await session.read()
    await ours.aclose()
    await listener.aclose()


def ciphers() -> tuple[NoiseTransportReadWriter, NoiseConnection]:
    """Return both ends of a Noise session."""
    one, other = (NoiseConnection.from_name(b"Noise_NN_25519_ChaChaPoly_SHA256") for _ in range(2))
    one.set_as_initiator()
    other.set_as_responder()
    one.start_handshake()
    other.start_handshake()
    other.read_message(one.write_message())
    one.read_message(other.write_message())
    nothing: Any = None
    return NoiseTransportReadWriter(nothing, one), other


async def test_a_sealed_message_is_a_normal_noise_message() -> None:
    ours, theirs = ciphers()
    session = session_on(Cut(b"", 1), ours)  # type: ignore[arg-type]
    bodies: list[bytes | memoryview] = [b"", b"x", bytes(65_507), memoryview(bytes(range(256)))]
    for body in bodies:
        assert theirs.decrypt(ours.encrypt(b"as libp2p does it")) == b"as libp2p does it"
        with batch() as messages:
            size = session.seal(b"twelve bytes", body, messages)
            length, message = int.from_bytes(messages[:2], "big"), bytes(messages[2:size])
        assert length == len(message)
        assert theirs.decrypt(message) == b"twelve bytes" + bytes(body)


def test_a_batch_has_room_for_one_more_message_and_is_reused() -> None:
    with batch() as one, batch() as other:
        assert one.obj is not other.obj
        assert len(one) == BATCH_BYTES + session_module.MAX_MESSAGE
        kept = {id(one.obj), id(other.obj)}
    with batch() as one, batch() as other:
        assert {id(one.obj), id(other.obj)} == kept


async def test_a_line_that_is_slow_to_take_a_batch_gets_smaller_ones(
    autojump_clock: trio.testing.MockClock,
) -> None:
    class Line(Cut):
        seconds = 0.0

        async def write(self, data: bytes) -> None:
            await trio.sleep(self.seconds)

    line = Line(b"", 1)
    session = session_on(line, Plain())  # type: ignore[arg-type]
    found = [session.batch_bytes]
    for line.seconds in (0, QUICK_SECONDS + 0.01, 0):
        await session.write_batch(memoryview(bytes(10)))
        found.append(session.batch_bytes)
    assert found == [SLOW_BATCH_BYTES, BATCH_BYTES, SLOW_BATCH_BYTES, BATCH_BYTES]
