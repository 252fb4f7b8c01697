"""Dialling: which addresses the machine asks the node to dial, and which failures are reported.

- An address that a person or a ticket names is dialled, and again whenever the peer is not connected. If it
  does not answer, one entry says so.
- An address that this node remembers, or that discovery found, is dialled without a report.
- A return address in an intent is dialled rarely, and only if it is an address of the signer of the intent. So
  an intent cannot make a thousand nodes dial a third party.

address_dial_policy.py has the rules by which the node then dials addresses that peers named.
"""

from collections.abc import Sequence

from flux_tui.core.api.effects import Dial, Disconnect
from flux_tui.core.ids import PeerId, own_addr
from flux_tui.core.limits import Backoff, BoundedSet, BoundedTable, TokenBucket
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger

STRANGERS_BURST, STRANGERS_RATE = 16.0, 1.0
"""Dials of return addresses, at once and per second in the long run."""
UNTIMELY_BURST, UNTIMELY_RATE = 4.0, 0.1
"""The budget for return addresses of intents that seem to be old: any node that stored them can push them again."""
SPENT_SECONDS = 60.0
"""Seconds between two entries which say that this budget is spent."""
MAX_UNREACHABLE = 1024
"""Addresses whose failure is remembered."""
MAX_QUIET = 4096
"""Addresses without reports of failures. Any node on the local network can make such addresses up."""


MAX_LEFT = 1024
"""Peers that are remembered because a person left them."""
LEFT_SECONDS = 10.0
"""Seconds for which a peer that a person left is refused. Otherwise it would be back at once."""

MAX_TRIED, MAX_TOLD, MAX_WHY = 64, 8, 160
"""Addresses that are remembered as tried in vain, those that an entry names, and characters of the words why."""
LONELY = Backoff(first=10.0, most=600.0)
"""The wait until an entry says that nobody was heard, and between two."""


