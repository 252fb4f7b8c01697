"""A holder that comes late and could send sooner than the earlier ones is used."""

import random

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from tests.sim.swarm import START, Content, SimNode, Swarm
from tests.support.swarms import factor, get, has

MIB = 1 << 20


def large(mebibytes: int, seed: int = 1) -> Content:
    return Content(random.Random(seed).randbytes(mebibytes * MIB - 1000), MIB)


def joins(swarm: Swarm, seconds: float, holder: SimNode, asker: SimNode) -> None:
    swarm.after(seconds, lambda: swarm.link(holder.peer, asker.peer))


def finish(swarm: Swarm, asker: SimNode, content: Content, seconds: float) -> float:
    """Run until the object is whole, then until everything under way has come. Return when it was whole."""
    swarm.run(lambda: has(asker, content), seconds=seconds)
    at = swarm.now - START
    assert asker.finished[content.root] == content.data
    swarm.after(20.0, lambda: None)
    swarm.run(lambda: swarm.now >= START + at + 19, seconds=30)
    asker.check()
    return at


@pytest.mark.parametrize("seed", range(3))
def test_a_fast_holder_that_comes_while_a_slow_one_sends_is_used(seed: int) -> None:
    swarm = Swarm(seed)
    content = large(40)
    slow, fast, asker = swarm.node(rate=1e6), swarm.node(rate=40e6), swarm.node()
    for holder in (slow, fast):
        holder.hold(content)
    swarm.link(slow.peer, asker.peer)
    get(asker, content)
    joins(swarm, 5.0, fast, asker)
    assert finish(swarm, asker, content, 30) < 9
    assert factor(asker) <= 1.02
    assert asker.state.peers[fast.peer].chunks_in >= 25


@pytest.mark.parametrize("how", ["connects", "says have"])
@pytest.mark.parametrize("loose", [True, False])
def test_an_honest_holder_that_comes_after_a_liar_makes_it_whole(how: str, *, loose: bool) -> None:
    """The liar says that it has everything, and sends nothing."""
    swarm = Swarm(seed=4)
    content = large(8)
    liar, honest, asker = swarm.node(), swarm.node(rate=20e6), swarm.node()
    liar.hold(content)
    liar.silent = True
    swarm.link(liar.peer, asker.peer)
    chunks = [cid for cid in content.blocks if cid.startswith("bafk")]
    if loose:
        asker.push(cmd.WantMany(tuple(chunks)))
    else:
        get(asker, content)
    whole = (lambda: not asker.state.pending) if loose else (lambda: has(asker, content))
    if how == "connects":
        honest.hold(content)
        joins(swarm, 15.0, honest, asker)
    else:
        swarm.link(honest.peer, asker.peer)

        def add() -> None:
            honest.hold(content)
            for root in chunks if loose else (content.root,):
                honest.feed(inp.Added(root=root, name="x", size=1, chunks=1, path="/x",
                                     stored=0, stored_chunks=0, by=None))  # fmt: skip

        swarm.after(15.0, add)
    swarm.run(whole, seconds=60)
    assert swarm.now - START < 21
    assert factor(asker) <= 1.02


def test_after_a_lapse_other_holders_are_asked_first() -> None:
    """A connected peer got the object after its `not_held`, and announces nothing."""
    swarm = Swarm(seed=5)
    content = large(8)
    liar, honest, asker = swarm.node(), swarm.node(rate=20e6), swarm.node()
    liar.hold(content)
    liar.silent = True
    swarm.link(liar.peer, asker.peer)
    swarm.link(honest.peer, asker.peer)
    get(asker, content)
    swarm.after(12.0, lambda: honest.hold(content))
    swarm.run(lambda: has(asker, content), seconds=60)
    assert swarm.now - START < 45
    pushes = [entry for entry in asker.series if isinstance(entry.event, ev.PushedWant)]
    assert len(pushes) < 12, "and not again and again"


def test_chunks_in_a_slow_queue_are_moved_to_an_idle_holder() -> None:
    swarm = Swarm(seed=6)
    content = large(12)
    slow, fast, asker = swarm.node(rate=0.5e6), swarm.node(rate=40e6), swarm.node()
    for holder in (slow, fast):
        holder.hold(content)
    swarm.link(slow.peer, asker.peer)
    get(asker, content)
    joins(swarm, 1.0, fast, asker)
    assert finish(swarm, asker, content, 30) < 6
    assert asker.state.wasted_bytes.get("hedged", 0) <= MIB
    cancelled = [entry.event for entry in slow.series if isinstance(entry.event, ev.CancelReceived)]
    assert cancelled, "the slow one need not send them any more"


@pytest.mark.parametrize("seed", range(3))
def test_eight_holders_with_some_that_come_late(seed: int) -> None:
    swarm = Swarm(seed, latency=(0.005, 0.05))
    content = large(200)
    holders = [swarm.node(rate=(1 + n) * 1e6) for n in range(8)]
    asker = swarm.node()
    for number, holder in enumerate(holders):
        holder.hold(content)
        joins(swarm, 0.5 * number, holder, asker)
    get(asker, content)
    at = finish(swarm, asker, content, 60)
    ideal = 200 * MIB / 36e6 + 2.5
    assert at < 1.35 * ideal
    assert factor(asker) <= 1.02


@pytest.mark.parametrize("seed", range(3))
def test_recently_granted_chunks_are_not_moved(seed: int) -> None:
    """Granted chunks may be under way: many small ones from a holder of unknown speed, and other holders that
    come then.
    """
    swarm = Swarm(seed, latency=(0.002, 0.08))
    content = Content(random.Random(seed).randbytes(40 * 1024), 1024, links=16)
    holders = [swarm.node(rate=400 * 1024) for _ in range(5)]
    asker = swarm.node()
    asker.downlink = 100 * 1024
    for number, holder in enumerate(holders):
        holder.hold(content)
        joins(swarm, 0.05 * number, holder, asker)
    get(asker, content)
    finish(swarm, asker, content, 30)
    assert factor(asker) <= 1.02


def test_a_single_slow_holder_is_left_alone() -> None:
    """A holder that is only slow causes no push and no chunk twice."""
    swarm = Swarm(seed=7)
    content = large(20)
    slow, other, asker = swarm.node(rate=1e6), swarm.node(), swarm.node()
    slow.hold(content)
    swarm.link(slow.peer, asker.peer)
    swarm.link(other.peer, asker.peer)
    get(asker, content)
    assert finish(swarm, asker, content, 60) < 25
    assert factor(asker) == 1.0
    pushes = [entry for entry in asker.series if isinstance(entry.event, ev.PushedWant)]
    assert len(pushes) <= 4


def test_a_chunk_without_a_lease_is_not_moved() -> None:
    swarm = Swarm(seed=8)
    holder, asker = swarm.node(rate=1e5), swarm.node()
    data = [bytes([number]) * 50_000 for number in range(40)]
    holder.blocks.update({raw_cid(one): one for one in data})
    swarm.mesh([holder, asker])
    asker.push(cmd.WantMany(tuple(raw_cid(one) for one in data)))
    swarm.run(lambda: not asker.state.pending, seconds=60)
    assert factor(asker) == 1.0
