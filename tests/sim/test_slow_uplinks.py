"""One holder behind one line, from 64 kbit/s to 1 Gbit/s, and up to sixteen getters: each byte comes once, in time."""

import random

import pytest

from flux_tui.core.series import events as ev
from tests.sim.swarm import START, Content, SimNode, Swarm
from tests.sim.uplink import Uplink
from tests.support.swarms import factor, get, has

MIB = 1 << 20
KBIT, MBIT, GBIT = 125.0, 125_000.0, 125_000_000.0
"""Bytes/s."""


class Fetched:
    """What came of a file of `mebibytes` MiB from one holder, whose uplink carries `rate` bytes/s, to some getters."""

    def __init__(self, rate: float, getters: int, mebibytes: int, *, seed: int, mesh: bool = False) -> None:
        swarm = Swarm(seed, latency=(0.02, 0.04))
        content = Content(random.Random(seed).randbytes(mebibytes * MIB - 1000), MIB)
        self.size = sum(map(len, content.blocks.values()))
        self.holder = swarm.node(uplink=rate)
        self.holder.hold(content)
        self.getters = [swarm.node() for _ in range(getters)]
        for node in self.getters:
            swarm.link(self.holder.peer, node.peer)
        if mesh:
            swarm.mesh(self.getters)
        for node in self.getters:
            get(node, content)
        wire = self.size / rate
        swarm.run(lambda: all(has(node, content) for node in self.getters), seconds=2 * getters * wire + 30)
        self.share = (swarm.now - START) / wire
        """The time until the last getter had all of it, as a multiple of the time that the line takes for one copy."""
        for node in (self.holder, *self.getters):
            node.check()

    @property
    def line(self) -> Uplink:
        assert self.holder.uplink is not None
        return self.holder.uplink

    def blamed(self) -> list[type]:
        """Return the entries at any node that say that another one did wrong."""
        wrong = (ev.LeaseLapsed, ev.PeerFaulted, ev.ChunkWasted, ev.PeerDisconnected)
        nodes: tuple[SimNode, ...] = (self.holder, *self.getters)
        return [
            type(entry.event) for node in nodes for entry in node.series if isinstance(entry.event, wrong)
        ]


RATES = [
    (64 * KBIT, 3, 1.01),
    (256 * KBIT, 4, 1.01),
    (1 * MBIT, 4, 1.02),
    (10 * MBIT, 16, 1.03),
    (100 * MBIT, 32, 1.1),
    (1 * GBIT, 128, 1.35),
]


@pytest.mark.parametrize(("rate", "mebibytes", "most"), RATES)
def test_one_getter_takes_as_long_as_the_line(rate: float, mebibytes: int, most: float) -> None:
    fetched = Fetched(rate, 1, mebibytes, seed=1)
    assert fetched.share <= most
    assert factor(fetched.getters[0]) == 1.0
    assert fetched.line.carried == fetched.size
    assert not fetched.blamed()


@pytest.mark.parametrize("getters", [2, 3, 16])
@pytest.mark.parametrize(("rate", "mebibytes"), [(rate, min(size, 6)) for rate, size, _ in RATES])
def test_each_getter_is_sent_each_byte_once(rate: float, mebibytes: int, getters: int) -> None:
    fetched = Fetched(rate, getters, mebibytes, seed=getters)
    slack = 0.3 * rate / fetched.size
    assert fetched.share <= 1.02 * getters + slack, "nothing is sent twice, and the line is never idle"
    assert [factor(node) for node in fetched.getters] == [1.0] * getters
    assert fetched.line.carried == getters * fetched.size
    assert not fetched.blamed()


@pytest.mark.parametrize(("getters", "most"), [(3, 2.6), (16, 2.8)])
@pytest.mark.parametrize("rate", [64 * KBIT, 256 * KBIT])
def test_getters_that_know_each_other_pass_on_whole_chunks(rate: float, getters: int, most: float) -> None:
    """The line carries each chunk to few of them: a chunk is whole at one of them long before all are."""
    fetched = Fetched(rate, getters, 4, seed=1, mesh=True)
    assert fetched.share <= most, f"{getters} without turns"
    assert [factor(node) for node in fetched.getters] == [1.0] * getters
    assert fetched.line.carried <= most * fetched.size


def test_a_peer_with_a_slow_line_of_its_own_does_not_keep_others_waiting() -> None:
    turns_seconds = 15.0
    swarm = Swarm(seed=1, latency=(0.02, 0.04))
    content = Content(random.Random(1).randbytes(8 * MIB), MIB)
    holder = swarm.node(uplink=2 * MBIT)
    holder.hold(content)
    slow, fast = swarm.node(), swarm.node()
    line = holder.uplink
    assert line is not None
    line.share[slow.peer] = 4_000.0
    for node in (slow, fast):
        swarm.link(holder.peer, node.peer)
    get(slow, content)
    swarm.after(1.0, lambda: get(fast, content))
    swarm.run(lambda: has(fast, content), seconds=600)
    assert swarm.now - START < 8 * MIB / (2 * MBIT) * 1.1 + turns_seconds


MEET_LATE = (13, 35, 37, 46, 97, 159)
"""Seeds with which a chunk came twice, while the holder sent each getter the chunks in the same order, and a getter
asked another one for a chunk that the holder had just begun to send."""


@pytest.mark.parametrize("seed", MEET_LATE)
def test_getters_that_meet_while_the_holder_sends_get_each_chunk_once(seed: int) -> None:
    chance = random.Random(seed)
    swarm = Swarm(seed, latency=(0.02, 0.04))
    content = Content(random.Random(seed).randbytes(4 * MIB - 1000), MIB)
    holder = swarm.node(uplink=256 * KBIT)
    holder.hold(content)
    getters = [swarm.node() for _ in range(3)]
    for node in getters:
        swarm.link(holder.peer, node.peer)
        swarm.after(chance.uniform(0, 3), lambda node=node: get(node, content))  # type: ignore[misc]
    swarm.after(chance.uniform(0, 40), lambda: swarm.mesh(getters))
    swarm.run(lambda: all(has(node, content) for node in getters), seconds=800)
    assert [factor(node) for node in getters] == [1.0] * 3
    wire = sum(map(len, content.blocks.values())) / (256 * KBIT)
    assert swarm.now - START < 1.8 * wire, (
        "two times and more where the holder sends all of them the same chunk"
    )


def test_peers_on_a_slow_line_are_sent_different_chunks_first() -> None:
    swarm = Swarm(seed=1, latency=(0.02, 0.04))
    content = Content(random.Random(1).randbytes(4 * MIB), MIB)
    holder = swarm.node(uplink=256 * KBIT)
    holder.hold(content)
    getters = [swarm.node() for _ in range(3)]
    for node in getters:
        swarm.link(holder.peer, node.peer)
        get(node, content)
    leaves = set(content.blocks) - {content.root}

    def first() -> dict[str, str]:
        """Return the first leaf that was sent to each getter."""
        sent = [entry.event for entry in holder.series if isinstance(entry.event, ev.ChunksSent)]
        return {event.peer: event.cids[0] for event in reversed(sent) if event.cids[0] in leaves}

    swarm.run(lambda: len(first()) == 3, seconds=300)
    assert len(set(first().values())) == 3
