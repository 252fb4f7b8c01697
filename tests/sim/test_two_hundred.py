"""Two hundred nodes in one swarm: each object is found, and nobody comes and goes."""

import random

from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from tests.sim.scale import Scale
from tests.support.swarms import share

NODES = 200


def test_each_of_two_hundred_objects_is_found_and_no_link_ends() -> None:
    swarm = Scale(seed=11, nodes=NODES)
    nodes = list(swarm.nodes.values())
    links = {node.peer: set(node.linked) for node in nodes}
    roots = [share(node, b"object %d" % number) for number, node in enumerate(nodes)]
    chance = random.Random(12)
    askers = [chance.choice([node for node in nodes if root not in node.blocks]) for root in roots]
    for asker, root in zip(askers, roots, strict=True):
        asker.push(cmd.Want(root))
    swarm.run(
        lambda: all(root in asker.blocks for asker, root in zip(askers, roots, strict=True)), seconds=300
    )
    for node in nodes:
        assert links[node.peer] <= set(node.linked)
        assert not [
            entry for entry in node.series if isinstance(entry.event, ev.PeerDisconnected | ev.PeerFaulted)
        ]
