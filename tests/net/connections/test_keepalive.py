"""Peers that disappear silently, connections that break during a write, and the newest of several links."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.io.trio import TrioTCPStream
from libp2p.network.connection.raw_connection import RawConnection

from flux_tui.net.connections import keepalive, whole_writes
from flux_tui.net.connections.keepalive import (
    DEAD_TICKS,
    LOST_ADDR,
    PING_TICKS,
    PROBE_SECONDS,
    SILENT,
    STUCK_TICKS,
    TICK_SECONDS,
    Keepalive,
    abort_lost,
    acknowledged_of,
    close_dead,
    local_ip_of,
    probe,
    set_options,
)
from flux_tui.net.connections.whole_writes import keep_whole
from flux_tui.net.flux import peer_dials
from flux_tui.net.upstream import dial_peer, guarded_yamux
from tests.support.hosts import silent_port
from tests.support.networks import Loopback, Node, connect, node, words

MIB = 1024 * 1024


class Peer:
    """The other end of a connection, played by a test."""

    def __init__(self, *, answers: bool = True, unsent: int | None = 0, local_ip: str | None = None) -> None:
        self.local_ip = local_ip
        self.acknowledged: int | None = None
        self.heard = 0
        self.unsent = unsent
        self.answers = answers
        self.pings: list[float] = []
        self.aborted: tuple[float, str] | None = None
        self.is_closed = False

    async def ping(self) -> None:
        await trio.lowlevel.checkpoint()
        self.pings.append(trio.current_time())
        if self.answers:
            self.heard += 1

    def abort(self, why: str) -> None:
        self.aborted = self.aborted or (trio.current_time(), why)


async def test_of_several_connections_the_dead_ones_are_closed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    dead, alive, other = Peer(answers=False, unsent=10), Peer(), object()
    open_ones: list[Any] = [SimpleNamespace(muxed_conn=one) for one in (dead, alive, other)]

    def connections() -> list[Any]:
        return [one for one in open_ones if one.muxed_conn is not dead or trio.current_time() < gone_at]

    gone_at = trio.current_time() + PROBE_SECONDS + 0.5
    await close_dead(connections)
    assert trio.current_time() == pytest.approx(gone_at, abs=0.1), "until libp2p knows"
    assert (dead.aborted is not None, alive.aborted) == (True, None)
    began = trio.current_time()
    await close_dead(connections)
    assert trio.current_time() - began < 0.1, "a living one answers at once"


@asynccontextmanager
async def watched(*peers: Peer) -> AsyncIterator[float]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Keepalive(lambda: peers).run)
        yield trio.current_time()
        nursery.cancel_scope.cancel()


async def test_a_silent_peer_is_pinged_and_then_dropped(autojump_clock: trio.testing.MockClock) -> None:
    silent, lively, chatty = Peer(answers=False), Peer(), Peer(answers=False)
    async with watched(silent, lively, chatty) as began:
        for _ in range(100):
            chatty.heard += 1
            await trio.sleep(1)
    assert silent.pings[0] - began == pytest.approx((PING_TICKS + 1) * TICK_SECONDS)
    assert silent.aborted is not None
    assert silent.aborted[0] - began == pytest.approx((DEAD_TICKS + 1) * TICK_SECONDS)
    assert silent.aborted[0] - began < 35
    assert silent.aborted[1] == SILENT
    assert lively.aborted is chatty.aborted is None
    assert len(lively.pings) > 3
    assert not chatty.pings, "who sends all the time is not asked"


async def test_tcp_acknowledgements_are_a_sign_of_life(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """On a slow line, a ping waits behind megabytes."""
    slow, stuck = Peer(answers=False, unsent=10 * MIB), Peer(answers=False, unsent=10 * MIB)
    async with watched(slow, stuck):
        for _ in range(100):
            assert slow.unsent is not None
            slow.unsent -= 100_000
            await trio.sleep(1)
    assert slow.aborted is None
    assert stuck.aborted is not None


async def test_acknowledgements_are_a_sign_of_life_although_the_queue_stays_full(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """A sender fills the queue up again at once. A hanging peer's system acknowledges pings, and nothing else."""
    full, stuck, hanging = (Peer(answers=False, unsent=size) for size in (MIB, MIB, 0))
    async with watched(full, stuck, hanging) as began:
        for number in range(100):
            full.acknowledged = hanging.acknowledged = number
            stuck.acknowledged = 7
            await trio.sleep(1)
    assert full.aborted is None
    assert stuck.aborted is not None
    assert stuck.aborted[0] - began <= (STUCK_TICKS + 1) * TICK_SECONDS + 0.1
    assert hanging.aborted is not None


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells how many bytes are acknowledged")
async def test_acknowledged_bytes_are_counted() -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    stream = await trio.open_tcp_stream("127.0.0.1", listener.socket.getsockname()[1])
    other = await listener.accept()
    before = acknowledged_of(stream.socket)
    assert before is not None
    await stream.send_all(bytes(50_000))
    with trio.fail_after(5):
        while acknowledged_of(stream.socket) != before + 50_000:  # noqa: ASYNC110 - the system tells nobody
            await trio.sleep(0.01)
    assert local_ip_of(stream.socket) == "127.0.0.1"
    for one in (stream, other, listener):
        await one.aclose()
    assert acknowledged_of(stream.socket) is None
    assert local_ip_of(stream.socket) is None


