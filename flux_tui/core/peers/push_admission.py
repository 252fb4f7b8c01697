"""Admission: how much work, and how many entries, one peer may cause here. Pure.

Any node may connect, and a connected peer may push intents, grants, refusals, errors and faults. Each peer pays
for what it pushes unasked. The price is the number of bytes of the entries that it causes here.

- Each peer has a token bucket that fills slowly. Useful chunks, verified or sent, fill it much faster. A peer
  that exchanges chunks with this node never notices the limit.
- Strangers are peers that have not exchanged any useful chunk yet. They also share one common bucket, so a thousand
  new peer ids cost no more than a few. A connected stranger may spend a little outside the common bucket. So a crowd
  cannot stop the first want of an honest newcomer.
- A second common bucket of strangers is much larger, and a day fills it. So strangers who push as much as they may
  all day long cost a node a bounded part of its disk. An entry says when it is empty.
- A peer with an empty bucket is not admitted. Its wants and grants are answered `rate_limited`, with the time
  when it will be admitted again. It gets several dozen such NOs at once, as many wants as an honest peer has
  open, and then one a second. From time to time one entry records the NO, and one records how many pushes were
  not admitted.
- An answer to what this node pushed (a grant to its offer; an offer or a NO to its want) is admitted on
  credit. Chunks repay it.

Admission looks at each input before the machine does (`admits`) and at the entries of each turn after it
(`settle`). Nothing else changes it. Work that a push causes before it is an input is limited in
intent_limits.py.

The time is an argument. Every table is bounded.
"""

from collections import OrderedDict
from collections.abc import Callable, Container, Sequence
from typing import NamedTuple

from flux_tui.core.api import pusher_and_payer
from flux_tui.core.api.inputs import Input
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import TokenBucket
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.entry_costs import CID_BYTES, ENTRY_BYTES
from flux_tui.core.peers.entry_costs import cost as entry_cost
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.wire import messages as msg

PEER_BYTES = 512 * 1024
"""Bytes of entries that one peer may cause at once: the wants and offers for about 2,000 loose chunks."""
PEER_RATE = 24 * 1024
"""The bytes that fill a peer's bucket each second: 30 s of the worst case add up to 1.2 MiB."""
CREDIT_BYTES = PEER_BYTES // 2
"""Bytes of debt that a bucket may have for answers. A node that wants ten thousand loose chunks of many
holders empties its bucket at each of them, and accepts the last offers after that. A grant that is left out
would stand until its lease lapses."""
COMMON_BYTES, COMMON_RATE = 768 * 1024, 24 * 1024
"""The size and the rate (a second) of the bucket that all strangers share."""
DAY_BYTES = 64 * 1024 * 1024
"""The size of their second bucket, and what fills it in a day: on disk, about 10 MB of the series."""
DAY_SECONDS = 86_400.0
NEWS_SECONDS = 3600.0
"""Seconds between two entries that say that the second bucket is empty."""
CHUNK_WORTH = 16 * 2 * 61
"""Bytes that a chunk earns besides its own size. Up to sixteen holders get its want and say yes, and one of
them sends it."""
FIRST_BYTES = 4 * 1024
"""Bytes that a connected stranger may spend besides: a dozen wants of a few chunks."""
MAX_BUCKETS = 1024
"""Peers whose bucket is remembered. The peer that was silent longest is forgotten first."""
NO_SECONDS = 5.0
"""Seconds between two entries about a NO to a peer that is not admitted."""
NO_BURST, NO_RATE = 64.0, 1.0
"""NOs to one peer that is not admitted: at once, and per second in the long run."""


class AdmissionRefusal(NamedTuple):
    """The NO to a push that was not admitted. `retry_after`: seconds. `news`: whether an entry should record the NO."""

    retry_after: float
    news: bool
    """Whether an entry about it is due."""


class _PeerBucket(TokenBucket):
    """The token bucket of one peer, in bytes of entries, and how often the peer was answered NO."""

    __slots__ = ("proven", "refusals", "refused_at", "spent")

    def __init__(self, now: float) -> None:
        super().__init__(PEER_BYTES, PEER_RATE, now)
        self.refusals = TokenBucket(NO_BURST, NO_RATE, now)
        """NOs that it may still be answered because it was not admitted."""
        self.refused_at = float("-inf")
        """When the last entry about a NO to a push that was not admitted was due."""
        self.proven = False
        """Whether the peer sent or took a useful chunk."""
        self.spent = 0.0


