"""What one peer may cost: this node's attention, and lines in its series.

Anybody may connect, and whoever is connected may push. So what comes of a peer's free will (its intents,
grants, refusals, errors, faults) is paid for, in bytes of the entries that it makes here:

- Each peer has a purse that fills slowly. What it gives or takes usefully (chunks, verified or sent) fills
  it much faster: who works with this node never notices any of this.
- Strangers, who did nothing useful yet, share one purse besides: a thousand new names cost no more than a
  few do. A connected stranger may spend a little outside it, so that a crowd cannot keep the first want of
  an honest newcomer from being heard.
- Whose purse is empty is not heeded. To its wants and grants it hears NO (`rate_limited`, with the time when it will
  be heard again): to each of some dozens, as an honest peer has out at once, and then to one in a second. Once in a
  while one entry says so, and one how much was left out.
- What answers to what this node pushed (a grant to its offer; an offer, or a NO, to its want) is heeded on credit:
  chunks earn it back.
- Intents are counted before their signature is checked: by who pushed them here, and by who is named as
  their origin. Only a true signature is charged to an origin, so that nobody can silence another.
- Addresses in strangers' intents are dialled sparingly, and only if they name the intent's signer: so an
  intent cannot make a thousand nodes knock at somebody else's door.

Pure: the time is an argument. Every table is bounded.
"""

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from flux_tui.core.ids import PeerId, own_addr
from flux_tui.core.limits import TokenBucket
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry

PURSE_BYTES = 512 * 1024
"""Of entries that one peer may cause at once: the wants and offers for some 2,000 loose chunks."""
PURSE_RATE = 24 * 1024
"""The same, per second in the long run: 30 s of the worst add up to 1.2 MiB."""
CREDIT_BYTES = PURSE_BYTES // 2
"""What a purse may owe for answers: who wants ten thousand loose chunks of many holders empties its purse at each, and
takes up the last offers after that. A grant left out would stand until its lease lapses."""
COMMON_BYTES, COMMON_RATE = 768 * 1024, 24 * 1024
"""Of all strangers together, likewise."""
CHUNK_WORTH = 16 * 2 * 61
"""Bytes that a chunk earns besides its own: up to sixteen holders were told of its want and said yes, and one of them
sends it."""
FIRST_BYTES = 4 * 1024
"""What a connected stranger may spend besides: a dozen wants of a few chunks."""
SENDER_BURST, SENDER_RATE = 1024.0, 256.0
"""Intents from one neighbour, at once and per second: it may forward those of a whole swarm. Decoding and
checking one costs 0.2 ms."""
ORIGIN_BURST, ORIGIN_RATE = 512.0, 64.0
"""Intents that one node signed: ten thousand loose wants are forty; a program's own kinds may be many."""
MAX_PURSES = 1024
"""Peers whose purse is remembered; the longest unheard are forgotten first."""
REPORT_SECONDS = 10.0
"""Between two entries about what one peer does again and again."""
NO_SECONDS = 5.0
"""Between two entries of a NO to a peer that is not heeded."""
NO_BURST, NO_RATE = 64.0, 1.0
"""Such NOs to one peer, at once and per second in the long run."""
MAX_UNHEEDED = 2048
"""Pushes of a peer that were not heeded, until its link is closed."""
MAX_UNASKED = 8
"""Chunks that nobody granted to it, until its link is closed: each was up to 2 MiB of bandwidth."""
DIAL_BURST, DIAL_RATE = 16.0, 1.0
"""Dials of strangers' return addresses, at once and per second in the long run."""
UNTIMELY_BURST, UNTIMELY_RATE = 4.0, 0.1
"""The same of intents that seem to be old: anybody who kept them can push them again."""
DIALS_SECONDS = 60.0
"""Between two entries that say that these are spent."""
MAX_REPORTS = 512
"""Peers and faults whose next entry is held back."""

ENTRY_BYTES, CID_BYTES = 72, 61
"""What an entry is taken to cost, and a CID in it."""


