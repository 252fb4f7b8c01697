"""Replicas in the simulated swarm: they spread, outlive their origin, are replaced, and never exceed a quota."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.replication.origin import GRACE_SECONDS
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import PolicyChange
from tests.sim.swarm import Content, SimNode, Swarm
from tests.support.swarms import CHUNK, checked, file_of, get, has


def share(node: SimNode, content: Content, name: str = "film.mkv") -> None:
    """Add an object, as the user of this node."""
    node.hold(content)
    node.feed(
        inp.Added(
            root=content.root, name=name, size=len(content.data), chunks=len(content.blocks),
            path=f"/home/{name}", stored=0, stored_chunks=0, by=None,
        )
    )  # fmt: skip


def hold(node: SimNode, content: Content, replicas: int) -> None:
    node.push(cmd.Hold(root=content.root, replicas=replicas))


def whole(node: SimNode, content: Content) -> int:
    """Return how many replicas are whole, as their origin knows."""
    found = node.state.holds.get(content.root)
    return found.whole if found is not None else 0


def keeps(node: SimNode, content: Content) -> bool:
    kept = node.state.kept.get(content.root)
    return kept is not None and kept.whole


def pause(swarm: Swarm, seconds: float) -> None:
    """Let time pass."""
    end = swarm.now + seconds
    swarm.after(seconds, lambda: None)
    swarm.run(lambda: swarm.now >= end, seconds=seconds + 1)


@pytest.mark.parametrize("seed", range(4))
def test_replicas_spread_and_outlive_their_origin(seed: int) -> None:
    swarm = checked(Swarm(seed=seed))
    content = file_of(100, seed)
    origin = swarm.node()
    keepers = [swarm.node(quota=1 << 20) for _ in range(4)]
    full, closed, small, late = (
        swarm.node(),
        swarm.node(quota=1 << 20, deny=(origin.peer,)),
        swarm.node(quota=1 << 20, max_object=1000),
        swarm.node(),
    )
    swarm.mesh([origin, *keepers, full, closed, small])
    share(origin, content)
    hold(origin, content, 3)
    swarm.run(lambda: whole(origin, content) == 3, seconds=30)
    found = origin.state.holds[content.root]
    assert len(found.keepers) == 3
    assert {peer: found.refused[peer].reason for peer in (full.peer, closed.peer, small.peer)} == {
        full.peer: "low_space",
        closed.peer: "denied",
        small.peer: "too_large",
    }
    pause(swarm, 1.0)
    assert sum(keeps(node, content) for node in keepers) == 3
    assert sum(content.root in node.state.kept for node in swarm.nodes.values()) == 3, "exactly as many"
    # The origin leaves for good. A stranger that never knew it gets the object from the keepers.
    origin.kill()
    swarm.mesh([late, *keepers])
    get(late, content)
    swarm.run(lambda: has(late, content), seconds=30)
    assert late.finished[content.root] == content.data
    assert late.state.duplicate_factor < 1.05
    for node in swarm.nodes.values():
        if node.alive:
            node.check()


@pytest.mark.parametrize("seed", range(3))
def test_a_keeper_that_dies_is_replaced(seed: int) -> None:
    swarm = checked(Swarm(seed=seed, loss=0.02))
    content = file_of(40, seed)
    origin = swarm.node()
    keepers = [swarm.node(quota=1 << 20) for _ in range(4)]
    swarm.mesh([origin, *keepers])
    share(origin, content)
    hold(origin, content, 2)
    swarm.run(lambda: whole(origin, content) == 2, seconds=900)
    dead = swarm.nodes[next(iter(origin.state.holds[content.root].keepers))]
    dead.kill()
    assert whole(origin, content) == 2, "it may come back"
    swarm.run(
        lambda: whole(origin, content) == 2 and dead.peer not in origin.state.holds[content.root].keepers,
        seconds=GRACE_SECONDS + 900,
    )
    # The keeper returns too late: it is told that it is not needed any more, and makes room.
    dead.start()
    swarm.mesh([origin, dead])
    swarm.run(lambda: content.root not in dead.state.kept and not dead.state.dropping, seconds=300)
    assert not dead.blocks
    pause(swarm, 5.0)
    assert sum(keeps(node, content) for node in keepers) == 2


def test_a_restart_of_origin_or_keeper_fetches_nothing_again() -> None:
    swarm = checked(Swarm(seed=7))
    content = file_of(200)
    origin, keeper, other = swarm.node(rate=50_000), swarm.node(quota=1 << 20), swarm.node(quota=1 << 20)
    swarm.mesh([origin, keeper])
    share(origin, content)
    hold(origin, content, 1)
    swarm.run(lambda: len(keeper.blocks) > 50, seconds=30)
    for node in (keeper, origin):
        node.kill()
        pause(swarm, 5.0)
        node.start()
        swarm.mesh([origin, keeper])
        pause(swarm, 0.5)
    swarm.run(lambda: whole(origin, content) == 1, seconds=60)
    swarm.mesh([other, origin, keeper])
    pause(swarm, 2 * GRACE_SECONDS)
    assert list(origin.state.holds[content.root].keepers) == [keeper.peer]
    assert not other.state.kept
    assert keeper.state.duplicate_factor < 1.05


def test_a_release_reaches_keepers_that_missed_it() -> None:
    swarm = checked(Swarm(seed=9))
    content = file_of(60)
    origin, near, far = swarm.node(), swarm.node(quota=1 << 20), swarm.node(quota=1 << 20)
    swarm.mesh([origin, near, far])
    share(origin, content)
    hold(origin, content, 2)
    swarm.run(lambda: whole(origin, content) == 2, seconds=30)
    swarm.unlink(origin.peer, far.peer)
    origin.push(cmd.Release((content.root,)))
    swarm.run(lambda: not near.blocks, seconds=5)
    assert keeps(far, content)
    swarm.link(origin.peer, far.peer)
    swarm.run(lambda: not far.blocks and not far.state.dropping, seconds=5)
    assert set(content.blocks) <= set(origin.blocks), "its own copy is nobody else's business"
    for node in (near, far):
        assert (node.state.kept, node.state.objects, node.state.dropping) == ({}, {}, {})
        assert (node.state.chunk_count, node.state.chunk_bytes) == (0, 0)
        node.check()


def test_chunks_shared_with_the_users_files_stay() -> None:
    swarm = checked(Swarm(seed=11))
    mine = Content(b"x" * CHUNK + random.Random(1).randbytes(20 * CHUNK), CHUNK, links=16)
    theirs = Content(b"x" * CHUNK + random.Random(2).randbytes(20 * CHUNK), CHUNK, links=16)
    origin, keeper, other = swarm.node(), swarm.node(quota=1 << 20), swarm.node()
    swarm.mesh([origin, keeper])
    share(origin, theirs)
    hold(origin, theirs, 1)
    swarm.run(lambda: whole(origin, theirs) == 1, seconds=30)
    share(keeper, mine, "mine")
    origin.push(cmd.Release((theirs.root,)))
    swarm.run(lambda: any(isinstance(e.event, ev.ReplicaEvicted) for e in keeper.series), seconds=10)
    assert set(keeper.blocks) == set(mine.blocks)
    swarm.mesh([keeper, other])
    get(other, mine)
    swarm.run(lambda: has(other, mine), seconds=30)
    assert other.finished[mine.root] == mine.data


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**31), st.data())
def test_no_quota_is_ever_exceeded(seed: int, data: st.DataObject) -> None:
    """Origins ask for more than there is room for, lie about sizes, and change their mind. Nodes die."""
    chance = random.Random(seed)
    swarm = Swarm(seed=seed, loss=data.draw(st.sampled_from([0.0, 0.05])))
    origins = [swarm.node() for _ in range(3)]
    keepers = [swarm.node(quota=chance.randrange(20, 120) * CHUNK) for _ in range(4)]

    def law() -> None:
        for node in keepers:
            if node.alive:
                assert node.state.kept_bytes <= node.state.policy.quota
                held = [kept for kept in node.state.kept.values() if not kept.own]
                shares = [sum(k.charge for k in held if o.peer in k.origins) for o in origins]
                assert max(shares) <= max(node.state.policy.quota // 2, 1)

    contents = [file_of(chance.randrange(1, 40), seed + number) for number in range(9)]
    swarm.mesh([*origins, *keepers])
    for number, content in enumerate(contents):
        origin = origins[number % 3]
        share(origin, content, f"{number}")
        lie = chance.choice([None, None, 1])
        if lie is not None:
            origin.state.objects[content.root].size = lie
        hold(origin, content, chance.randrange(1, 5))
        swarm.after(chance.uniform(0, 60), lambda o=origin, c=content: o.push(cmd.Release((c.root,))))  # type: ignore[misc]
        if lie is not None:
            origin.state.objects[content.root].size = len(content.data)
    victim = chance.choice(keepers)

    def die() -> None:
        if victim.alive:
            victim.kill()

    def rise() -> None:
        if not victim.alive:
            victim.start()
            swarm.mesh([*origins, *keepers])

    swarm.after(chance.uniform(0, 20), die)
    swarm.after(chance.uniform(20, 40), rise)
    swarm.after(700.0, lambda: None)
    end = swarm.now + 700
    swarm.after_step = law
    swarm.run(lambda: swarm.now >= end, seconds=800)
    swarm.loss = 0.0
    rise()
    pause(swarm, 400.0)
    for node in swarm.nodes.values():
        node.check()
    for node in keepers:
        assert not node.state.dropping
        for root, kept in node.state.kept.items():
            assert any(root in origins_of(kept_by) for kept_by in swarm.nodes.values()), (root, kept)


def origins_of(node: SimNode) -> set[str]:
    return set(node.state.holds)


def test_a_smaller_quota_applies_at_once_and_the_replica_moves() -> None:
    swarm = checked(Swarm(seed=13))
    content = file_of(50)
    origin, first, second = swarm.node(), swarm.node(quota=1 << 20), swarm.node()
    swarm.mesh([origin, first, second])
    share(origin, content)
    hold(origin, content, 1)
    swarm.run(lambda: whole(origin, content) == 1, seconds=30)
    second.push(cmd.Configure(PolicyChange(quota=1 << 20)))
    first.push(cmd.Configure(PolicyChange(quota=1000)))
    swarm.run(lambda: keeps(second, content) and whole(origin, content) == 1, seconds=900)
    swarm.run(lambda: not first.blocks, seconds=5)
    reason = origin.state.holds[content.root].refused[first.peer].reason
    assert reason == "low_space"
