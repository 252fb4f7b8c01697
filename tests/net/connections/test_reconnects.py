"""When lost peers are dialled again."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio
import trio.testing

from flux_tui.core.ids import PeerId
from flux_tui.net.connections import reconnects
from flux_tui.net.connections.reconnects import KEEP_SECONDS, MAX_LOST, QUICK_SECONDS, SLOW_WAIT, Reconnects
from flux_tui.net.connections.supervisor import Supervisor

PEER = PeerId("a peer")


class Network:
    """Where peers are found, or not."""

    def __init__(self) -> None:
        self.there: set[PeerId] = set()
        self.tries: list[tuple[PeerId, float]] = []

    async def reach(self, peer: PeerId) -> bool:
        await trio.lowlevel.checkpoint()
        self.tries.append((peer, trio.current_time()))
        return peer in self.there

    def waits(self) -> list[float]:
        times = [at for _, at in self.tries]
        return [after - before for before, after in itertools.pairwise(times)]


@asynccontextmanager
async def running(network: Network) -> AsyncIterator[Reconnects]:
    table = Reconnects(Supervisor(lambda text: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.run, network.reach)
        yield table
        nursery.cancel_scope.cancel()


async def test_a_lost_peer_is_dialled_at_once_and_then_every_few_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = Network()
    async with running(network) as table:
        began = trio.current_time()
        table.lost(PEER)
        table.lost(PEER)
        await trio.sleep(100)
        assert network.tries[0][1] - began < 0.01
        most = reconnects.QUICK.most * reconnects.QUICK.jitter[1]
        assert max(network.waits()) <= most
        network.there.add(PEER)
        count = len(network.tries)
        await trio.sleep(most + 0.1)
        assert len(network.tries) == count + 1, "it is there, so that is the end"
        assert PEER not in table
        await trio.sleep(100)
        assert len(network.tries) == count + 1


async def test_the_tries_become_rare_and_end_until_something_changes(
    autojump_clock: trio.testing.MockClock,
) -> None:
    network = Network()
    async with running(network) as table:
        table.lost(PEER)
        await trio.sleep(QUICK_SECONDS + 2 * SLOW_WAIT)
        network.tries.clear()
        await trio.sleep(10 * SLOW_WAIT)
        assert 9 <= len(network.tries) <= 11
        await trio.sleep(KEEP_SECONDS)
        network.tries.clear()
        await trio.sleep(10 * KEEP_SECONDS)
        assert not network.tries
        table.changed()
        await trio.sleep(1)
        assert len(network.tries) >= 2, "and it is tried often again"


async def test_a_change_is_not_missed_during_a_try(autojump_clock: trio.testing.MockClock) -> None:
    network = Network()

    async def slow(peer: PeerId) -> bool:
        await network.reach(peer)
        await trio.sleep(5)
        return False

    table = Reconnects(Supervisor(lambda text: None))
    async with trio.open_nursery() as nursery:
        nursery.start_soon(table.run, slow)
        table.lost(PEER)
        await trio.sleep(QUICK_SECONDS + 30)
        await trio.testing.wait_all_tasks_blocked()
        count = len(network.tries)
        while len(network.tries) == count:  # noqa: ASYNC110 - until the next try has begun
            await trio.sleep(0.5)
        table.changed()
        await trio.sleep(5.5)
        assert len(network.tries) == count + 2
        nursery.cancel_scope.cancel()


async def test_the_table_of_lost_peers_is_bounded(autojump_clock: trio.testing.MockClock) -> None:
    network = Network()
    peers = [PeerId(f"peer {number}") for number in range(MAX_LOST + 5)]
    async with running(network) as table:
        for peer in peers:
            table.lost(peer)
            await trio.testing.wait_all_tasks_blocked()
        assert [peer for peer in peers if peer not in table] == peers[:5]
        network.tries.clear()
        await trio.sleep(reconnects.QUICK.most * 2)
        assert {peer for peer, _ in network.tries} == set(peers[5:])
