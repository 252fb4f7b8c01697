"""Swarms of 20 to 200 nodes under all kinds of trouble at once. Every law is checked after every step."""

import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from tests.sim.laws import Watch
from tests.sim.scale import measure
from tests.sim.swarm import Content, SimNode, Swarm

CHUNK = 1024


def watched(swarm: Swarm, every: int = 200) -> Swarm:
    """Check the cheap laws of the touched nodes after every step, and the whole fold at intervals."""
    watches = {peer: Watch(node) for peer, node in swarm.nodes.items()}
    steps = 0

    def look() -> None:
        nonlocal steps
        steps += 1
        for peer in swarm.touched:
            watches[peer].step()
        if not steps % every:
            for peer in swarm.touched:
                if swarm.nodes[peer].alive:
                    watches[peer].fold()
        swarm.touched.clear()

    swarm.after_step = look
    return swarm


def content_of(chunks: int, seed: int) -> Content:
    return Content(random.Random(seed).randbytes(chunks * CHUNK - 300), CHUNK, links=16)


def sparse(swarm: Swarm, nodes: list[SimNode], degree: int) -> None:
    """Link nodes in a ring with chords: no node knows all others."""
    for index, node in enumerate(nodes):
        swarm.link(node.peer, nodes[(index + 1) % len(nodes)].peer)
        for other in swarm.chance.sample(nodes, degree):
            if other is not node:
                swarm.link(node.peer, other.peer)


def kill(node: SimNode) -> None:
    if node.alive:
        node.kill()


def back(swarm: Swarm, node: SimNode, nodes: list[SimNode]) -> None:
    """Restart or thaw a node, and link it to some running nodes."""
    if not node.alive:
        node.start()
    node.frozen = False
    for other in nodes:
        if other is not node:
            swarm.link(node.peer, other.peer)


def ask(swarm: Swarm, node: SimNode, root: Cid) -> None:
    """Want an object at this node, as soon as the node runs."""
    if node.alive:
        node.push(cmd.Get(root, "/there"))
    else:
        swarm.after(0.5, partial(ask, swarm, node, root))


@pytest.mark.parametrize("lie", ["corrupts", "silent", "vague"])
@pytest.mark.parametrize("seed", range(3))
def test_liars_cost_time_not_the_file(lie: str, seed: int) -> None:
    """Seven of eight holders lie, and are faster than the honest one."""
    swarm = Swarm(seed, latency=(0.001, 0.03))
    content = content_of(60, seed)
    honest = swarm.node(rate=100 * CHUNK)
    liars = [swarm.node() for _ in range(7)]
    asker = swarm.node()
    for node in (honest, *liars):
        node.hold(content)
    for liar in liars:
        setattr(liar, lie, True)
    swarm.mesh([*liars, asker, honest])
    watched(swarm)
    asker.push(cmd.Get(content.root, "/there"))
    took = swarm.run(lambda: content.root in asker.finished, seconds=120)
    assert asker.finished[content.root] == content.data
    assert took < 25, "a lease at each liar, at most"
    assert all(asker.state.peers[liar.peer].chunks_in == 0 for liar in liars)
    if lie == "corrupts":
        assert all(asker.state.peers[liar.peer].faults <= 2 for liar in liars)


def test_sixty_nodes_share_three_files_through_a_partition_that_heals() -> None:
    swarm = Swarm(31, latency=(0.002, 0.08), loss=0.01)
    nodes = [swarm.node(rate=400 * CHUNK) for _ in range(60)]
    for node in nodes:
        node.downlink = 800 * CHUNK
    contents = [content_of(40, seed) for seed in range(3)]
    for holder, content in zip(nodes, contents, strict=False):
        holder.hold(content)
    sparse(swarm, nodes, 3)
    for index, node in enumerate(nodes[3:]):
        for holder in nodes[:3]:
            swarm.link(node.peer, holder.peer)
        swarm.after(0.01 * index, partial(node.push, cmd.Get(contents[index % 3].root, "/there")))
    watched(swarm, every=2000)
    swarm.after(0.5, lambda: swarm.partition(nodes[:20], 4.0))
    swarm.after(1.0, partial(kill, nodes[10]))
    swarm.after(2.5, lambda: back(swarm, nodes[10], nodes[:30]))
    askers = nodes[3:]
    swarm.run(lambda: all(node.finished for node in askers), seconds=600)
    for index, node in enumerate(askers):
        assert node.finished[contents[index % 3].root] == contents[index % 3].data
        assert node.state.duplicate_factor < 1.35
        Watch(node).fold()


