"""Circuits: connections through a relay, which may limit the bytes and the time of each.

A relay tells its limits when it opens a circuit. It ends the circuit when a limit is reached. A `Circuit` counts its
bytes and its time. So this node can say why the link ended. Then the nodes dial again, and get a new circuit. The
transfer goes on about one second later. Chunks that were lost with the circuit are granted again.

A new circuit is not opened before the first one has ended. The relay of libp2p 0.8.1 ends all circuits of a node when
one of them ends, and again 0.6 s later (`flux/relaying/relay.py`). If both nodes dial at the same time, their two
circuits end each other, again and again: in 1 of 3 tries, the transfer stood still for half a minute. So the nodes
take turns after the end of a circuit with limits (`CircuitTurns`).
"""

from math import inf
from typing import NamedTuple

import trio
from libp2p.abc import INetStream
from libp2p.connection_types import ConnectionType
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.peer.id import ID
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Limit
from multiaddr import Multiaddr

from flux_tui.core.limits import BoundedTable
from flux_tui.core.text.quantities import human_duration, human_size

OVER_SHARE = 0.7
"""Share of a limit after which the end of a circuit is put down to it: the relay counts bytes that never came."""

OPENER_SECONDS, OTHER_SECONDS = 1.0, 8.0
"""Seconds after the end of a circuit, until the node that opened it opens the next one, and until the other does."""
RESERVE_SECONDS = 4.0
"""Seconds after which the opener gives up to wait for the other node's reservation: libp2p's relay may close its
connection to that node when a circuit ends. The node then needs a second for a new one, and a new reservation."""
MAX_TURNS = 256
"""Peers for which the end of the last circuit is remembered."""


class CircuitLimit(NamedTuple):
    """The limits of one circuit, as the relay told them. 0 means no limit."""

    size: int
    """Bytes, those of both directions together."""
    seconds: float

    def words(self) -> str:
        """Return the limits in words, as "10 MiB and 2 min"."""
        parts = [human_size(self.size)] if self.size else []
        return " and ".join([*parts, *([human_duration(self.seconds)] if self.seconds else [])])


def limit_of(told: Limit) -> CircuitLimit | None:
    """Return the limits that a relay told for a circuit; None: the circuit has no limit."""
    return CircuitLimit(told.data, float(told.duration)) if told.data or told.duration else None


class CircuitTurns:
    """Says when this node may open the next circuit to each peer, after one with limits has ended.

    The node that opened the ended circuit waits OPENER_SECONDS. The other node waits OTHER_SECONDS, in case the first
    one is gone.
    """

    def __init__(self) -> None:
        self._from: BoundedTable[ID, float] = BoundedTable(MAX_TURNS, refresh=True)
        """For each peer, the time from which on this node may open a circuit."""

    def ended(self, peer: ID, *, opened_here: bool) -> None:
        """Note that a circuit to this peer has ended now. `opened_here`: whether this node opened it."""
        self._from[peer] = trio.current_time() + (OPENER_SECONDS if opened_here else OTHER_SECONDS)

    def may_lack_reservation(self, peer: ID) -> bool:
        """Whether a circuit to this peer ended a moment ago, so that it may have no reservation at its relay yet."""
        return trio.current_time() < self._from.get(peer, -inf) + RESERVE_SECONDS

    def wait(self, peer: ID) -> float:
        """Return the seconds until this node may open a circuit to this peer; 0: it may now."""
        return max(0.0, self._from.get(peer, 0.0) - trio.current_time())


class Circuit(RawConnection):
    """A connection to `peer` through a relay, which counts its bytes.

    `limit`: what the relay told; None: no limit. `turns`: is told of the end of a circuit with a limit.
    """

    def __init__(
        self,
        stream: INetStream,
        is_initiator: bool,
        addr: Multiaddr,
        peer: ID,
        limit: CircuitLimit | None,
        turns: CircuitTurns,
    ) -> None:
        super().__init__(stream, is_initiator, ConnectionType.RELAYED, [addr])
        self.limit = limit
        self._peer = peer
        self._turns = turns
        self._since = trio.current_time()
        self._passed = 0
        self._is_over = False

    async def read(self, n: int | None = None) -> bytes:
        """Read at most `n` bytes that the other node sent through the relay, and count them."""
        try:
            data = await super().read(n)
        except Exception:
            self._note_end()
            raise
        if not data:
            self._note_end()
        self._passed += len(data)
        return data

    async def close(self) -> None:
        """Close the connection to the relay's circuit."""
        self._note_end()
        await super().close()

    def _note_end(self) -> None:
        if not self._is_over:
            self._is_over = True
            self.over()

    def over(self) -> None:
        """Take note of the end of the circuit. Called once: when either side, or the relay, has ended it."""
        if self.limit is not None:
            self._turns.ended(self._peer, opened_here=self.is_initiator)

    async def write(self, data: bytes) -> None:
        """Write bytes for the other node to the relay, and count them."""
        await super().write(data)
        self._passed += len(data)

    @property
    def used(self) -> float:
        """The used share of the limit that is reached first, of bytes or time: 0 … 1, and a little more at the end.

        0: there is no limit.
        """
        if self.limit is None:
            return 0.0
        size, seconds = self.limit
        passed = self._passed / size if size else 0.0
        return max(passed, (trio.current_time() - self._since) / seconds if seconds else 0.0)

    @property
    def why_ended(self) -> str | None:
        """Why the circuit ended, in a sentence, if a limit was probably the reason; None: it was not."""
        if self.limit is None or self.used < OVER_SHARE:
            return None
        return f"the relay passes on no more than {self.limit.words()} in one circuit, and ended it"
