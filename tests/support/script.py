"""The machine as a transcript: inputs in, events and effects out."""

from typing import Any

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.wire import messages as msg

ME, HOLDER, OTHER = (PeerId(f"12D3KooW{name * 44}") for name in "MHX")


CHUNK = raw_cid(b"a chunk")


START = 1_000_000.0


class Script:
    """A machine under test, with all its events and effects."""

    def __init__(self, held: dict[Cid, int] | None = None, **policy: Any) -> None:
        self.held = held or {}
        self.max_pending = policy.pop("max_pending", 1000)
        self.policy = Policy(**policy)
        self.now = START
        self.series: list[Entry] = []
        self._served: dict[PeerId, int] = {}
        self.restart()

    def restart(self) -> None:
        """Start a new run, with the series of the runs before."""
        self._served.clear()
        self.machine = Machine(
            ME, derive(self.series), self, lambda: 0.0, max_pending=self.max_pending, policy=self.policy
        )
        self._take(
            self.machine.handle(inp.NodeStarting(("/ip4/127.0.0.1/tcp/1",), "test", self.now), self.now)
        )

    def size_of(self, cid: Cid) -> int | None:
        return self.held.get(cid)

    def give(self, given: inp.Input, after: float = 0.0) -> tuple[list[Any], list[Any]]:
        """Feed an input. Return its events and effects, and those of the tick that the machine then asks for."""
        self.now += after
        events, effects = self._take(self.machine.handle(given, self.now))
        if self.machine.next_deadline() <= self.now:
            more = self._take(self.machine.handle(inp.Tick(), self.now))
            events, effects = events + more[0], effects + more[1]
        assert self.machine.state == derive(self.series)
        return events, effects

    def sendable(self, effects: list[Any]) -> list[Cid]:
        """Return the chunks that these effects let a peer's stream send, if it is up to date otherwise."""
        found: list[Cid] = []
        for effect in effects:
            if isinstance(effect, fx.Serve):
                after = self._served.get(effect.peer, 0)
                chunks = self.machine.next_chunks(
                    effect.peer, after=after, through=effect.through, max_bytes=1 << 40, max_chunks=1 << 20
                )
                found += [chunk.cid for chunk in chunks]
                self._served[effect.peer] = effect.through
        return found

    def _take(self, turn: tuple[list[Entry], list[Any]]) -> tuple[list[Any], list[Any]]:
        self.series += turn[0]
        return [entry.event for entry in turn[0]], turn[1]


def up(peer: PeerId) -> inp.PeerUp:
    return inp.PeerUp(peer=peer, addr=f"/ip4/127.0.0.1/tcp/2/p2p/{peer}")


def wanted(origin: PeerId, *cids: Cid, nonce: bytes = b"nonce-00", expires: float = START + 60) -> msg.Intent:
    return msg.Intent(origin=origin, nonce=nonce, expires=expires, body=msg.Want(cids=cids))
