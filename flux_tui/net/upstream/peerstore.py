"""A peerstore with bounds that never removes an entry which the host needs. Replaces `PeerStore`. For libp2p 0.8.x.

What libp2p 0.8.1 does: its `PeerStore` keeps 1,000 entries and first evicts those without addresses. The host's own
entry has no address: after 1,000 visitors its key is gone, identify raises, and the process ends. Besides:

- An entry without addresses is not counted until another entry gets an address.
- Signed records are not counted at all.
- The task that would remove expired entries is never started.
- One peer may name any number of addresses and protocols.
- It puts the addresses of a signed record into a set: the order in which the peer told them, the best first, is lost.

Here pinned entries stay: the host's own entry, and those of connected peers. Of the others, the least recently used
entry is removed to make room for a new one, together with its signed record. What one peer may store is limited.

Upstream: no issue is known (js-libp2p had the same fault: its issue #3051). Test: tests/net/upstream/test_peerstore.py;
`test_libp2p_still_forgets_its_own_key` fails when upstream changes.
"""

from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from libp2p.peer.envelope import Envelope
from libp2p.peer.id import ID
from libp2p.peer.peerdata import PeerData
from libp2p.peer.peerstore import PeerStore, _peer_record_signer_matches
from multiaddr import Multiaddr
from typing_extensions import override

from flux_tui.net.upstream.clock import STEADY_TIME

MAX_ENTRIES = 1024
"""Peers that are remembered besides the pinned ones."""
MAX_ADDRS, MAX_PROTOCOLS, MAX_PROTOCOL_CHARS = 16, 64, 256
"""Bounds for one peer: the addresses named last, the protocols named first, and the length of a protocol's name."""
MAX_RECORD = 8 * 1024
"""Bytes of a signed record."""


FUTURE_SECONDS = 3600.0
"""A record is numbered by its time. A record from further ahead than this is replaced by whichever comes next."""


class BoundedPeerstore(PeerStore):
    """The peerstore of one host: the addresses, keys and protocols of peers.

    `pinned`: returns whether a peer's entry has to stay. `admits`: returns those of a peer's addresses that
    may be stored. libp2p dials the addresses that are stored here.
    """

    def __init__(
        self,
        pinned: Callable[[ID], bool],
        admits: Callable[[ID, Sequence[Multiaddr]], list[Multiaddr]],
    ) -> None:
        super().__init__()
        self._pinned = pinned
        self.admits = admits
        self.peer_data_map = _Entries(self._evict)

    def _evict(self, entries: "_Entries") -> None:
        """Remove the least recently used entries that are not pinned, until there is room for one more."""
        pinned = 0
        for peer in list(entries):
            if len(entries) - pinned < MAX_ENTRIES:
                return
            if self._pinned(peer):
                pinned += 1
                entries.move_to_end(peer)
            else:
                self.forget(peer)

    def forget(self, peer: ID) -> None:
        """Remove everything that is stored about a peer."""
        self.peer_data_map.pop(peer, None)
        self.peer_record_map.pop(peer, None)

    @override
    def add_addrs(self, peer_id: ID, addrs: Sequence[Multiaddr], ttl: int = 0) -> None:
        super().add_addrs(peer_id, self.admits(peer_id, list(addrs)[-MAX_ADDRS:]), ttl)
        entry = self.peer_data_map.get(peer_id)
        if entry is not None and len(entry.addrs) > MAX_ADDRS:
            del entry.addrs[:-MAX_ADDRS]

    @override
    def add_protocols(self, peer_id: ID, protocols: Sequence[str]) -> None:
        super().add_protocols(peer_id, _short(protocols))
        entry = self.peer_data_map[peer_id]
        del entry.protocols[MAX_PROTOCOLS:]

    @override
    def set_protocols(self, peer_id: ID, protocols: Sequence[str]) -> None:
        super().set_protocols(peer_id, _short(protocols))

    @override
    def consume_peer_record(self, envelope: Envelope, ttl: int) -> bool:
        if len(envelope.raw_payload) > MAX_RECORD:
            return False
        if not _peer_record_signer_matches(envelope):
            return False
        peer = envelope.record().peer_id
        known = self.peer_record_map.get(peer)
        if known is not None and known.seq > (STEADY_TIME.time() + FUTURE_SECONDS) * 1e9:
            del self.peer_record_map[peer]  # its clock was ahead, so the record would be the newest for years
        # A record older than the known one changes nothing, but it is not a forgery: its peer's clock was set
        # back, or the sender passes on what it heard long ago. libp2p's DHT would drop that sender.
        if super().consume_peer_record(envelope, ttl):
            self.put_first(peer, envelope.record().addrs)
        return True

    def put_first(self, peer: ID, addrs: Sequence[Multiaddr]) -> None:
        """Move these addresses to the front of the peer's stored addresses, in this order.

        An address that is not stored is ignored.
        """
        entry = self.peer_data_map.get(peer)
        if entry is not None:
            first = [addr for addr in dict.fromkeys(addrs) if addr in entry.addrs]
            entry.addrs[:] = [*first, *(addr for addr in entry.addrs if addr not in first)]

    def _enforce_peer_limit(self) -> None:
        """Do nothing: `_Entries` keeps to the limit."""

    def _enforce_record_limit(self) -> None:
        """Do nothing: a signed record is removed together with its peer's entry."""


class _Entries(OrderedDict[ID, PeerData]):
    """The table of peers, ordered by last use. When it is full, it removes an entry before it adds one."""

    def __init__(self, make_room: Callable[["_Entries"], None]) -> None:
        super().__init__()
        self._make_room = make_room

    def __setitem__(self, peer: ID, data: PeerData) -> None:
        if peer not in self:
            self._make_room(self)
        super().__setitem__(peer, data)

    def setdefault(self, peer: ID, default: Any = None) -> Any:
        if peer in self:
            self.move_to_end(peer)
        else:
            self[peer] = default
        return self[peer]


def _short(protocols: Sequence[str]) -> list[str]:
    return [name for name in protocols if len(name) <= MAX_PROTOCOL_CHARS][:MAX_PROTOCOLS]