class Dialling:
    """Asks the node to dial addresses, and reports failures."""

    def __init__(self, ledger: Ledger, connected: ConnectedPeers) -> None:
        self.ledger = ledger
        self.connected = connected
        self._named: set[str] = set()
        """Addresses that a person or a ticket named."""
        self._quiet: BoundedSet[str] = BoundedSet(MAX_QUIET, refresh=True)
        """Addresses whose failure is not reported."""
        self._unreachable: BoundedSet[str] = BoundedSet(MAX_UNREACHABLE)
        """Addresses whose failure was reported already."""
        self._left: BoundedSet[PeerId] = BoundedSet(MAX_LEFT)
        """Peers that a person left. They are not dialled until a person names an address of theirs."""
        self._strangers = TokenBucket(STRANGERS_BURST, STRANGERS_RATE, ledger.now)
        self._untimely = TokenBucket(UNTIMELY_BURST, UNTIMELY_RATE, ledger.now)
        self._not_dialled: str | None = None
        """A return address for which the budget was spent, if an entry about that is due."""
        self._spent_told_at = float("-inf")
        self._tried: BoundedTable[str, str] = BoundedTable(MAX_TRIED, refresh=True)
        """Addresses that were dialled since a peer was connected last, each with the words why it did not answer."""
        self._lonely_at = float("inf")
        """When an entry is due that says that nobody was heard."""
        self._lonely_told = 0

    def named(self, addr: str) -> None:
        """Dial an address that a person or a ticket names, now and whenever its peer is not connected."""
        self._unreachable.discard(addr)  # report a new failure again
        self._quiet.discard(addr)
        self._named.add(addr)
        self._left.discard(_peer_of(addr))
        if _peer_of(addr) != self.ledger.me:
            self._do(Dial(addr=addr, keep=True))

    def leave(self, peer: PeerId) -> None:
        """Disconnect from a peer, and dial it no more until a person names an address of it again."""
        self._left.add(peer)
        self._named = {addr for addr in self._named if _peer_of(addr) != peer}
        for addr in [addr for addr in self._tried if _peer_of(addr) == peer]:
            del self._tried[addr]
        self.ledger.do(Disconnect(peer=peer, why="a person here left it", seconds=LEFT_SECONDS, forget=True))

    def found(self, addr: str) -> None:
        """Dial an address that discovery on the local network found, if its peer is not connected."""
        if addr not in self._named:
            self._quiet.add(addr)
        peer = _peer_of(addr)
        if peer != self.ledger.me and peer not in self.connected:
            self._do(Dial(addr=addr, from_peers=True))

    def remembered(self, addr: str) -> None:
        """Dial an address that is known from an earlier session. If it does not answer, that is not reported."""
        self._quiet.add(addr)
        self._do(Dial(addr=addr))

    def told(self, addrs: Sequence[str], teller: PeerId, reach: int) -> None:
        """Dial addresses of one peer from the address book, one after the other, until one answers.

        `teller`: the peer that named the addresses. `reach`: how near the teller was (`Reach`).
        """
        for addr in addrs:
            if addr not in self._named:
                self._quiet.add(addr)
        dial = Dial(addr=addrs[0], more=tuple(addrs[1:]), from_peers=True, teller=teller, reach=reach)
        self._do(dial)

    def returned(self, origin: PeerId, addrs: Sequence[str], *, untimely: bool = False) -> int:
        """Dial the return addresses of an intent: only the origin's own, and as many as the budget allows.

        `untimely`: the intent seems to be old; a smaller budget applies. Returns how many addresses will be
        tried, one after the other.
        """
        now = self.ledger.now
        if untimely and not self._untimely.has(now):
            return 0
        allowed = self._allowed(origin, addrs)
        if untimely:
            self._untimely.take(len(allowed), now)
        if allowed:
            self.ledger.do(Dial(addr=allowed[0], more=tuple(allowed[1:]), from_peers=True))
        return len(allowed)

    def give_back(self, count: int) -> None:
        """Give back the budget of `count` return addresses that were not dialled, because an earlier one answered."""
        self._strangers.take(-count, self.ledger.now)

    def answered(self, addr: str) -> None:
        """Record that an address answered, so that a later failure is reported again."""
        self._unreachable.discard(addr)

    def peer_up(self) -> None:
        """Cancel the report that no peer was reached, and forget its addresses, because a peer is connected now."""
        self._tried.clear()
        self._lonely_at, self._lonely_told = float("inf"), 0

    def next_deadline(self) -> float:
        """Return the time at which `on_time` next reports that no peer was reached; infinity: no report is planned."""
        return self._lonely_at

    def failed(self, addr: str, text: str) -> None:
        """Report that an address does not answer. `text`: the error in a sentence.

        Not reported: a repeated failure, and a failure of an address that was only found, remembered or told.
        """
        if addr in self._tried:
            self._tried[addr] = text.removeprefix(f"{addr} ").removeprefix("cannot be reached: ")[:MAX_WHY]
        if addr in self._unreachable or addr in self._quiet:
            return
        self._unreachable.add(addr)
        self.ledger.emit(ev.ErrorOccurred(text=text, addr=addr, code="not_reached"))

    def on_time(self) -> None:
        """Report that the budget for return addresses is spent, or that no peer has been reached for a while."""
        if self._not_dialled is not None:
            addr, self._not_dialled = self._not_dialled, None
            self._spent_told_at = self.ledger.now
            text = f"{addr} is not dialled: intents name more addresses than are dialled for strangers"
            self.ledger.emit(ev.ErrorOccurred(text=text, code="not_dialled"))
        if self.ledger.now >= self._lonely_at:
            self._report_nobody_reached()

    def _do(self, dial: Dial) -> None:
        if _peer_of(dial.addr) in self._left:
            return
        self.ledger.do(dial)
        if self.connected:
            return
        for addr in (dial.addr, *dial.more):
            self._tried.setdefault(addr, "")
        if self._lonely_at == float("inf"):
            self._lonely_at = self.ledger.now + LONELY.wait(self._lonely_told + 1)

    def _report_nobody_reached(self) -> None:
        """If no peer is connected, write an entry with the addresses that were dialled without an answer.

        Addresses that a person named come first. The next such entry is planned, after a longer wait.
        """
        self._lonely_at = float("inf")
        if self.connected or not self._tried:
            return
        order = sorted(self._tried, key=lambda addr: addr not in self._named)
        tried = tuple(ev.TriedAddr(addr, self._tried[addr]) for addr in order[:MAX_TOLD])
        self.ledger.emit(ev.HeardNobody(tried=tried, others=len(order) - len(tried)))
        self._lonely_told += 1
        self._lonely_at = self.ledger.now + LONELY.wait(self._lonely_told + 1)

    def _allowed(self, origin: PeerId, addrs: Sequence[str]) -> list[str]:
        now = self.ledger.now
        allowed: list[str] = []
        if origin in self._left:
            return allowed
        for addr in addrs:
            if (own := own_addr(addr, origin)) is None:
                continue
            if self._strangers.has(now):
                self._strangers.take(1, now)
                allowed.append(own)
            elif self._not_dialled is None and now >= self._spent_told_at + SPENT_SECONDS:
                self._not_dialled = own
        return allowed


def _peer_of(addr: str) -> PeerId:
    return PeerId(addr.rpartition("/p2p/")[2])
