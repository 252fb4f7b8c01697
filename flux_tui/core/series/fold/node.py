"""The fold of the events about the node itself, its peers, and custom messages."""

from typing import assert_never

from flux_tui.core.ids import PeerId
from flux_tui.core.series import address_book, fault_decay, peer_backoff
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import want_tables
from flux_tui.core.series.fold.peer_table import seen
from flux_tui.core.series.state import PeerState, State

CIRCUIT = "/p2p-circuit"
"""In the address of a relayed peer. Entries of early versions tell the way by it alone."""
MAX_UNREACHED = 160
"""Characters of the words why a peer could not be dialled."""


def fold(state: State, event: ev.NodeEvent) -> None:  # noqa: C901 - a flat match: one line a case
    """Apply one event about the node, a peer, or a custom message to the state."""
    match event:
        case ev.NodeStarted():
            _started(state, event)
        case ev.NodeStopped():
            state.running = False
            _disconnect_all(state)
        case ev.AddrsChanged():
            state.addrs = event.addrs
        case ev.PolicyChanged():
            state.policy = event.policy
        case ev.ErrorOccurred():
            _failed(state, event)
        case ev.PeerConnected() | ev.PeerMoved():
            _set_addr_and_way(state, seen(state, event.peer), event)
            state.tried = ()
        case ev.AddrsTold():
            _told(state, event)
        case ev.HeardNobody():
            state.tried = event.tried
        case ev.NameSuggested():
            seen(state, event.peer).suggested = event.suggested
        case ev.PeerDisconnected():
            seen(state, event.peer).connected = False
        case ev.PeerFaulted():
            state.totals.faults += event.count
            fault_decay.add(seen(state, event.peer), event.count, state.at)
        case ev.ClockDiffers():
            peer = seen(state, event.peer)
            peer.clock_ahead, peer.clock_seen_at = event.seconds, state.at
        case ev.CustomReceived() | ev.MessagePassedOver():
            seen(state, event.peer)
        case ev.ClockStepped():  # all times were moved before this entry was counted
            for peer in state.peers.values():
                peer.clock_ahead = None  # how far it is from the new clock is not known
        case ev.PushedCustom() | ev.SeriesPruned():
            pass
        case _:
            assert_never(event)


def _set_addr_and_way(state: State, peer: PeerState, event: ev.PeerConnected | ev.PeerMoved) -> None:
    """Record a peer's address, and whether its link is direct or relayed.

    At a `PeerConnected`, also mark the peer as connected, and let it be asked at once.
    """
    peer.addr = event.addr or peer.addr
    peer.way = event.way
    if isinstance(event, ev.PeerConnected):
        peer.connected = True
        peer.speaks = event.speaks
        peer.connected_at = state.at
        state.totals.connects += 1
        peer.unreached = ""
        peer_backoff.connected(peer)
        if event.way == "direct" and CIRCUIT in event.addr:
            peer.way = "relayed"  # an entry of an early version


def _started(state: State, event: ev.NodeStarted) -> None:
    state.peer_id = event.peer_id
    state.addrs = event.addrs
    state.version = event.version
    state.max_pending = event.max_pending
    state.running = True
    state.started_at = state.at
    state.adding.clear()
    state.to_announce, state.announced_by = 0, None
    state.to_provide, state.provided_by = 0, None
    state.tried = ()
    # A killed node could not write that its streams had closed and its intents had ended.
    _disconnect_all(state)
    for peer in state.peers.values():
        peer_backoff.connected(peer)
    for pending in state.pending.values():
        want_tables.start_again(state, pending)


def _told(state: State, event: ev.AddrsTold) -> None:
    def is_of_use(peer_id: PeerId) -> bool:
        peer = state.peers.get(peer_id)
        return peer is not None and (peer.connected or peer.bytes_in > 0 or peer.bytes_out > 0)

    for told in event.told:
        address_book.note(state.book, event.peer, told, event.reach, is_of_use)


def _disconnect_all(state: State) -> None:
    for peer in state.peers.values():
        peer.connected = False


def _failed(state: State, event: ev.ErrorOccurred) -> None:
    state.errors += 1
    state.last_error = event.text
    if event.cid is not None and (pending := state.pending.get(event.cid)):
        pending.trouble = event.text
    if event.path is not None:
        state.adding.pop(event.path, None)
    _not_reached(state, event)


def _not_reached(state: State, event: ev.ErrorOccurred) -> None:
    """If an error is about the address of a known peer, remember why it could not be dialled, or that packets are lost.

    Entries of early versions do not name the address in a field. Their text begins with the address.
    """
    first, _, rest = event.text.partition(" ")
    peer = state.peers.get(PeerId((event.addr or first).rpartition("/p2p/")[2]))
    about_it = peer is not None and (not peer.connected or event.code == "small_packets")
    if peer is not None and about_it and first.startswith("/"):
        peer.unreached = rest.removeprefix("cannot be reached: ")[:MAX_UNREACHED]
