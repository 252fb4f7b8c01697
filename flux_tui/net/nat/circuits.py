"""Circuits of relays that limit them, as libp2p's relays do: by bytes and by time.

A relay tells its limits when it opens a circuit, and ends the circuit when it is over one. A `Circuit` counts, so that
the end of the link has a reason that names the limits. Then the nodes dial again, and get a new circuit: about one
second later the transfer goes on. What was under way in the circuit is asked for again.

A new circuit is not opened before the end of the first one: the relay of libp2p 0.8.1 ends all circuits to a node with
one of them (`flux/relay.py`), and was then of no use for up to half a minute (2 of 3 tries).
"""

from typing import NamedTuple

import trio
from libp2p.abc import INetStream
from libp2p.connection_types import ConnectionType
from libp2p.network.connection.raw_connection import RawConnection
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Limit
from multiaddr import Multiaddr

from flux_tui.core.text.quantities import human_duration, human_size

OVER_SHARE = 0.7
"""Share of a limit after which the end of a circuit is put down to it: the relay counts bytes that never came."""


class CircuitLimit(NamedTuple):
    """How much a relay passes on in one circuit. 0: without a limit."""

    size: int
    """Bytes, those of both directions together."""
    seconds: float

    def words(self) -> str:
        """Return the limits in words, as "10 MiB and 2 min"."""
        parts = [human_size(self.size)] if self.size else []
        return " and ".join([*parts, *([human_duration(self.seconds)] if self.seconds else [])])


def limit_of(told: Limit) -> CircuitLimit | None:
    """Return the limits that a relay told; None: it has none."""
    return CircuitLimit(told.data, float(told.duration)) if told.data or told.duration else None


class Circuit(RawConnection):
    """A connection through a relay."""

    def __init__(
        self, stream: INetStream, is_initiator: bool, addr: Multiaddr, limit: CircuitLimit | None
    ) -> None:
        super().__init__(stream, is_initiator, ConnectionType.RELAYED, [addr])
        self.limit = limit
        self._since = trio.current_time()
        self._passed = 0

    async def read(self, n: int | None = None) -> bytes:
        """Read from the stream to the relay."""
        data = await super().read(n)
        self._passed += len(data)
        return data

    async def write(self, data: bytes) -> None:
        """Write to the stream to the relay."""
        await super().write(data)
        self._passed += len(data)

    @property
    def used(self) -> float:
        """The share of its limits that is used; above 1 for a moment."""
        if self.limit is None:
            return 0.0
        size, seconds = self.limit
        passed = self._passed / size if size else 0.0
        return max(passed, (trio.current_time() - self._since) / seconds if seconds else 0.0)

    @property
    def why_ended(self) -> str | None:
        """Why the circuit ended, in a sentence, if its limits are the reason."""
        if self.limit is None or self.used < OVER_SHARE:
            return None
        return f"the relay passes on no more than {self.limit.words()} in one circuit, and ended it"