async def test_a_node_that_was_suspended_does_not_blame_its_peers(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(answers=False)
    async with watched(peer):
        for _ in range(10):
            await trio.sleep(2 * TICK_SECONDS)
            autojump_clock.jump(1000)  # stopped, or asleep
            await trio.sleep(1)
            peer.heard += 1
    assert peer.aborted is None


@pytest.mark.parametrize(
    ("answers", "unsent", "alive"),
    [(True, 0, True), (False, 0, True), (False, None, False), (True, None, True)],
)
async def test_a_connection_is_pinged_before_it_is_used_again(
    answers: bool, unsent: int | None, alive: bool, autojump_clock: trio.testing.MockClock
) -> None:
    peer = Peer(answers=answers, unsent=unsent)
    assert await probe(peer) == alive
    assert (peer.aborted is None) == alive
    assert len(peer.pings) == 1


async def test_a_closed_connection_is_not_waited_for(autojump_clock: trio.testing.MockClock) -> None:
    """After the end of a circuit, libp2p listed it for a moment more. The next dial then waited 6 s for its pong."""
    closed, closing = Peer(answers=False, unsent=None), Peer(answers=False, unsent=None)
    closed.is_closed = True
    assert not await probe(closed)
    assert not closed.pings

    async def close_soon() -> None:
        await trio.sleep(0.5)
        closing.is_closed = True

    began = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(close_soon)
        assert not await probe(closing)
    assert trio.current_time() - began < 1


async def test_a_connection_without_acknowledgements_is_dead_after_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    peer = Peer(answers=False)

    async def ping() -> None:
        await trio.lowlevel.checkpoint()
        peer.unsent = 12

    peer.ping = ping  # type: ignore[method-assign]
    began = trio.current_time()
    assert not await probe(peer)
    assert trio.current_time() - began < 5


def test_tcp_options_for_dead_connections_are_set() -> None:
    with socket.socket() as sock:
        set_options(trio.socket.from_stdlib_socket(sock))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        if hasattr(socket, "TCP_USER_TIMEOUT"):
            assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 20_000
            idle = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE)
            every = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL)
            assert idle + every * sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT) <= 30
    one, other = socket.socketpair()
    with one, other:
        set_options(trio.socket.from_stdlib_socket(one))  # no TCP: nothing happens


def test_a_system_without_these_tcp_options(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TCP_KEEPIDLE", "TCP_KEEPINTVL", "TCP_KEEPCNT", "TCP_USER_TIMEOUT"):
        monkeypatch.delattr(socket, name, raising=False)
    with socket.socket() as sock:
        set_options(trio.socket.from_stdlib_socket(sock))
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)


# ── writes ──────────────────────────────────────────────────────────────────────────────────────