class _Purse(TokenBucket):
    """One peer's."""

    __slots__ = (
        "connected", "drops", "intents", "no_at", "noes", "proven", "signed", "spent", "unasked", "unheeded",
    )  # fmt: skip

    def __init__(self, now: float) -> None:
        super().__init__(PURSE_BYTES, PURSE_RATE, now)
        self.intents = TokenBucket(SENDER_BURST, SENDER_RATE, now)
        """Pushed here by it."""
        self.signed = TokenBucket(ORIGIN_BURST, ORIGIN_RATE, now)
        """Signed by it."""
        self.noes = TokenBucket(NO_BURST, NO_RATE, now)
        """That it heard because it is not heeded."""
        self.connected = False
        self.proven = False
        self.spent = 0.0
        self.unheeded = 0
        self.unasked = 0
        self.drops = 0
        self.no_at = float("-inf")


class Repeated(NamedTuple):
    """What one peer did so many times since the last entry about it."""

    peer: PeerId
    fault: str
    text: str
    """Of the latest."""
    times: int


class _Report:
    """Something that a peer does again and again: the entry that is due."""

    __slots__ = ("count", "due", "text")

    def __init__(self, due: float) -> None:
        self.due = due
        self.count = 0
        self.text = ""


class Admission:
    """One per machine."""

    def __init__(self, now: float) -> None:
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
        """Whether one more intent from this neighbour is looked at."""
        bucket = self._purse(sender, now).intents
        if not bucket.has(now):
            return False
        bucket.take(1, now)
        return True

    def hears(self, origin: PeerId, now: float) -> bool:
        """Whether one more intent that is said to be this node's is worth checking its signature."""
        purse = self._purses.get(origin)
        return purse is None or purse.signed.has(now)

    def signed(self, origin: PeerId, now: float) -> None:
        """It was its."""
        self._purse(origin, now).signed.take(1, now)

    # ── entries ─────────────────────────────────────────────────────────────────────────────────

    def heeds(self, peer: PeerId, now: float, *, cids: int = 0, invited: bool = False) -> bool:
        """Whether something that this peer pushes of its own will is acted on. `cids`: how many it names; `invited`: it
        answers to what this node pushed."""
        purse = self._purse(peer, now)
        least = -CREDIT_BYTES if invited else 0.0
        if not purse.has(now) and purse.level <= least:
            return False
        if purse.proven:
            return True
        if purse.connected and purse.spent + 2 * (ENTRY_BYTES + CID_BYTES * cids) <= FIRST_BYTES:
            return True
        return self._common.has(now) or self._common.level > least

    def charge(self, peer: PeerId, entries: Iterable[Entry], now: float) -> None:
        """These came of what it pushed."""
        cost = sum(_cost(entry.event) for entry in entries)
        if cost:
            purse = self._purse(peer, now)
            purse.take(cost, now)
            purse.spent += cost
            if not purse.proven and not (purse.connected and purse.spent <= FIRST_BYTES):
                self._common.take(cost, now)

    def earned(self, peer: PeerId, chunks: int, size: int, now: float) -> None:
        """Chunks went one way or the other, to some use."""
        purse = self._purse(peer, now)
        purse.has(now)
        purse.level = min(purse.level + size + chunks * CHUNK_WORTH, purse.burst)
        purse.proven = True
        purse.unheeded = purse.unasked = 0

    def up(self, peer: PeerId, now: float) -> None:
        """It is connected."""
        self._purse(peer, now).connected = True

    def down(self, peer: PeerId) -> None:
        """It is not."""
        if (purse := self._purses.get(peer)) is not None:
            purse.connected = False

    # ── who is not heeded ───────────────────────────────────────────────────────────────────────

    def refusal(self, peer: PeerId, now: float) -> tuple[float, bool] | None:
        """The `retry_after` of a NO to a peer that is not heeded, and whether an entry is due that says so. None: it
        heard enough."""
        purse = self._purse(peer, now)
        if not purse.noes.has(now):
            return None
        purse.noes.take(1, now)
        wait = purse.wait(now) if purse.proven else max(purse.wait(now), self._common.wait(now))
        if news := now >= purse.no_at + NO_SECONDS:
            purse.no_at = now
        return round(min(max(wait, 1.0), 60.0), 3), news

    def unheeded(self, peer: PeerId, now: float) -> bool:
        """Another push was left out. Returns whether it is time to close its link."""
        purse = self._purse(peer, now)
        purse.unheeded += 1
        return purse.unheeded >= MAX_UNHEEDED

    def unasked(self, peer: PeerId, now: float) -> bool:
        """Another chunk came that nobody asked it for. Returns whether it is time to close its link."""
        purse = self._purse(peer, now)
        purse.unasked += 1
        return purse.unasked >= MAX_UNASKED

    def may_dial(self, origin: PeerId, addrs: Sequence[str], now: float) -> tuple[str, ...]:
        """Which of the return addresses in this node's intent are dialled: its own, and not too many."""
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
        """An address for which there was no dial left, if that is worth an entry now."""
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
        """The peer was where it said: so many further addresses cost nobody anything."""
        self._dials.take(-more, now)

    def dropped(self, peer: PeerId, now: float) -> int:
        """Its link is closed for what it did. Returns how often that was so before."""
        purse = self._purse(peer, now)
        purse.unheeded = purse.unasked = 0
        purse.drops += 1
        return purse.drops - 1

    # ── entries about what is done again and again ──────────────────────────────────────────────

    def report(self, peer: PeerId, fault: str, text: str, now: float) -> int:
        """Whether this is written now: 1 (the first), how many it stands for, or 0: later, with others."""
        key = (peer, fault)
        report = self._reports.get(key)
        if report is None or (not report.count and report.due <= now):
            if report is None and len(self._reports) >= MAX_REPORTS:
                return 0  # as many as are remembered do so already: one more is no news
            self._reports[key] = _Report(now + REPORT_SECONDS)
            self._reports.move_to_end(key)
            return 1
        report.count += 1
        report.text = text
        return 0

    def held_back(self, peer: PeerId) -> list[Repeated]:
        """What is not written yet of one peer: it is written now."""
        found: list[Repeated] = []
        for (who, fault), report in self._reports.items():
            if who == peer and report.count:
                found.append(Repeated(peer, fault, report.text, report.count))
                report.count = 0
        return found

    def due(self, now: float) -> list[Repeated]:
        """What was held back for long enough."""
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
        """When `due` has something; infinity if nothing is held back."""
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
        """The longest unheard that is neither connected nor proven; else the longest unheard."""
        for peer, purse in self._purses.items():
            if not purse.connected and not purse.proven:
                del self._purses[peer]
                return
        self._purses.popitem(last=False)