def test_two_hundred_nodes_want_a_chunk_each_and_none_counts_one_twice() -> None:
    swarm = Swarm(32, latency=(0.002, 0.05))
    nodes = [swarm.node() for _ in range(200)]
    data = [b"chunk %d" % number for number in range(200)]
    for node, chunk in zip(nodes, data, strict=True):
        node.blocks[raw_cid(chunk)] = chunk
    sparse(swarm, nodes, 4)
    watched(swarm, every=5000)
    wanted = {}
    for index, node in enumerate(nodes):
        neighbour = next(iter(sorted(node.linked)))
        wanted[node.peer] = list(swarm.nodes[neighbour].blocks)[:1]
        swarm.after(0.001 * index, partial(node.push, cmd.WantMany(tuple(wanted[node.peer]))))
    swarm.run(
        lambda: all(set(cids) <= swarm.nodes[p].blocks.keys() for p, cids in wanted.items()), seconds=60
    )
    for node in nodes:
        assert node.state.duplicate_factor == 1.0


TROUBLE = st.tuples(
    st.floats(0.01, 4.0),
    st.integers(0, 19),
    st.sampled_from(["kill", "freeze", "partition", "silent", "corrupts", "vague", "cancel"]),
)


@settings(max_examples=12, deadline=None)
@given(seed=st.integers(0, 10_000), loss=st.sampled_from([0.0, 0.02]), trouble=st.lists(TROUBLE, max_size=12))
def test_the_laws_hold_in_any_schedule_of_faults(
    seed: int, loss: float, trouble: list[tuple[float, int, str]]
) -> None:
    """Twenty nodes, half of them askers. One holder has no faults, so that the exchange can end."""
    swarm = Swarm(seed, loss=loss, latency=(0.001, 0.05))
    content = content_of(30, seed)
    nodes = [swarm.node(rate=200 * CHUNK) for _ in range(20)]
    holders, askers = nodes[:5], nodes[10:]
    for holder in holders:
        holder.hold(content)
    swarm.mesh(nodes)
    watched(swarm, every=1000)
    for index, asker in enumerate(askers):
        swarm.after(0.05 * index, partial(ask, swarm, asker, content.root))
    cancelled: set[int] = set()
    for at, who, what in trouble:
        node = nodes[who]
        if node is holders[0]:
            continue
        match what:
            case "kill":
                swarm.after(at, partial(kill, node))
                swarm.after(at + 2.0, partial(back, swarm, node, nodes))
            case "freeze":
                swarm.after(at, partial(setattr, node, "frozen", True))
                swarm.after(at + 1.5, partial(back, swarm, node, nodes))
            case "partition":
                swarm.after(at, partial(swarm.partition, [node], 2.0))
            case "cancel":
                if node in askers:
                    cancelled.add(who)
                    swarm.after(at, partial(node.push, cmd.Cancel((content.root,))))
            case lie:
                setattr(node, lie, True)
    swarm.after(9.0, lambda: None)
    waiting = [node for index, node in enumerate(nodes) if node in askers and index not in cancelled]
    swarm.run(
        lambda: swarm.now > 1_700_000_008 and all(content.root in n.finished for n in waiting), seconds=1500
    )
    for node in waiting:
        assert node.finished[content.root] == content.data
        received = [e.event.cid for e in node.series if isinstance(e.event, ev.ChunkReceived)]
        assert len(received) == len(set(received))


def test_messages_for_an_intent_grow_at_most_logarithmically() -> None:
    small, large = measure(100, wants=4), measure(400, wants=4)
    assert small.found == large.found == 1.0
    assert large.routed / small.routed < 8.64 / 6.64  # log 400 / log 100
    assert large.flood > 20 * large.routed
