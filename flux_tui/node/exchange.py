"""Sends messages about peers, with this node's own signed record, and checks such messages from peers.

A record names a peer's addresses, and is signed with that peer's key. The signature of a record is checked before
anything else is done with the record. A check costs some 0.1 ms. So the records that are checked for each peer, and
for all together, have a limited rate. Records above it are dropped.
"""

from collections.abc import Callable

from flux_tui.core.api.effects import Introduce, TellRecords
from flux_tui.core.api.inputs import IntroductionCame, PeerFault, RecordsCame, UnknownCame
from flux_tui.core.ids import PeerId
from flux_tui.core.limits import TokenBucket, TokenBuckets
from flux_tui.core.wire import codec
from flux_tui.core.wire.exchange import Introduction, OpenedRecord, Records, Told
from flux_tui.net.port import Network

FRESH_SECONDS = 3600.0
"""Seconds after which this node signs its record anew, though nothing changed."""
TELLER_BURST, TELLER_RATE = 64.0, 1.0
"""Records of one peer that are checked, at once and per second in the long run."""
ALL_BURST, ALL_RATE = 1024.0, 32.0
"""The same for all peers together."""
MAX_TELLERS = 1024


class OwnRecord:
    """Makes this node's record (its addresses, signed by its key); sends records and introductions to peers."""

    def __init__(self, network: Network, wall: Callable[[], float]) -> None:
        self._network = network
        self._wall = wall
        self._made: tuple[tuple[str, ...], float, bytes] | None = None
        self._seq = 0

    def sealed(self) -> bytes:
        """Return this node's signed record. It is signed anew if the addresses changed, or after FRESH_SECONDS."""
        now, addrs = self._wall(), self._network.addrs
        if self._made is not None and self._made[0] == addrs and abs(now - self._made[1]) < FRESH_SECONDS:
            return self._made[2]
        self._seq = max(self._seq + 1, int(now * 1000))
        record = self._network.seal_record(self._seq)
        self._made = addrs, now, record
        return record

    def tell(self, effect: TellRecords) -> None:
        """Send the records in `effect` to the peers that it names. If `effect.own` is true, add this node's record."""
        records = (*((self.sealed(),) if effect.own else ()), *effect.records)
        if records:
            self._send(effect.peers, Records(records=records))

    def introduce(self, effect: Introduce) -> None:
        """Send an introduction to the peer `via`, which passes it on to the node that is to dial.

        The introduction contains the record in `effect`, or this node's own record if `effect` has none.
        """
        record = effect.record or self.sealed()
        self._send((effect.via,), Introduction(to=effect.to, record=record, steps=effect.steps))

    def _send(self, peers: tuple[PeerId, ...], told: Told) -> None:
        data = codec.encode_told(told)
        for peer in peers:
            self._network.tell(peer, data)


class RecordLimits:
    """Limits the rate at which signatures of records are checked: for each peer, and for all peers together."""

    def __init__(self) -> None:
        self._tellers: TokenBuckets[PeerId] = TokenBuckets(MAX_TELLERS, TELLER_BURST, TELLER_RATE)
        self._all: TokenBucket | None = None

    def admits(self, teller: PeerId, records: int, now: float) -> bool:
        """Return whether to check `records` records of the peer `teller` now.

        If so, they count against both limits. If not, none of them is to be checked.
        """
        if self._all is None:
            self._all = TokenBucket(ALL_BURST, ALL_RATE, now)
        bucket = self._tellers.of(teller, now)
        if bucket.wait(now, records) > 0 or self._all.wait(now, records) > 0:
            return False
        bucket.take(records, now)
        self._all.take(records, now)
        return True


def take(
    network: Network, limits: RecordLimits, peer: PeerId, data: bytes, now: float
) -> RecordsCame | IntroductionCame | PeerFault | UnknownCame | None:
    """Decode a message about peers, and verify its records. Returns the input for the machine.

    - RecordsCame, IntroductionCame: the message and all its records are valid.
    - PeerFault: the message or a record is invalid, and `peer` is at fault.
    - UnknownCame: this version does not know the message's kind.
    - None: the peer sent more records than `limits` admits.
    """
    try:
        told = codec.decode_told(data)
    except codec.UnknownKindError as error:
        return UnknownCame(peer=peer, kind=error.kind)
    except codec.BadFrameError as error:
        return PeerFault(peer=peer, fault="garbage", text=f"this should tell of peers and does not: {error}")
    sealed = told.records if isinstance(told, Records) else (told.record,)
    if not limits.admits(peer, len(sealed), now):
        return None
    opened: list[OpenedRecord] = []
    for record in sealed:
        if (found := network.open_record(record)) is None:
            return PeerFault(peer=peer, fault="bad_signature", text="a record that its peer did not sign")
        network.note_addrs(peer, found.addrs)
        opened.append(found)
    reach = int(network.reach(peer))
    if isinstance(told, Records):
        return RecordsCame(peer=peer, records=tuple(opened), reach=reach)
    return IntroductionCame(peer=peer, to=told.to, record=opened[0], steps=told.steps, reach=reach)
