"""The whole exchange in virtual time: seeds, latency, loss, stalls, deaths, restarts, lies."""

import random
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from tests.sim.swarm import Content, SimNode, Swarm
from tests.support.swarms import CHUNK, checked, factor, file_of, get, has


def has_blocks(node: SimNode, count: int) -> bool:
    return len(node.blocks) >= count


def kill(node: SimNode) -> None:
    if node.alive:
        node.kill()


@pytest.mark.parametrize("chunks", [1, 2, 16, 17, 300])
def test_a_file_crosses(chunks: int) -> None:
    swarm = checked(Swarm(seed=chunks))
    content = file_of(chunks)
    holder, asker = swarm.node(), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    get(asker, content)
    swarm.run(lambda: not asker.state.pending, seconds=60)
    assert asker.finished[content.root] == content.data
    assert factor(asker) == 1.0
    assert asker.state.objects[content.root].progress == 1.0
    asker.check()


def test_a_file_of_zeros_crosses_once() -> None:
    swarm = Swarm(seed=5)
    content = Content(bytes(40 * CHUNK), CHUNK, links=16)
    holder, asker = swarm.node(), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    get(asker, content)
    swarm.run(lambda: not asker.state.pending, seconds=60)
    assert asker.finished[content.root] == content.data
    assert asker.state.objects[content.root].have_bytes == 40 * CHUNK
    assert asker.state.unique_bytes < 3 * CHUNK


def test_a_want_may_be_pushed_before_there_is_a_holder() -> None:
    swarm = Swarm(seed=2)
    content = file_of(30)
    asker = swarm.node()
    get(asker, content)
    swarm.after(100.0, lambda: None)
    swarm.run(lambda: swarm.now >= 1_700_000_090, seconds=200)
    holder = swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    swarm.run(lambda: has(asker, content), seconds=5)
    assert asker.finished[content.root] == content.data


def test_a_node_that_gets_the_object_later_announces_it() -> None:
    """With `have`, no node waits for the 60 s of silence."""
    swarm = Swarm(seed=3)
    content = file_of(10)
    holder, asker = swarm.node(), swarm.node()
    swarm.mesh([holder, asker])
    get(asker, content)
    swarm.after(1.0, lambda: None)
    swarm.run(lambda: swarm.now >= 1_700_000_001, seconds=5)
    assert asker.state.pending[content.root].last_no is not None
    holder.hold(content)
    from flux_tui.core.api import inputs as inp

    holder.feed(
        inp.Added(
            root=content.root, name="x", size=len(content.data), chunks=len(content.blocks), path="/x",
            stored=0, stored_chunks=0, by=None,
        )
    )  # fmt: skip
    swarm.run(lambda: has(asker, content), seconds=5)


def test_many_holders_share_the_work_without_duplicates() -> None:
    swarm = checked(Swarm(seed=4, latency=(0.01, 0.1)))
    content = file_of(2000)
    holders = [swarm.node(rate=20 * CHUNK * (n + 1)) for n in range(8)]
    asker = swarm.node()
    for holder in holders:
        holder.hold(content)
    swarm.mesh([*holders, asker])
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=120)
    assert asker.finished[content.root] == content.data
    assert factor(asker) < 1.05
    assert all(asker.state.peers[holder.peer].chunks_in > 0 for holder in holders)


def test_a_killed_and_a_frozen_holder_cost_time_not_the_file() -> None:
    swarm = checked(Swarm(seed=6, latency=(0.01, 0.05)))
    content = file_of(1000)
    holders = [swarm.node(rate=100 * CHUNK) for _ in range(4)]
    asker = swarm.node()
    for holder in holders:
        holder.hold(content)
    swarm.mesh([*holders, asker])
    get(asker, content)
    swarm.after(0.8, holders[0].kill)
    swarm.after(0.8, lambda: setattr(holders[1], "frozen", True))
    swarm.run(lambda: has(asker, content), seconds=120)
    assert asker.finished[content.root] == content.data
    lapses = [e.event.cause for e in asker.series if isinstance(e.event, ev.LeaseLapsed)]
    assert "disconnected" in lapses
    assert "deadline" in lapses
    assert factor(asker) < 1.1


