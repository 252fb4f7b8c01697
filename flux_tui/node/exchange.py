"""What nodes tell each other about peers, in both directions: this node signs its own record, and checks others'.

Records are checked before anything else is done with them. A signature costs some 0.1 ms, so a peer that tells more
records than it may is not listened to for a while.
"""

from collections.abc import Callable

from flux_tui.core.api.effects import Introduce, TellRecords
from flux_tui.core.api.inputs import IntroductionCame, PeerFault, RecordsCame, UnknownCame
from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable, TokenBucket
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
    """The signed record of this node. It is signed again when its addresses have changed."""

    def __init__(self, network: Network, wall: Callable[[], float]) -> None:
        self._network = network
        self._wall = wall
        self._made: tuple[tuple[str, ...], float, bytes] | None = None
        self._seq = 0

    def sealed(self) -> bytes:
        """Return it."""
        now, addrs = self._wall(), self._network.addrs
        if self._made is not None and self._made[0] == addrs and abs(now - self._made[1]) < FRESH_SECONDS:
            return self._made[2]
        self._seq = max(self._seq + 1, int(now * 1000))
        record = self._network.seal_record(self._seq)
        self._made = addrs, now, record
        return record

    def tell(self, effect: TellRecords) -> None:
        """Tell peers of others, and of this node."""
        records = (*((self.sealed(),) if effect.own else ()), *effect.records)
        if records:
            self._send(effect.peers, Records(records=records))

    def introduce(self, effect: Introduce) -> None:
        """Hand an introduction to a peer that passes it on."""
        record = effect.record or self.sealed()
        self._send((effect.via,), Introduction(to=effect.to, record=record, steps=effect.steps))

    def _send(self, peers: tuple[PeerId, ...], told: Told) -> None:
        data = codec.encode_told(told)
        for peer in peers:
            self._network.tell(peer, data)


class RecordLimits:
    """How many records of each peer are checked."""

    def __init__(self) -> None:
        self._tellers: BoundedTable[PeerId, TokenBucket] = BoundedTable(MAX_TELLERS, refresh=True)
        self._all: TokenBucket | None = None

    def admits(self, teller: PeerId, records: int, now: float) -> bool:
        """Whether so many records of this peer are checked now. Takes tokens for them if so."""
        if self._all is None:
            self._all = TokenBucket(ALL_BURST, ALL_RATE, now)
        bucket = self._tellers.setdefault(teller, TokenBucket(TELLER_BURST, TELLER_RATE, now))
        if bucket.wait(now, records) > 0 or self._all.wait(now, records) > 0:
            return False
        bucket.take(records, now)
        self._all.take(records, now)
        return True


def take(
    network: Network, limits: RecordLimits, peer: PeerId, data: bytes, now: float
) -> RecordsCame | IntroductionCame | PeerFault | UnknownCame | None:
    """Open and verify what a peer told. Returns the machine's input; None: the peer told too much."""
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
