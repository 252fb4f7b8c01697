"""A grant, or the NO to it, is lost although the link stays up: a sole holder is granted the chunks again soon."""

import random
from collections.abc import Callable

import pytest

from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import Content, SimNode, Swarm
from tests.support.swarms import CHUNK, checked, factor, file_of, get, has

PROMISED = 60.0
"""Seconds from the last push of a want until it is pushed again if nothing came."""


def lose(swarm: Swarm, is_lost: Callable[[PeerId, msg.Message], bool]) -> list[msg.Message]:
    """Lose the direct messages for which `is_lost(sender, message)` is true. Returns the list of the lost ones."""
    lost: list[msg.Message] = []
    deliver = swarm.deliver

    def maybe(sender: SimNode, to: PeerId, message: msg.Message) -> None:
        if is_lost(sender.peer, message):
            lost.append(message)
        else:
            deliver(sender, to, message)

    swarm.deliver = maybe  # type: ignore[method-assign]
    return lost


@pytest.mark.parametrize("number", range(3))
def test_a_lost_grant_is_pushed_again(number: int) -> None:
    """The first grant names the root, the second one inner nodes, the third one leaves."""
    swarm = checked(Swarm(seed=number))
    content = file_of(100)
    holder, asker = swarm.node(rate=60 * CHUNK), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    grants = 0

    def is_lost(_: PeerId, message: msg.Message) -> bool:
        nonlocal grants
        grants += isinstance(message, msg.Grant)
        return isinstance(message, msg.Grant) and grants == number + 1

    lost = lose(swarm, is_lost)
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=PROMISED)
    assert len(lost) == 1
    assert asker.finished[content.root] == content.data
    assert factor(asker) == 1.0
    assert not any(isinstance(entry.event, ev.LeaseLapsed) for entry in asker.series)
    asker.check()


def test_a_lost_no_to_a_grant_is_answered_again() -> None:
    """Both getters got a yes. The second grant was refused. Its getter missed that NO, and still waits."""
    swarm = checked(Swarm(seed=0))
    contents = file_of(40, seed=2), file_of(40, seed=3)
    holder = swarm.node(rate=4 * CHUNK, max_uploads=1)
    getters = swarm.node(), swarm.node()
    lost = lose(
        swarm,
        lambda sender, message: sender == holder.peer and isinstance(message, msg.StatusNo) and not lost,
    )
    for node, content in zip(getters, contents, strict=True):
        holder.hold(content)
        swarm.link(holder.peer, node.peer)
        get(node, content)
    swarm.run(lambda: bool(lost), seconds=5)
    refused = next(node for node in getters if lost[0].cids[0] in node.state.leases)  # type: ignore[union-attr]
    served = getters[refused is getters[0]]
    assert not has(served, contents[getters.index(served)])
    swarm.run(lambda: all(map(has, getters, contents)), seconds=10 + 2 * PROMISED)
    for node in getters:
        assert factor(node) == 1.0
        node.check()


@pytest.mark.parametrize("chunk", [64, 1024])
def test_a_grant_that_waits_in_a_long_queue_is_sent_once(chunk: int) -> None:
    """Eight getters of a line of 64 kbit/s: each waits for minutes, and pushes its grants again meanwhile."""
    swarm = Swarm(seed=chunk, latency=(0.02, 0.04))
    content = Content(random.Random(chunk).randbytes(1 << 20), chunk << 10)
    holder = swarm.node(uplink=8000.0)
    holder.hold(content)
    getters = [swarm.node() for _ in range(8)]
    for node in getters:
        swarm.link(holder.peer, node.peer)
        get(node, content)
    swarm.run(lambda: all(has(node, content) for node in getters), seconds=4000)
    assert sum(node.state.received_bytes - node.state.unique_bytes for node in getters) == 0
    for node in getters:
        node.check()