def test_a_killed_requester_goes_on_where_it_was() -> None:
    swarm = checked(Swarm(seed=7))
    content = file_of(600)
    holder, asker = swarm.node(rate=200 * CHUNK), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    get(asker, content)
    for _ in range(4):
        swarm.run(partial(has_blocks, asker, len(asker.blocks) + 100), seconds=60)
        asker.kill()
        asker.start()
        swarm.mesh([holder, asker])
    swarm.run(lambda: has(asker, content), seconds=60)
    assert asker.finished[content.root] == content.data
    received = [e.event.cid for e in asker.series if isinstance(e.event, ev.ChunkReceived)]
    assert len(received) == len(set(received)), "fetched again what had been committed"


def test_a_restart_does_not_grant_live_leases_again() -> None:
    swarm = Swarm(seed=8)
    content = file_of(50)
    slow, asker = swarm.node(rate=2 * CHUNK), swarm.node()
    slow.hold(content)
    swarm.mesh([slow, asker])
    get(asker, content)
    swarm.run(lambda: len(asker.blocks) > 3, seconds=60)
    live = dict(asker.state.leases)
    assert live
    asker.kill()
    asker.start()
    swarm.mesh([slow, asker])
    first = min(lease.deadline for lease in live.values())
    mark = len(asker.series)
    swarm.run(lambda: swarm.now >= first - 0.01 or has(asker, content), seconds=60)
    granted = [e.event for e in asker.series[mark:] if isinstance(e.event, ev.Granted)]
    assert not {cid for event in granted for cid in event.cids} & set(live)


def test_a_busy_holder_is_asked_again_at_its_retry_after() -> None:
    swarm = checked(Swarm(seed=9))
    content = file_of(400)
    holder = swarm.node(rate=100 * CHUNK, max_uploads=1)
    first, second = swarm.node(), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, first])
    swarm.mesh([holder, second])
    get(first, content)
    get(second, content)
    swarm.run(lambda: has(first, content) and has(second, content), seconds=120)
    noes = [e.event for e in second.series + first.series if isinstance(e.event, ev.StatusNo)]
    assert {no.reason for no in noes} == {"busy"}
    assert all(no.has_it and no.retry_after for no in noes)


def test_wrong_bytes_cost_the_liar_not_the_file() -> None:
    swarm = checked(Swarm(seed=10))
    content = file_of(200)
    liar, honest, asker = swarm.node(), swarm.node(rate=500 * CHUNK), swarm.node()
    liar.hold(content)
    honest.hold(content)
    liar.corrupts = True
    swarm.mesh([liar, honest, asker])
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=120)
    assert asker.finished[content.root] == content.data
    assert liar.peer not in asker.linked
    assert asker.state.peers[liar.peer].faults >= 2
    assert asker.state.peers[liar.peer].chunks_in == 0


def test_ten_thousand_wants_stay_exact() -> None:
    swarm = Swarm(seed=11, latency=(0.001, 0.002))
    holder, asker = swarm.node(), swarm.node()
    chunks = {raw_cid(data): data for data in (b"%d" % number for number in range(10_000))}
    holder.blocks.update(chunks)
    swarm.mesh([holder, asker])
    peak = 0

    def watch() -> None:
        nonlocal peak
        peak = max(peak, asker.state.pushed)

    swarm.after_step = watch
    for cid in chunks:
        asker.push(cmd.Want(cid))
    assert len(asker.state.pending) == 10_000
    assert asker.state.pushed == 0
    swarm.run(lambda: not asker.state.pending, seconds=60)
    assert asker.blocks == chunks
    assert 0 < peak <= 1000
    assert factor(asker) == 1.0
    asker.check()


