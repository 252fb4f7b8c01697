"""Runs libp2p's DHT (Kademlia) under flux's own protocol name, with bounds. Wraps the DHT. For libp2p 0.8.x.

What libp2p 0.8.1 does, and what is done about it here:

- It takes the protocol's name from a constant that several of its modules import, and ignores `protocol_prefix`. A
  changed constant would change every DHT in the process. Here `KadHost` stands between the DHT and the host. It gives
  every stream, incoming or outgoing, the protocol name `/flux/kad/1.0.0`. It also hides the public DHT's name in the
  lists of protocols that peers support.
- It answers twelve requests at a time, from all peers together, and sets no time limit. `KadHost` limits the requests
  of each peer, and their time.
- It stores provider records for any number of keys, each with any number of addresses. `Records` limits both numbers,
  and stores only addresses that the sending peer may name.
- It does not note which peer named an address. `Lookups` does.

Upstream: no issue is known. Tests: tests/net/upstream/test_kad.py fails when upstream changes;
tests/net/flux/dht/test_dht_routing.py shows what is done here.
"""

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import trio
from libp2p.abc import IHost, INetStream
from libp2p.custom_types import TProtocol
from libp2p.kad_dht.common import BUCKET_SIZE
from libp2p.kad_dht.common import PROTOCOL_ID as IPFS_KAD
from libp2p.kad_dht.peer_routing import PeerRouting
from libp2p.kad_dht.provider_store import ProviderRecord, ProviderStore
from libp2p.peer.id import ID
from libp2p.peer.peerinfo import PeerInfo
from typing_extensions import override

from flux_tui.core.ids import Cid, cid_bytes
from flux_tui.net.addresses.dial_guard import told_by
from flux_tui.net.port import KAD_PROTOCOL

KAD = TProtocol(KAD_PROTOCOL)
MAX_SERVED, MAX_SERVED_EACH, SERVE_SECONDS = 64, 12, 10.0
"""Requests answered at a time, in all and for one peer, and seconds that one may take. libp2p answers twelve
at a time, from any peers, and waits for each as long as the peer likes: twelve silent streams would block it.
"""
DIAL_SECONDS = 30.0
"""Seconds after which a connection that was asked for is no longer expected."""
MAX_RECORDS = 131_072
"""Provider records that this node keeps for the swarm. So many take 30 MB."""
MAX_ADDRS = 8
"""Addresses kept of one provider."""


class KadHost:
    """The host that libp2p's DHT gets. It changes the protocol's name, and notes which peers the DHT dials."""

    def __init__(self, host: IHost, served: Callable[[ID], Awaitable[None]]) -> None:
        self._host = host
        self._peerstore = KadPeerstore(host.get_peerstore())
        self._served = served
        self._used: dict[ID, float] = {}
        """Peers that are connected, with the time of the last request in either direction."""
        self._opened: set[ID] = set()
        """The peers among them that a lookup of this node connected to."""
        self._serving: dict[ID, int] = {}
        """Streams of each peer that are being answered."""
        self.asked = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._host, name)

    def get_peerstore(self) -> "KadPeerstore":
        """Return a peerstore in which peers with flux's DHT appear to have libp2p's DHT."""
        return self._peerstore

    def set_stream_handler(self, protocol: TProtocol, handler: Callable[[INetStream], Any]) -> None:
        """Set the handler for streams of flux's DHT protocol. `protocol`: the name that libp2p's DHT gives.

        A stream is reset if its peer has MAX_SERVED_EACH already, or if it takes more than SERVE_SECONDS.
        """

        async def handle(stream: INetStream) -> None:
            peer = stream.muxed_conn.peer_id
            if self._serving.get(peer, 0) >= MAX_SERVED_EACH:
                await stream.reset()
                return
            self._used[peer] = trio.current_time()
            self._serving[peer] = self._serving.get(peer, 0) + 1
            try:
                with trio.move_on_after(SERVE_SECONDS) as asking:
                    await handler(stream)
                    await self._served(peer)
                if asking.cancelled_caught:
                    await stream.reset()
            finally:
                self._serving[peer] -= 1
                if not self._serving[peer]:
                    del self._serving[peer]

        self._host.set_stream_handler(_ours(protocol), handle)

    def remove_stream_handler(self, protocol: TProtocol) -> None:
        """Handle no more streams of flux's DHT protocol."""
        self._host.remove_stream_handler(_ours(protocol))

    async def new_stream(self, peer: ID, protocols: Sequence[TProtocol]) -> INetStream:
        """Open a stream to a peer, with flux's DHT protocol in place of libp2p's."""
        if not self._host.get_network().connections.get(peer):
            self._opened.add(peer)
        self._used[peer] = trio.current_time()
        self.asked += KAD in protocols or IPFS_KAD in protocols
        return await self._host.new_stream(peer, [_ours(protocol) for protocol in protocols])

    def spare(self, since: float, most: int) -> list[ID]:
        """Return the peers whose connections may be closed.

        Connections that a push link or a relay needs are never among them. Of the others, these may be
        closed: connections that were opened for a look-up and not used since `since`, a time of trio's clock;
        and, if there are more than `most`, those unused for the longest time.
        """
        swarm: Any = self._host.get_network()
        there = [peer for peer, connections in swarm.connections.items() if connections]
        now = trio.current_time()
        # A peer without a connection may be being dialled just now.
        dialled = {peer: at for peer, at in self._used.items() if at >= min(since, now - DIAL_SECONDS)}
        self._used = dialled | {peer: self._used.get(peer, now) for peer in there}
        self._opened &= self._used.keys()
        free = [peer for peer in there if not swarm.is_protected(peer)]
        free.sort(key=self._used.__getitem__)
        crowd = len(free) - most
        return [
            peer
            for number, peer in enumerate(free)
            if number < crowd or (peer in self._opened and self._used[peer] < since)
        ]


