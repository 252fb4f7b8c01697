"""Handshakes that stop at any stage release what they hold; in plain libp2p they do not."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import trio
import trio.testing
from libp2p.abc import IRawConnection
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.network.exceptions import SwarmException
from libp2p.rcmgr.manager import ResourceLimits, ResourceManager
from multiaddr import Multiaddr

from flux_tui.net.upstream import upgrade
from flux_tui.net.upstream.upgrade import Upgrades
from tests.abuse.silent import STAGES, Stage
from tests.support.hosts import host_of, two_plain_hosts
from tests.support.members import member
from tests.support.networks import BOUND, connect, settled

KEY = bytes(range(32))
HERE = Multiaddr("/ip4/127.0.0.1/tcp/1")


class Held:
    """A raw connection that sends nothing, and records whether it was closed."""

    def __init__(self, ip: str = "192.0.2.1") -> None:
        self.ip = ip
        self.closed = False

    async def read(self, n: int | None = None) -> bytes:
        await trio.sleep_forever()
        raise AssertionError

    async def write(self, data: bytes) -> None:
        await trio.lowlevel.checkpoint()

    async def close(self) -> None:
        await trio.lowlevel.checkpoint()
        self.closed = True

    def get_remote_address(self) -> tuple[str, int]:
        return (self.ip, 4001)


class Swarm:
    """The part of a swarm that `Upgrades` needs. Security waits for bytes of the connection."""

    def __init__(self) -> None:
        self.upgrader = self
        self.ended = trio.Event()

    def set_resource_manager(self, manager: object) -> None:
        assert manager is None

    def get_connections(self) -> list[object]:
        return []

    async def add_conn(self, *_: object, **__: object) -> object:
        raise AssertionError("nobody gets so far")

    async def upgrade_security(self, raw: IRawConnection, *_: object) -> object:
        return await raw.read(1)


@asynccontextmanager
async def coming(swarm: Swarm, upgrades: Upgrades) -> AsyncIterator[Callable[[Held], Awaitable[Held]]]:
    """Return a function that opens incoming connections, one after the other."""
    async with trio.open_nursery() as nursery:

        async def come(raw: Held) -> Held:
            async def run() -> None:
                with pytest.raises(SwarmException):
                    await upgrades.inbound(raw, HERE)  # type: ignore[arg-type]

            nursery.start_soon(run)
            await trio.testing.wait_all_tasks_blocked()
            return raw

        yield come
        nursery.cancel_scope.cancel()


async def test_above_the_limit_the_oldest_of_the_busiest_network_is_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(upgrade, "MAX_HANDSHAKES", 4)
    swarm = Swarm()
    upgrades = Upgrades(swarm)
    async with coming(swarm, upgrades) as come:
        honest = await come(Held("198.51.100.1"))
        crowd = [await come(Held("192.0.2.1")) for _ in range(20)]
        assert len(upgrades) == 4
        assert [one.closed for one in crowd] == [True] * 17 + [False] * 3
        assert not honest.closed, "whom another's crowd does not concern"
        many = [await come(Held(f"2001:db8:1:2::{number:x}")) for number in range(1, 9)]
        assert not honest.closed, "one network of IPv6 is one crowd"
        assert sum(not one.closed for one in many) <= 3


async def test_a_handshake_that_takes_too_long_is_closed(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    upgrades = Upgrades(Swarm())
    raw: Any = Held()
    with pytest.raises(SwarmException, match="takes too long"):
        await upgrades.inbound(raw, HERE)
    with pytest.raises(SwarmException, match="takes too long"):
        await upgrades.outbound(raw, host_id())
    assert raw.closed
    assert not len(upgrades)


def host_id() -> Any:
    from libp2p.peer.id import ID

    return ID.from_pubkey(create_new_key_pair(KEY).public_key)


async def test_a_cancelled_dial_is_closed() -> None:
    upgrades = Upgrades(Swarm())
    raw: Any = Held()
    with trio.move_on_after(0.01):
        await upgrades.outbound(raw, host_id())
    assert raw.closed


async def test_in_libp2p_a_cancelled_handshake_still_leaks_its_slot() -> None:
    """If this fails, libp2p cleans up: see whether `Upgrades` is still needed."""
    from libp2p import new_host

    swarm: Any = new_host(key_pair=create_new_key_pair(KEY)).get_network()
    for _ in range(3):
        with trio.move_on_after(0.01):
            await swarm.upgrade_inbound_raw_conn(RawConnection(Held(), False), HERE)  # type: ignore[arg-type]
    assert swarm._resource_manager._current_connections == 3


async def test_in_libp2p_a_denial_still_lowers_the_limit_for_all() -> None:
    """If this fails, libp2p's resource manager may be used: see the docstring of `upgrade.py`."""
    manager = ResourceManager(ResourceLimits(max_connections=10))
    for _ in range(11):
        manager.open_connection(None, direction="inbound")
    assert manager._current_connections == 10
    assert manager.limits.max_connections == 8


async def test_in_libp2p_a_close_that_is_cancelled_still_stays_in_the_table() -> None:
    """If this fails, libp2p closes it: `Upgrades` need not replace each connection's `close`."""
    async with two_plain_hosts() as (one, other):
        (connection,) = one.get_network().get_connections(other.get_id())
        with trio.move_on_after(0):
            await connection.close()
        await settled()
        assert connection in one.get_network().get_connections()
        one.get_network().connections.clear()


async def test_a_close_that_is_cancelled_or_hangs_is_completed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the connection would stay in the table of the host, which is bounded."""
    monkeypatch.setattr(upgrade, "CLOSE_SECONDS", 0.1)
    async with member(1, swarm_key=None) as a, member(2, swarm_key=None) as b, member(3, swarm_key=None) as c:
        await connect(b, a)
        await connect(c, a)
        swarm = host_of(a).get_network()
        first, second = swarm.get_connections()
        with trio.move_on_after(0):
            await first.close()
        second.muxed_conn.close = trio.sleep_forever
        await second.close()
        await a.seen.was_down(b.id)  # b and c come back at once
        await a.seen.was_down(c.id)
        assert first not in swarm.get_connections()
        assert second not in swarm.get_connections()


@pytest.mark.parametrize("private", [False, True], ids=["open", "private"])
@pytest.mark.parametrize("stage", STAGES, ids=lambda stage: stage.__name__)
async def test_unfinished_handshakes_keep_no_honest_node_out(
    stage: Stage, private: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many more peers than places stop at each stage of a connection's start. Then an honest node connects."""
    monkeypatch.setattr(upgrade, "MAX_HANDSHAKES", 8)
    key = KEY if private else None
    async with member(1, swarm_key=key) as a, member(2, swarm_key=key) as b, AsyncExitStack() as stack:
        swarm = host_of(a).get_network()
        for _ in range(80):
            with trio.fail_after(BOUND):
                await stage(stack, a.port, a.id, key)
        start = trio.current_time()
        await connect(b, a)
        assert trio.current_time() - start < 8
        await stack.aclose()
        with trio.fail_after(BOUND):
            while len(swarm.get_connections()) > 1 or swarm._inbound_limiter.borrowed_tokens > 1:  # noqa: ASYNC110
                await trio.sleep(0.01)
        await settled()
        assert not a.seen.failures
