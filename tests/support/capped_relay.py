"""libp2p's own relay as a program, with limits of its circuits: somebody else's relay.

    python -m tests.support.capped_relay ADDR BYTES SECONDS

Prints its multiaddr.
"""

import sys

import trio
from libp2p.relay.circuit_v2.protocol import CircuitV2Protocol
from libp2p.relay.circuit_v2.resources import RelayLimits
from libp2p.tools.anyio_service import background_trio_service
from multiaddr import Multiaddr

from tests.support.hosts import plain_host


async def serve(addr: str, data: int, seconds: int) -> None:
    """Serve until killed."""
    host = plain_host(90)
    limits = RelayLimits(duration=seconds, data=data, max_circuit_conns=64, max_reservations=64)
    service = CircuitV2Protocol(host, limits, allow_hop=True)
    async with host.run(listen_addrs=[Multiaddr(addr)]), background_trio_service(service):
        await service.event_started.wait()
        print(f"{addr}/p2p/{host.get_id()}", flush=True)
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(serve, sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
