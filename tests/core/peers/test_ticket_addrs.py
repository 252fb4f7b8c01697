"""The addresses in a ticket."""

from flux_tui.core.content.ticket import MAX_ADDRS
from flux_tui.core.ids import PeerId
from flux_tui.core.peers.ticket_addrs import MAX_SHARED, ticket_addrs
from flux_tui.core.series.address_book import KnownAddrs
from flux_tui.core.series.state import PeerState, State
from tests.support.script import HOLDER, ME, OTHER

LAN = f"/ip4/192.168.7.2/tcp/4001/p2p/{ME}"


def knowing(*own: str, **peers: str) -> State:
    """Return a state with connected peers that told their addresses."""
    state = State(addrs=own)
    for name, addr in peers.items():
        peer = PeerId(name)
        state.peers[peer] = PeerState(peer=peer, connected=True)
        state.book[peer] = KnownAddrs((f"{addr}/p2p/{peer}",), 1, peer, 3)
    return state


def test_a_node_behind_a_router_names_peers_on_the_internet() -> None:
    state = knowing(LAN, one="/ip4/9.9.9.9/tcp/1", near="/ip4/192.168.7.3/tcp/1")
    assert ticket_addrs(state) == (LAN, "/ip4/9.9.9.9/tcp/1/p2p/one")
    many = {f"peer{number}": f"/ip4/9.9.9.{number}/tcp/1" for number in range(1, 9)}
    addrs = ticket_addrs(knowing(*[LAN] * 20, **many))
    assert len(addrs) == MAX_ADDRS
    assert sum("/9.9.9." in addr for addr in addrs) == MAX_SHARED


def test_a_node_that_can_be_reached_names_nobody_else() -> None:
    for own in (f"/ip4/9.1.1.1/tcp/1/p2p/{ME}", f"/ip4/9.9.9.9/tcp/1/p2p/{HOLDER}/p2p-circuit/p2p/{ME}"):
        assert ticket_addrs(knowing(own, one="/ip4/9.9.9.9/tcp/1")) == (own,)
    six = f"/ip6/2001:db8::1/tcp/1/p2p/{ME}"
    assert len(ticket_addrs(knowing(six, one="/ip4/9.9.9.9/tcp/1"))) == 2, "a router may let nothing in"


def test_hearsay_and_peers_that_are_gone_are_not_named() -> None:
    state = knowing(LAN, one="/ip4/9.9.9.9/tcp/1", two="/ip4/9.9.9.8/tcp/1")
    state.peers[PeerId("one")].connected = False
    state.book[PeerId("two")].teller = OTHER
    assert ticket_addrs(state) == (LAN,)