class Admission:
    """Decides which inputs of peers the machine acts on.

    `downloads`: the objects that are wanted here. `has_offered(peer)`: whether this node offered a peer
    anything.
    """

    def __init__(
        self,
        connected: ConnectedPeers,
        downloads: Container[Cid],
        has_offered: Callable[[PeerId], bool],
        now: float,
    ) -> None:
        self.connected = connected
        self._downloads = downloads
        self._has_offered = has_offered
        self._peers: OrderedDict[PeerId, _PeerBucket] = OrderedDict()
        self._common = TokenBucket(COMMON_BYTES, COMMON_RATE, now)
        self._day = TokenBucket(DAY_BYTES, DAY_BYTES / DAY_SECONDS, now)
        self._told_at = float("-inf")
        """When an entry last said that the bucket of the day is empty."""

    def __len__(self) -> int:
        return len(self._peers)

    def admits(self, pusher: PeerId, given: Input, now: float) -> bool:
        """Whether the machine should act on this input, which `pusher` pushed. Changes nothing.

        An answer to a push of this node is admitted on credit.
        """
        cids: tuple[Cid, ...] = getattr(pusher_and_payer.body(given), "cids", ())
        return self.admits_peer(pusher, now, cids=len(cids), answer=self._answers(pusher, given))

    def is_answer(self, given: Input) -> bool:
        """Whether this input is a yes or a NO to a want that this node has. Changes nothing."""
        body = pusher_and_payer.body(given)
        return isinstance(body, msg.StatusYesButLater | msg.StatusNo) and body.cids[0] in self._downloads

    def _answers(self, pusher: PeerId, given: Input) -> bool:
        if isinstance(pusher_and_payer.body(given), msg.Grant):
            return self._has_offered(pusher)
        return self.is_answer(given)

    def admits_peer(self, peer: PeerId, now: float, *, cids: int = 0, answer: bool = False) -> bool:
        """Whether the machine should act on a push of this peer. Changes nothing.

        `cids`: how many CIDs the push names. `answer`: whether it answers a push of this node.
        """
        bucket = self._peers.get(peer)
        least = -CREDIT_BYTES if answer else 0.0
        if bucket is not None and bucket.level_at(now) <= least:
            return False
        if bucket is not None and bucket.proven:
            return True
        spent = 0.0 if bucket is None else bucket.spent
        if peer in self.connected and spent + 2 * (ENTRY_BYTES + CID_BYTES * cids) <= FIRST_BYTES:
            return True
        return self._common.level_at(now) > least and self._day.level_at(now) > least

    def settle(self, given: Input, entries: Sequence[Entry], now: float) -> None:
        """After an input was handled, charge the peer that caused its entries, and credit peers for useful chunks."""
        others: list[ev.Event] = []
        earned: dict[PeerId, int] = {}
        for _, _, event in entries:
            match event:
                case ev.ChunkReceived():
                    earned[event.peer] = earned.get(event.peer, 0) + CHUNK_WORTH + event.size
                case ev.ChunksSent():
                    worth = len(event.cids) * CHUNK_WORTH + event.size
                    earned[event.peer] = earned.get(event.peer, 0) + worth
                case _:
                    others.append(event)
        for peer, amount in earned.items():
            self._earn(peer, amount, now)
        if others and (payer := pusher_and_payer.payer(given)) is not None:
            self._charge(payer, sum(entry_cost(event) for event in others), now)

    def refusal(self, peer: PeerId, now: float) -> AdmissionRefusal | None:
        """Return the NO for a peer that is not admitted; None if the peer has got enough such answers for now."""
        bucket = self._bucket(peer, now)
        if not bucket.refusals.has(now):
            return None
        bucket.refusals.take(1, now)
        wait = bucket.wait(now)
        if not bucket.proven:
            wait = max(wait, self._common.wait(now), self._day.wait(now))
        if news := now >= bucket.refused_at + NO_SECONDS:
            bucket.refused_at = now
        return AdmissionRefusal(round(min(max(wait, 1.0), 60.0), 3), news)

    def _charge(self, peer: PeerId, cost: int, now: float) -> None:
        if not cost:
            return
        bucket = self._bucket(peer, now)
        bucket.take(cost, now)
        bucket.spent += cost
        if not bucket.proven and not (peer in self.connected and bucket.spent <= FIRST_BYTES):
            self._common.take(cost, now)
            self._day.take(cost, now)

    def take_news(self, now: float) -> bool:
        """Return whether strangers have spent what they may cause in a day, and no entry said so lately."""
        if self._day.has(now) or now < self._told_at + NEWS_SECONDS:
            return False
        self._told_at = now
        return True

    def _earn(self, peer: PeerId, amount: int, now: float) -> None:
        bucket = self._bucket(peer, now)
        bucket.take(-amount, now)
        bucket.proven = True

    def _bucket(self, peer: PeerId, now: float) -> _PeerBucket:
        bucket = self._peers.get(peer)
        if bucket is None:
            bucket = self._peers[peer] = _PeerBucket(now)
            if len(self._peers) > MAX_BUCKETS:
                self._forget()
        else:
            self._peers.move_to_end(peer)
        return bucket

    def _forget(self) -> None:
        """Forget one peer, because the table is full: the one that was silent longest.

        A connected peer, or one that has exchanged useful chunks, is forgotten only if there is no other.
        """
        for peer, bucket in self._peers.items():
            if peer not in self.connected and not bucket.proven:
                del self._peers[peer]
                return
        self._peers.popitem(last=False)
