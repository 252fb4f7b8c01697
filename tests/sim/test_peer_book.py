"""The peer book in a swarm: no node is needed for ever, and an answer finds its way to an origin behind a NAT."""

import pytest

from flux_tui.core.api import commands as cmd
from tests.sim.swarm import SimNode, Swarm
from tests.support.swarms import checked, file_of, get, has

NODES, NEIGHBOURS = 12, 3


def swarm_of(swarm: Swarm, nodes: int) -> list[SimNode]:
    """Return nodes that want neighbours."""
    made = [swarm.node() for _ in range(nodes)]
    for node in made:
        node.min_peers = NEIGHBOURS
        node.kill()
        node.start()
    return made


def everybody_has_neighbours(nodes: list[SimNode]) -> bool:
    return all(len(node.linked) >= NEIGHBOURS for node in nodes)


@pytest.mark.parametrize("seed", range(5))
def test_a_star_outlives_its_middle_and_a_restart_of_all(seed: int) -> None:
    swarm = checked(Swarm(seed=seed, loss=0.05))
    middle, *others = swarm_of(swarm, NODES)
    for node in others:
        node.push(cmd.Join(middle.addr))
    swarm.run(lambda: everybody_has_neighbours(others), seconds=60)
    middle.kill()
    for node in others:
        node.kill()
    for delay, node in enumerate(others):
        swarm.after(delay * 0.5, node.start)
    swarm.after(5.5, lambda: None)
    swarm.run(lambda: all(node.alive for node in others), seconds=10)
    swarm.run(lambda: everybody_has_neighbours(others), seconds=60)
    content = file_of(3)
    others[0].hold(content)
    swarm.passes_gossip_on = True
    get(others[-1], content)
    swarm.run(lambda: has(others[-1], content), seconds=60)


def test_who_wants_no_neighbours_dials_nobody() -> None:
    swarm = Swarm(seed=1)
    middle, *others = [swarm.node() for _ in range(4)]
    for node in others:
        node.push(cmd.Join(middle.addr))
    swarm.after(120.0, lambda: None)
    end = swarm.now + 100
    swarm.run(lambda: swarm.now >= end, seconds=130)
    assert all(list(node.linked) == [middle.peer] for node in others)
    assert set(others[0].state.book) >= {middle.peer}, "it is told all the same"


def test_two_nodes_behind_nats_meet_by_the_relay_of_one() -> None:
    """The want comes by way of the middle. Its holder cannot dial the asker, and is introduced to it."""
    swarm = Swarm(seed=2)
    swarm.passes_gossip_on = True
    middle, holder, asker = (swarm.node() for _ in range(3))
    for node in (holder, asker):
        node.hidden = True
        swarm.link(node.peer, middle.peer)
    relay = middle.addr
    swarm.relayed[holder.peer] = f"{relay}/p2p-circuit/p2p/{holder.peer}"
    content = file_of(20)
    holder.hold(content)
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=10)


def test_an_introduction_goes_back_over_several_nodes() -> None:
    swarm = Swarm(seed=3)
    swarm.passes_gossip_on = True
    one, two, three, holder, asker = (swarm.node() for _ in range(5))
    asker.hidden = True
    holder.hidden = True
    swarm.relayed[holder.peer] = f"{three.addr}/p2p-circuit/p2p/{holder.peer}"
    for a, b in ((asker, one), (one, two), (two, three), (three, holder)):
        swarm.link(a.peer, b.peer)
    content = file_of(5)
    holder.hold(content)
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=10)
