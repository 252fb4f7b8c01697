"""Thousands of objects added at once: peers hear of all that they want, and nobody is taken for a flood."""

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.peers.intent_limits import IntentLimits
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import Swarm
from tests.support.swarms import share


class LimitedSwarm(Swarm):
    """A swarm whose nodes limit what they decode and verify, as the receiver of a real node does."""

    def __init__(self, seed: int) -> None:
        super().__init__(seed)
        self.limits: dict[PeerId, IntentLimits] = {}
        self.left_out = 0

    def _hear(self, to: PeerId, intent: msg.Intent, via: ev.Via, by: PeerId | None = None) -> None:
        limits, sender = self.limits.setdefault(to, IntentLimits()), by or intent.origin
        if not limits.admits_sender(sender, self.now):
            self._leave_out(to, inp.NotAdmitted(peer=sender, forwarded=via == "gossip"))
        elif not self.nodes[to].machine.has_seen(intent) and not limits.admits_origin(
            intent.origin, self.now
        ):
            if via == "direct":
                self._leave_out(to, inp.NotAdmitted(peer=sender, forwarded=False, intent=intent))
        else:
            limits.signed(intent.origin, self.now)
            super()._hear(to, intent, via, by)

    def _leave_out(self, to: PeerId, given: inp.NotAdmitted) -> None:
        self.left_out += 1
        self.nodes[to].feed(given)


def faults(swarm: Swarm) -> list[ev.PeerFaulted]:
    return [
        entry.event
        for node in swarm.nodes.values()
        for entry in node.series
        if isinstance(entry.event, ev.PeerFaulted)
    ]


@pytest.mark.parametrize("seed", [1])
def test_twenty_thousand_objects_added_at_once_beside_three_peers(seed: int) -> None:
    swarm = LimitedSwarm(seed)
    adder, *peers = [swarm.node() for _ in range(4)]
    swarm.mesh([adder, *peers])
    names = [b"file %d" % number for number in range(20_000)]
    wanted = [raw_cid(name) for name in names[::200]]
    for peer in peers:
        peer.push(cmd.WantMany(tuple(wanted)))
    end = swarm.now + 10
    swarm.after(10, lambda: None)
    swarm.run(lambda: swarm.now >= end, seconds=11)
    for name in names:
        share(adder, name)
    begin = swarm.now
    swarm.run(lambda: adder.state.announced_by is not None, seconds=2)
    assert (adder.state.announced_by or 0.0) - swarm.now < 180, "how long a round takes is known soon"
    swarm.run(lambda: all(cid in peer.blocks for peer in peers for cid in wanted), seconds=15)
    assert swarm.now - begin < 15, "what is wanted comes first, long before the round ends"
    swarm.run(lambda: adder.state.announced_by is None, seconds=200)
    assert swarm.left_out == 0
    assert faults(swarm) == []
    assert all(len(node.linked) == 3 for node in swarm.nodes.values())
    told = [entry.event for entry in adder.series if isinstance(entry.event, ev.PushedHave)]
    assert sorted(cid for event in told for cid in (event.root, *event.more)) == sorted(map(raw_cid, names))
    assert len(told) < 20_000 / 100


def test_a_node_that_announces_each_object_alone_is_not_dropped() -> None:
    """A node of an earlier version has no budget for announcements."""
    swarm = LimitedSwarm(2)
    here, old = swarm.node(), swarm.node()
    swarm.mesh([here, old])
    for number in range(5_000):
        have = msg.Have(root=raw_cid(b"%d" % number), size=1, name=f"{number}.txt")
        intent = msg.Intent(
            origin=old.peer, nonce=b"%08d" % number, expires=swarm.now + 60, body=have, addrs=(old.addr,)
        )
        swarm._hear(here.peer, intent, "direct")
        swarm.now += 1 / 200
    assert swarm.left_out > 2_048
    assert old.peer in here.linked
    assert faults(swarm) == []


def test_peers_that_answer_a_hundred_thousand_wants_are_not_dropped() -> None:
    """Sixteen strangers answer `not_held` more often than their NOs can be recorded."""
    swarm = LimitedSwarm(3)
    asker, *peers = [swarm.node() for _ in range(17)]
    for peer in peers:
        swarm.link(asker.peer, peer.peer)
    dead = [raw_cid(b"nobody has %d" % number) for number in range(512)]
    asker.push(cmd.WantMany(tuple(dead)))
    for _ in range(2_100):
        for peer in peers:
            no = msg.StatusNo(cids=tuple(dead[:256]), reason="not_held", has_it=False)
            asker.feed(inp.MessageCame(peer=peer.peer, message=no))
    assert len(asker.linked) == 16
    assert not [fault for fault in faults(swarm) if fault.fault == "flood"]