@asynccontextmanager
async def line() -> AsyncIterator[tuple[RawConnection, trio.SocketStream]]:
    """Return a guarded connection, and the stream that its other end reads from."""
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    async with listeners[0] as listener:
        port = listener.socket.getsockname()[1]
        near = await trio.open_tcp_stream("127.0.0.1", port)
        far = await listener.accept()
        near.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 64 * 1024)
        raw = RawConnection(TrioTCPStream(near), True)
        keep_whole(raw)
        async with near, far:
            yield raw, far


async def test_a_write_that_is_cancelled_is_finished_if_the_peer_takes_it() -> None:
    data = bytes(range(256)) * 64 * 1024
    async with line() as (raw, far), trio.open_nursery() as nursery:
        read = bytearray()

        async def take() -> None:
            async for part in far:
                read.extend(part)

        with trio.CancelScope() as scope:
            async with trio.open_nursery() as writers:
                writers.start_soon(raw.write, data)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(take)
                scope.cancel()
        await raw.write(b"and more")
        await raw.close()
        with trio.fail_after(15):
            while len(read) < len(data) + 8:  # noqa: ASYNC110
                await trio.sleep(0.01)
        nursery.cancel_scope.cancel()
    assert bytes(read) == data + b"and more"


async def test_a_write_that_breaks_in_the_middle_ends_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(whole_writes, "FINISH_SECONDS", 0.05)
    async with line() as (raw, far):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as writers:
                writers.start_soon(raw.write, bytes(32 * MIB))
                await trio.testing.wait_all_tasks_blocked()
                scope.cancel()
        size = 0
        with trio.fail_after(15):
            try:
                while part := await far.receive_some(MIB):
                    size += len(part)
            except trio.BrokenResourceError:
                pass
        assert 0 < size < 32 * MIB
        assert await raw.read(1) == b""


# ── links ───────────────────────────────────────────────────────────────────────────────────────


class Cable:
    """A relay to a node that can be cut silently."""

    def __init__(self, port: int) -> None:
        self._to = port
        self.port = 0
        self.whole = trio.Event()
        self.whole.set()

    async def run(self, task_status: Any) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = listeners[0].socket.getsockname()[1]
        task_status.started()
        await trio.serve_listeners(self._carry, listeners)

    async def _carry(self, near: trio.SocketStream) -> None:
        far = await trio.open_tcp_stream("127.0.0.1", self._to)
        async with near, far, trio.open_nursery() as nursery:
            nursery.start_soon(self._pass_on, near, far, nursery.cancel_scope)
            nursery.start_soon(self._pass_on, far, near, nursery.cancel_scope)

    async def _pass_on(
        self, source: trio.SocketStream, sink: trio.SocketStream, scope: trio.CancelScope
    ) -> None:
        try:
            async for data in source:
                await self.whole.wait()
                await sink.send_all(data)
        except trio.BrokenResourceError:
            pass
        scope.cancel()


@asynccontextmanager
async def cable(to: Node) -> AsyncIterator[Cable]:
    async with trio.open_nursery() as nursery:
        laid = Cable(to.port)
        await nursery.start(laid.run)
        yield laid
        nursery.cancel_scope.cancel()


