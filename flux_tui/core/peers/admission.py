"""Admission: how much work, and how many series entries, one peer may cause. Pure.

Any node may connect, and a connected peer may push: intents, grants, refusals, errors, faults. Each peer pays
for what it pushes of its own will. The price is the bytes of the entries that it causes here.

- Each peer has a token bucket that fills slowly. Useful chunks, verified or sent, fill it much faster. A peer
  that works with this node never notices the limit.
- Strangers are peers that did nothing useful yet. They also share one common bucket, so a thousand new names
  cost no more than a few. A connected stranger may spend a little outside the common bucket. So a crowd
  cannot stop the first want of an honest newcomer.
- A peer with an empty bucket is not admitted. Its wants and grants are answered `rate_limited`, with the time
  when it will be admitted again. It gets several dozen such NOs at once, as many wants as an honest peer has
  open, and then one a second. From time to time one entry tells of the NO, and one tells how many pushes were
  left out.
- An answer to what this node pushed (a grant to its offer; an offer or a NO to its want) is admitted on
  credit. Chunks repay it.
- Intents are counted before their signature is checked: for the peer that pushed them here, and for the node
  that they name as origin. Only a valid signature is charged to the origin, so no node can silence another.
- Addresses in the intents of strangers are dialled rarely, and only if they name the signer of the intent. So
  an intent cannot make a thousand nodes dial a third party.

The time is an argument. Every table is bounded.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flux_tui.core.ids import PeerId, own_addr
from flux_tui.core.limits import TokenBucket
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.entry_costs import CID_BYTES, ENTRY_BYTES
from flux_tui.core.peers.entry_costs import cost as cost_of
from flux_tui.core.series.events import Entry

PURSE_BYTES = 512 * 1024
"""Bytes of entries that one peer may cause at once: the wants and offers for about 2,000 loose chunks."""
PURSE_RATE = 24 * 1024
"""The same, per second in the long run: 30 s of the worst case add up to 1.2 MiB."""
CREDIT_BYTES = PURSE_BYTES // 2
"""Bytes of debt that a bucket may have for answers. A node that wants ten thousand loose chunks of many
holders empties its bucket at each of them, and accepts the last offers after that. A grant that is left out
would stand until its lease lapses."""
COMMON_BYTES, COMMON_RATE = 768 * 1024, 24 * 1024
"""The same for all strangers together."""
CHUNK_WORTH = 16 * 2 * 61
"""Bytes that a chunk earns besides its own: up to sixteen holders were told of its want and said yes, and one
of them sends it."""
FIRST_BYTES = 4 * 1024
"""Bytes that a connected stranger may spend besides: a dozen wants of a few chunks."""
SENDER_BURST, SENDER_RATE = 1024.0, 256.0
"""Intents from one neighbour, at once and per second: it may forward those of a whole swarm. Decoding and
checking one costs 0.2 ms."""
ORIGIN_BURST, ORIGIN_RATE = 512.0, 64.0
"""Intents that one node signed, at once and per second. Ten thousand loose wants are forty intents; a
program's own kinds may be many."""
MAX_PURSES = 1024
"""Peers whose bucket is remembered. The peer that was silent longest is forgotten first."""
REPORT_SECONDS = 10.0
"""Seconds between two entries about what one peer does repeatedly."""
NO_SECONDS = 5.0
"""Seconds between two entries about a NO to a peer that is not admitted."""
NO_BURST, NO_RATE = 64.0, 1.0
"""Such NOs to one peer, at once and per second in the long run."""
MAX_NOT_ADMITTED = 2048
"""Pushes of a peer that were not admitted, until its link is closed."""
MAX_UNASKED = 8
"""Chunks that nobody granted to a peer, until its link is closed. Each cost up to 2 MiB of bandwidth."""
DIAL_BURST, DIAL_RATE = 16.0, 1.0
"""Dials of strangers' return addresses, at once and per second in the long run."""
UNTIMELY_BURST, UNTIMELY_RATE = 4.0, 0.1
"""The same for intents that seem to be old: any node that stored them can push them again."""
DIALS_SECONDS = 60.0
"""Seconds between two entries which say that this budget is spent."""
MAX_REPORTS = 512
"""Peers and faults whose next entry is delayed."""


