"""A fetch to which hypothesis says anything that peers may say, at any time."""

from typing import Any

from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.wire import messages as msg
from tests.sim.swarm import peer_name
from tests.support.fetching import LEAF, Fetching
from tests.support.script import HOLDER, OTHER, up

PEERS = (HOLDER, OTHER, peer_name(3))
LOOSE = raw_cid(b"a loose chunk")
HEARD = st.one_of(
    st.tuples(st.just("yes"), st.sampled_from(PEERS), st.sampled_from(["object", "loose"])),
    st.tuples(
        st.sampled_from(["rate_limited", "busy", "not_held"]),
        st.sampled_from(PEERS),
        st.sampled_from(["object", "loose", "granted"]),
        st.sampled_from([None, 0.0, 1.5, 17.0]),
    ),
    st.tuples(st.just("chunk"), st.sampled_from(PEERS)),
    st.tuples(st.just("up"), st.sampled_from(PEERS)),
    st.tuples(st.just("down"), st.sampled_from(PEERS)),
    st.tuples(st.just("wait"), st.sampled_from([0.1, 1.0, 2.5, 20.0, 70.0])),
    st.tuples(st.just("retry")),
)


class HeardFetch(Fetching):
    """A fetch of an object and of a loose chunk, which hears what the strategy HEARD makes up."""

    def __init__(self) -> None:
        super().__init__(6, HOLDER, OTHER)
        self.give(inp.Commanded(cmd.Want(LOOSE)))

    def hear(self, what: tuple[Any, ...]) -> None:
        """Feed one message that hypothesis made up."""
        match what:
            case ("yes", peer, about):
                root = self.root if about == "object" else LOOSE
                self.give(inp.MessageCame(peer, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0)))
            case ("chunk", peer):
                if lease := next((cid for cid, lease in self.leases(peer)), None):
                    self.land(peer, lease)
                    self.held.setdefault(lease, LEAF)
            case ("up", peer):
                if not self.here(peer):
                    self.give(up(peer))
            case ("down", peer):
                if self.here(peer):
                    self.give(inp.PeerDown(peer, "gone"))
            case ("wait", seconds):
                self.wait(seconds)
            case ("retry",):
                self.give(inp.Commanded(cmd.Retry((self.root,))))
            case (reason, peer, about, after):
                granted = tuple(cid for cid, _ in self.leases(peer))[:2]
                cids = {"object": (self.root,), "loose": (LOOSE,), "granted": granted}[about]
                if cids:
                    no = msg.StatusNo(
                        cids=cids, reason=reason, has_it=reason != "not_held", retry_after=after
                    )
                    self.give(inp.MessageCame(peer, no))

    def leases(self, peer: PeerId) -> list[tuple[Cid, Any]]:
        return [(cid, lease) for cid, lease in self.machine.state.leases.items() if lease.peer == peer]

    def here(self, peer: PeerId) -> bool:
        return peer in self.machine.connected