def _cost(event: ev.Event) -> int:
    """Bytes that an entry costs whoever made it happen."""
    match event:
        case (
            ev.StatusNo()
            | ev.DelayedYes()
            | ev.ErrorReceived()
            | ev.IntentReceived()
            | ev.AnsweredLater()
            | ev.AnsweredNo()
            | ev.GrantReceived()
            | ev.CancelReceived()
        ):
            text = getattr(event, "text", "")
            return ENTRY_BYTES + CID_BYTES * len(event.cids) + len(text)
        case ev.PeerFaulted():
            return ENTRY_BYTES + len(event.text)
        case ev.MessagePassedOver():
            return ENTRY_BYTES + len(event.kind)
        case ev.CustomReceived():
            return ENTRY_BYTES + len(event.kind) + len(event.payload)
        case (
            ev.ChunkWasted()
            | ev.HaveReceived()
            | ev.ClockDiffers()
            | ev.CanHold()
            | ev.OfferedHold()
            | ev.KeepReceived()
            | ev.ReplicaWanted()
            | ev.ReleaseReceived()
        ):
            return ENTRY_BYTES + CID_BYTES
        case ev.LeaseLapsed():
            return ENTRY_BYTES + CID_BYTES * len(event.cids) if event.cause == "refused" else 0
        case _:
            return 0  # what this node does on its own account