class KadPeerstore:
    """The peerstore that libp2p's DHT gets. Only peers with flux's DHT appear to speak libp2p's DHT protocol."""

    def __init__(self, peerstore: Any) -> None:
        self._peerstore = peerstore

    def __getattr__(self, name: str) -> Any:
        return getattr(self._peerstore, name)

    def get_protocols(self, peer: ID) -> list[str]:
        """Return a peer's protocols, renamed: flux's DHT gets the name of libp2p's DHT, all others unknown names."""
        spoken = self._peerstore.get_protocols(peer)
        return [str(IPFS_KAD) if name == KAD_PROTOCOL else f"not ours: {name}" for name in spoken]


class Records(ProviderStore):
    """The provider records that this node stores for the swarm: which nodes have which roots.

    Their number is limited. If there is one too many, the provider with the most records loses its oldest; a provider
    that has the most itself gets no more. So nobody pushes out the records of those who have few.

    Only addresses that the sending peer may name are stored. Keys that came together, and have no other providers,
    share one table of providers. So tables are replaced, and never changed.
    """

    def __init__(self, host: Any, peer_routing: Any = None) -> None:
        super().__init__(host, peer_routing)
        self._by_provider: dict[str, OrderedDict[bytes, None]] = {}
        """The keys of each provider, the one renewed longest ago first."""
        self.count = 0
        """Records: pairs of a key and a provider."""

    @override
    def add_provider(self, key: bytes, provider: PeerInfo) -> None:
        self.add_all((key,), provider)

    def add_all(self, keys: Sequence[bytes], provider: PeerInfo) -> int:
        """Store a record of this provider for each key. Returns how many were stored, counted from the first."""
        admits = self.host.get_peerstore().admits  # type: ignore[attr-defined]  # net/upstream/peerstore.py
        addrs = admits(provider.peer_id, provider.addrs[:MAX_ADDRS])
        name, record = str(provider.peer_id), ProviderRecord(PeerInfo(provider.peer_id, addrs))
        alone = {name: record}
        for number, key in enumerate(keys):
            known = self.providers.get(key)
            if known is None or name not in known:
                if known is not None and len(known) >= BUCKET_SIZE:
                    continue  # its providers are as many as an intent needs
                if self.count >= MAX_RECORDS and not self._make_room(name):
                    return number
                known = self.providers.get(key)  # the room may have been made here
                self.count += 1
            self.providers[key] = alone if known is None or known.keys() == alone.keys() else known | alone
            own = self._by_provider.setdefault(name, OrderedDict())
            own[key] = None
            own.move_to_end(key)
        return len(keys)

    @override
    def get_providers(self, key: bytes) -> list[PeerInfo]:
        found = self.providers.get(key, {})
        return [record.provider_info for record in found.values() if not record.is_expired()]

    @override
    def cleanup_expired(self) -> None:
        for name in tuple(self._by_provider):
            while (key := self._oldest(name)) is not None and self.providers[key][name].is_expired():
                self._remove(key, name)

    def clear(self) -> None:
        """Forget all records."""
        self.providers.clear()
        self._by_provider.clear()
        self.count = 0

    def _make_room(self, name: str) -> bool:
        """Remove the oldest record of the provider with the most. Returns False if that is the provider `name`."""
        most = max(self._by_provider, key=lambda one: len(self._by_provider[one]))
        if len(self._by_provider.get(name, ())) >= len(self._by_provider[most]):
            return False
        key = self._oldest(most)
        assert key is not None
        self._remove(key, most)
        return True

    def _oldest(self, name: str) -> bytes | None:
        return next(iter(self._by_provider.get(name, ())), None)

    def _remove(self, key: bytes, name: str) -> None:
        own = self._by_provider[name]
        del own[key]
        if not own:
            del self._by_provider[name]
        left = {other: record for other, record in self.providers[key].items() if other != name}
        if left:
            self.providers[key] = left
        else:
            del self.providers[key]
        self.count -= 1


class Lookups(PeerRouting):
    """libp2p's DHT look-ups. Addresses in a peer's answer are stored as named by that peer."""

    async def _query_peer_for_closest(self, peer: ID, target_key: bytes) -> list[ID]:
        with told_by(peer):
            return await super()._query_peer_for_closest(peer, target_key)


def _ours(protocol: TProtocol) -> TProtocol:
    return KAD if protocol == IPFS_KAD else protocol


def key_of(root: Cid) -> bytes:
    """Return a root's key in the DHT: its multihash, as everywhere in libp2p."""
    return cid_bytes(root)[2:]
