"""The table of peers in a state. If it is full, disconnected peers are removed."""

from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import MAX_PEERS, PeerState, State


def seen(state: State, peer_id: PeerId) -> PeerState:
    """Return the record of a peer that an entry names. Makes one if there is none.

    If the table is full, some disconnected peers are removed: first strangers, then those seen longest ago.
    """
    peer = state.peers.get(peer_id)
    if peer is None:
        if len(state.peers) >= MAX_PEERS:
            _forget_some(state)
        peer = state.peers[peer_id] = PeerState(peer=peer_id)
    peer.seen_at = state.at
    return peer


def _forget_some(state: State) -> None:
    gone = [peer for peer in state.peers.values() if not peer.connected]
    # Peers that gave or took something are worth more than strangers.
    gone.sort(key=lambda peer: (peer.bytes_in + peer.bytes_out > 0, peer.seen_at))
    for peer in gone[: max(1, MAX_PEERS // 8)]:
        del state.peers[peer.peer]