class _Purse(TokenBucket):
    """The token buckets of one peer, and what else is counted for it."""

    __slots__ = (
        "drops",
        "intents",
        "left_out",
        "no_at",
        "noes",
        "proven",
        "signed",
        "spent",
        "unasked",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        super().__init__(PURSE_BYTES, PURSE_RATE, now)
        self.intents = TokenBucket(SENDER_BURST, SENDER_RATE, now)
        """Intents that it pushed here."""
        self.signed = TokenBucket(ORIGIN_BURST, ORIGIN_RATE, now)
        """Intents that it signed."""
        self.noes = TokenBucket(NO_BURST, NO_RATE, now)
        """NOs that it was answered because it was not admitted."""
        self.proven = False
        self.spent = 0.0
        self.left_out = 0
        self.unasked = 0
        self.drops = 0
        self.no_at = float("-inf")


class Repeated(NamedTuple):
    """What one peer did so many times since the last entry about it."""

    peer: PeerId
    fault: str
    text: str
    """The text of the latest case."""
    times: int


class _Report:
    """A fault that a peer repeats, and when the next entry about it is due."""

    __slots__ = ("count", "due", "text")

    def __init__(self, due: float) -> None:
        self.due = due
        self.count = 0
        self.text = ""


class Admission:
    """Admission for all peers of this node."""

    def __init__(self, connected: ConnectedPeers, now: float) -> None:
        self.connected = connected
        self._purses: OrderedDict[PeerId, _Purse] = OrderedDict()
        self._common = TokenBucket(COMMON_BYTES, COMMON_RATE, now)
        self._dials = TokenBucket(DIAL_BURST, DIAL_RATE, now)
        self._dials_told_at = float("-inf")
        self._not_dialled: str | None = None
        self._untimely = TokenBucket(UNTIMELY_BURST, UNTIMELY_RATE, now)
        self._reports: OrderedDict[tuple[PeerId, str], _Report] = OrderedDict()

    def __len__(self) -> int:
        return len(self._purses)

    # ── intents, before anything of them is believed ────────────────────────────────────────────

    def takes_from(self, sender: PeerId, now: float) -> bool:
        """Whether to look at one more intent from this neighbour. Takes a token for it if so."""
        bucket = self._purse(sender, now).intents
        if not bucket.has(now):
            return False
        bucket.take(1, now)
        return True

    def hears(self, origin: PeerId, now: float) -> bool:
        """Whether to check the signature of one more intent that names this node as its origin."""
        purse = self._purses.get(origin)
        return purse is None or purse.signed.has(now)

    def signed(self, origin: PeerId, now: float) -> None:
        """Count a valid signature against `origin`."""
        self._purse(origin, now).signed.take(1, now)

    # ── entries ─────────────────────────────────────────────────────────────────────────────────

    def admits(self, peer: PeerId, now: float, *, cids: int = 0, invited: bool = False) -> bool:
        """Whether to act on something that this peer pushes of its own will.

        `cids`: how many CIDs it names; `invited`: it answers what this node pushed.
        """
        purse = self._purse(peer, now)
        least = -CREDIT_BYTES if invited else 0.0
        if not purse.has(now) and purse.level <= least:
            return False
        if purse.proven:
            return True
        if peer in self.connected and purse.spent + 2 * (ENTRY_BYTES + CID_BYTES * cids) <= FIRST_BYTES:
            return True
        return self._common.has(now) or self._common.level > least

    def charge(self, peer: PeerId, entries: Iterable[Entry], now: float) -> None:
        """Charge a peer for the entries that its push caused."""
        cost = sum(cost_of(entry.event) for entry in entries)
        if cost:
            purse = self._purse(peer, now)
            purse.take(cost, now)
            purse.spent += cost
            if not purse.proven and not (peer in self.connected and purse.spent <= FIRST_BYTES):
                self._common.take(cost, now)

    def earned(self, peer: PeerId, chunks: int, size: int, now: float) -> None:
        """Credit a peer for useful chunks that it sent or received."""
        purse = self._purse(peer, now)
        purse.has(now)
        purse.level = min(purse.level + size + chunks * CHUNK_WORTH, purse.burst)
        purse.proven = True
        purse.left_out = purse.unasked = 0

    # ── who is not admitted ───────────────────────────────────────────────────────────────────────

    def refusal(self, peer: PeerId, now: float) -> tuple[float, bool] | None:
        """The `retry_after` of a NO to a peer that is not admitted, and whether an entry about it is due.
        None: it was answered often enough."""
        purse = self._purse(peer, now)
        if not purse.noes.has(now):
            return None
        purse.noes.take(1, now)
        wait = purse.wait(now) if purse.proven else max(purse.wait(now), self._common.wait(now))
        if news := now >= purse.no_at + NO_SECONDS:
            purse.no_at = now
        return round(min(max(wait, 1.0), 60.0), 3), news

    def left_out(self, peer: PeerId, now: float) -> bool:
        """Count a push that was left out. Returns whether to close the peer's link."""
        purse = self._purse(peer, now)
        purse.left_out += 1
        return purse.left_out >= MAX_NOT_ADMITTED

    def unasked(self, peer: PeerId, now: float) -> bool:
        """Count a chunk that nobody asked this peer for. Returns whether to close its link."""
        purse = self._purse(peer, now)
        purse.unasked += 1
        return purse.unasked >= MAX_UNASKED

    def may_dial(self, origin: PeerId, addrs: Sequence[str], now: float) -> tuple[str, ...]:
        """The return addresses of an intent that may be dialled: only the origin's own, and not too many."""
        allowed: list[str] = []
        for addr in addrs:
            if (own := own_addr(addr, origin)) is None:
                continue
            if self._dials.has(now):
                self._dials.take(1, now)
                allowed.append(own)
            elif self._not_dialled is None and now >= self._dials_told_at + DIALS_SECONDS:
                self._not_dialled = own
        return tuple(allowed)

    def not_dialled(self, now: float) -> str | None:
        """An address that was not dialled because the budget was spent, if an entry about that is due now."""
        addr, self._not_dialled = self._not_dialled, None
        if addr is not None:
            self._dials_told_at = now
        return addr

    def may_dial_untimely(self, origin: PeerId, addrs: Sequence[str], now: float) -> tuple[str, ...]:
        """The same for an intent that seems to be old."""
        if not self._untimely.has(now):
            return ()
        allowed = self.may_dial(origin, addrs, now)
        self._untimely.take(len(allowed), now)
        return allowed

    def was_it(self, more: int, now: float) -> None:
        """The peer answered at the address that it named: give back the budget of its `more` other addresses,
        which were not dialled."""
        self._dials.take(-more, now)

    def dropped(self, peer: PeerId, now: float) -> int:
        """The peer's link is closed because of what it did. Returns how often that happened before."""
        purse = self._purse(peer, now)
        purse.left_out = purse.unasked = 0
        purse.drops += 1
        return purse.drops - 1

    # ── entries about what is done again and again ──────────────────────────────────────────────

    def report(self, peer: PeerId, fault: str, text: str, now: float) -> int:
        """Report a fault. Returns 1 if an entry is due now (the first one), or 0: it is written later, with
        others."""
        key = (peer, fault)
        report = self._reports.get(key)
        if report is None or (not report.count and report.due <= now):
            if report is None and len(self._reports) >= MAX_REPORTS:
                return 0  # the table is full of peers that do the same: one more is no news
            self._reports[key] = _Report(now + REPORT_SECONDS)
            self._reports.move_to_end(key)
            return 1
        report.count += 1
        report.text = text
        return 0

    def held_back(self, peer: PeerId) -> list[Repeated]:
        """Take the delayed reports about one peer, to write them now."""
        found: list[Repeated] = []
        for (who, fault), report in self._reports.items():
            if who == peer and report.count:
                found.append(Repeated(peer, fault, report.text, report.count))
                report.count = 0
        return found

    def due(self, now: float) -> list[Repeated]:
        """Take the reports that were delayed for long enough."""
        found: list[Repeated] = []
        while self._reports:
            key, report = next(iter(self._reports.items()))
            if report.due > now:
                break
            del self._reports[key]
            if report.count:
                found.append(Repeated(*key, report.text, report.count))
                self._reports[key] = _Report(now + REPORT_SECONDS)
        return found

    def next_deadline(self) -> float:
        """When `due` has something; infinity if no report is delayed."""
        return min((r.due for r in self._reports.values() if r.count), default=float("inf"))

    def _purse(self, peer: PeerId, now: float) -> _Purse:
        purse = self._purses.get(peer)
        if purse is None:
            purse = self._purses[peer] = _Purse(now)
            if len(self._purses) > MAX_PURSES:
                self._forget()
        else:
            self._purses.move_to_end(peer)
        return purse

    def _forget(self) -> None:
        """Forget the peer that was silent longest and is neither connected nor proven; otherwise the one that
        was silent longest."""
        for peer, purse in self._purses.items():
            if peer not in self.connected and not purse.proven:
                del self._purses[peer]
                return
        self._purses.popitem(last=False)