@pytest.fixture
def deaf(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide the acknowledgements of the other system: on loopback, the end of the cable acknowledges everything."""
    monkeypatch.setattr(guarded_yamux, "unsent_of", lambda sock: None)
    monkeypatch.setattr(guarded_yamux, "acknowledged_of", lambda sock: None)
    monkeypatch.setattr(keepalive, "PROBE_SECONDS", 0.2)


async def test_a_link_that_went_silent_ends_on_both_sides(
    deaf: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keepalive, "TICK_SECONDS", 0.1)
    monkeypatch.setattr(keepalive, "STALL_TICKS", 1000)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, cable(b) as way:
        a.network.dial(f"/ip4/127.0.0.1/tcp/{way.port}/p2p/{b.id}")
        await a.seen.up(b.id)
        await b.seen.up(a.id)
        await trio.sleep(10 * 0.1)
        assert a.seen.links == [("up", b.id)], "who is idle is not gone"
        way.whole = trio.Event()
        await a.seen.down(b.id)
        await b.seen.down(a.id)
        assert a.seen.whys == b.seen.whys == [SILENT]


async def test_dialling_a_peer_with_a_dead_link_uses_another_address(deaf: None) -> None:
    """The link counts as up, but is dead. Both ends take the new connection as their link."""
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, cable(b) as way:
        a.network.dial(f"/ip4/127.0.0.1/tcp/{way.port}/p2p/{b.id}", keep=True)
        await a.seen.up(b.id)
        await b.seen.up(a.id)
        way.whole = trio.Event()
        a.network.dial(b.addr, keep=True)
        await a.seen.until(lambda: a.seen.links == [("up", b.id), ("down", b.id), ("up", b.id)])
        await b.seen.until(lambda: b.seen.links == [("up", a.id), ("down", a.id), ("up", a.id)])
        assert a.network.push(b.id, words(1))
        assert b.network.push(a.id, words(2))
        await b.seen.until(lambda: words(1) in b.seen.messages)
        await a.seen.until(lambda: words(2) in a.seen.messages)


async def test_dialling_a_kept_peer_again_checks_its_link(deaf: None) -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, cable(b) as way:
        addr = f"/ip4/127.0.0.1/tcp/{way.port}/p2p/{b.id}"
        a.network.dial(addr, keep=True)
        await a.seen.up(b.id)
        a.network.dial(addr, keep=True)  # it is alive: nothing happens
        way.whole, cut = trio.Event(), way.whole
        a.network.dial(addr, keep=True)
        await a.seen.down(b.id)
        way.whole = cut
        await a.seen.up(b.id)


async def test_an_address_that_leads_nowhere_does_not_hold_up_another_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A peer moved: its old address is still being dialled when somebody names the new one."""
    for module in (peer_dials, dial_peer):
        monkeypatch.setattr(module, "DIAL_SECONDS", 1000.0)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b, silent_port() as nowhere:
        a.network.dial(f"/ip4/127.0.0.1/tcp/{nowhere}/p2p/{b.id}", keep=True)
        await trio.testing.wait_all_tasks_blocked(0.05)
        a.network.dial(b.addr, keep=True)
        await a.seen.up(b.id)
        assert not a.seen.failed


async def test_dialling_again_leaves_a_live_link_alone() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        for _ in range(5):
            a.network.dial(b.addr)
        a.network.push(b.id, words(1))
        await b.seen.until(lambda: b.seen.messages)
        assert a.seen.links == [("up", b.id)]
        assert not a.seen.failed


async def test_a_peer_is_reported_as_not_speaking_flux_only_if_it_says_so() -> None:
    from libp2p import new_host
    from libp2p.crypto.ed25519 import create_new_key_pair
    from multiaddr import Multiaddr

    from flux_tui.net.flux.noise_and_yamux import muxers, security
    from flux_tui.net.flux.peer_links import PROTOCOL

    key = create_new_key_pair(bytes([9]) * 32)
    other = new_host(key_pair=key, sec_opt=security(key), muxer_opt=muxers())

    async def hang_up(stream: object) -> None:
        await stream.reset()  # type: ignore[attr-defined]

    async with other.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]), node(Loopback(), 1) as a:
        addr = str(other.get_addrs()[0])
        a.network.dial(addr)
        await a.seen.until(lambda: a.seen.failed)
        assert a.seen.failed[-1][1].endswith(
            "answers, but does not speak flux; if it is an IPFS node, --bitswap speaks with it"
        )
        other.set_stream_handler(PROTOCOL, hang_up)
        a.network.dial(addr)
        await a.seen.until(lambda: len(a.seen.failed) == 2)
        assert "does not speak flux" not in a.seen.failed[-1][1]
        # Which of these depends on whether the resets take longer than a dial may.
        said = ("no link came up", "does not answer", "cannot be reached")
        assert any(words in a.seen.failed[-1][1] for words in said)


async def test_connections_of_an_address_that_is_lost_are_closed_at_once() -> None:
    peers = [Peer(local_ip=ip) for ip in ("192.168.1.7", "10.0.0.2", "127.0.0.1", "fe80::1", None)]
    kept = abort_lost(peers, ["10.0.0.2"])
    assert kept == peers[1:]
    assert peers[0].aborted is not None
    assert peers[0].aborted[1] == LOST_ADDR