def test_cancel_frees_granted_chunks() -> None:
    swarm = checked(Swarm(seed=12))
    content = file_of(300)
    holder, asker = swarm.node(rate=20 * CHUNK), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    get(asker, content)
    swarm.run(lambda: len(asker.blocks) > 10, seconds=60)
    asker.push(cmd.Cancel((content.root,)))
    assert not asker.state.pending
    assert not asker.state.leases
    swarm.run(lambda: not holder.machine.responder.uploads, seconds=60)
    sent = sum(len(e.event.cids) for e in holder.series if isinstance(e.event, ev.ChunksSent))
    assert sent < 30
    assert any(isinstance(e.event, ev.CancelReceived) for e in holder.series)


def test_two_objects_that_share_chunks_fetch_them_once() -> None:
    swarm = checked(Swarm(seed=13))
    data = random.Random(13).randbytes(100 * CHUNK)
    one, two = Content(data, CHUNK, links=16), Content(data[: 60 * CHUNK], CHUNK, links=8)
    holder, asker = swarm.node(rate=100 * CHUNK), swarm.node()
    holder.hold(one)
    holder.hold(two)
    swarm.mesh([holder, asker])
    get(asker, one)
    asker.push(cmd.Get(root=two.root, path="/two"))
    swarm.run(lambda: has(asker, one) and has(asker, two), seconds=60)
    assert (asker.finished[one.root], asker.finished[two.root]) == (one.data, two.data)
    assert factor(asker) == 1.0


def test_one_of_two_objects_that_share_chunks_is_cancelled() -> None:
    swarm = checked(Swarm(seed=14))
    data = random.Random(14).randbytes(100 * CHUNK)
    one, two = Content(data, CHUNK, links=16), Content(data[: 60 * CHUNK], CHUNK, links=8)
    holder, asker = swarm.node(rate=100 * CHUNK), swarm.node()
    holder.hold(one)
    holder.hold(two)
    swarm.mesh([holder, asker])
    get(asker, one)
    asker.push(cmd.Get(root=two.root, path="/two"))
    swarm.run(lambda: len(asker.blocks) > 20, seconds=60)
    asker.push(cmd.Cancel((one.root,)))
    swarm.run(lambda: has(asker, two), seconds=60)
    assert asker.finished[two.root] == two.data


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    holders=st.integers(1, 4),
    chunks=st.integers(1, 120),
    loss=st.sampled_from([0.0, 0.0, 0.02, 0.1]),
    trouble=st.lists(st.tuples(st.floats(0.01, 3.0), st.integers(0, 4), st.sampled_from(["kill", "freeze"]))),
)
def test_the_file_is_whole_after_any_faults(
    seed: int, holders: int, chunks: int, loss: float, trouble: list[tuple[float, int, str]]
) -> None:
    """Loss, deaths with restarts, freezes with thaws: in the end the file is there, and every law holds."""
    swarm = checked(Swarm(seed=seed, loss=loss, latency=(0.001, 0.05)))
    content = file_of(chunks, seed)
    nodes = [swarm.node(rate=60 * CHUNK) for _ in range(holders)]
    for holder in nodes:
        holder.hold(content)
    asker = swarm.node()
    nodes.append(asker)
    swarm.mesh(nodes)
    get(asker, content)

    def back(node: SimNode) -> None:
        if not node.alive:
            node.start()
        node.frozen = False
        swarm.mesh(node for node in nodes if node.alive)

    for at, who, what in trouble:
        victim = nodes[who % len(nodes)]
        if what == "kill":
            swarm.after(at, partial(kill, victim))
        else:
            swarm.after(at, partial(setattr, victim, "frozen", True))
        swarm.after(at + 1.5, partial(back, victim))
    swarm.run(lambda: has(asker, content), seconds=1200)
    swarm.run(lambda: not asker.state.pending, seconds=10)
    assert asker.finished[content.root] == content.data
    asker.check()


def test_a_root_that_is_not_unixfs_is_given_up_with_a_reason() -> None:
    from flux_tui.core.ids import dag_cid

    swarm = Swarm(seed=15)
    holder, asker = swarm.node(), swarm.node()
    junk = b"\xff" * 50
    root: Cid = dag_cid(junk)
    holder.blocks[root] = junk
    swarm.mesh([holder, asker])
    asker.push(cmd.Get(root=root, path="/there", by="me"))
    swarm.run(lambda: not asker.state.pending, seconds=10)
    errors = [e.event for e in asker.series if isinstance(e.event, ev.ErrorOccurred)]
    assert [error.by for error in errors] == ["me"]
    assert str(root) in errors[0].text


def test_nodes_share_parts_while_they_fetch() -> None:
    """Nodes announce parts, so grants are not refused, and the seed sends far less than all nodes want."""
    swarm = checked(Swarm(seed=21))
    # The object is large enough that it is not granted whole before any node has a part.
    content = Content(random.Random(21).randbytes(400 * 65_536), 65_536, links=64)
    seed, *askers = nodes = [swarm.node(rate=8e6) for _ in range(5)]
    seed.hold(content)
    swarm.mesh(nodes)
    for number, asker in enumerate(askers):
        swarm.after(0.1 * number, partial(get, asker, content))
    swarm.run(lambda: all(has(asker, content) for asker in askers), seconds=120)
    for asker in askers:
        assert asker.finished[content.root] == content.data
        assert factor(asker) == 1.0
        heard = sum(count for peer in asker.state.peers.values() for count in peer.counts.values())
        assert heard <= 8, "grants bounce"
    assert seed.state.sent_bytes < 3 * len(content.data), "others hardly helped"


def test_the_others_share_their_parts_if_the_seed_dies() -> None:
    swarm = checked(Swarm(seed=22))
    content = Content(random.Random(22).randbytes(400 * 65_536), 65_536, links=64)
    seed, one, two = nodes = [swarm.node(rate=8e6) for _ in range(3)]
    seed.hold(content)
    swarm.mesh(nodes)
    get(one, content)
    swarm.after(0.2, partial(get, two, content))
    swarm.run(lambda: has_blocks(one, 250), seconds=60)
    union = one.blocks.keys() | two.blocks.keys()
    assert one.blocks.keys() != two.blocks.keys(), "there is nothing to share"
    seed.kill()
    swarm.run(lambda: one.blocks.keys() >= union and two.blocks.keys() >= union, seconds=10)
    seed.start()
    swarm.mesh(nodes)
    swarm.run(lambda: has(one, content) and has(two, content), seconds=30)
    assert one.finished[content.root] == two.finished[content.root] == content.data


# ── routing ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("seed", range(3))
def test_in_a_large_swarm_a_want_is_routed_without_a_flood(seed: int) -> None:
    """A ring of 120 nodes: without the DHT, the holder is sixty hops away."""
    swarm = Swarm(seed, dht=True)
    content = Content(random.Random(seed).randbytes(4 * CHUNK), CHUNK)
    nodes = [swarm.node() for _ in range(120)]
    for one, other in zip(nodes, nodes[1:] + nodes[:1], strict=True):
        swarm.link(one.peer, other.peer)
    asker, holder = nodes[0], nodes[60]
    holder.hold(content)
    swarm.provide(holder, [content.root])
    swarm.carried.clear()
    asker.push(cmd.Get(content.root, "/there"))
    swarm.run(lambda: content.root in asker.finished)
    assert asker.finished[content.root] == content.data
    pushed = [entry.event for entry in asker.series if isinstance(entry.event, ev.PushedWant)]
    assert pushed[0].routed
    assert not any(push.gossip for push in pushed)
    assert swarm.carried["gossip"] == 0
    assert swarm.carried["routed"] <= 16 * len(pushed), "to the closest, and from each to the holder"
    for node in nodes:
        node.check()
