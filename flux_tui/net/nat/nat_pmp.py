"""Maps a port on the router by NAT-PMP (RFC 6886), for a limited time.

Many routers that speak no UPnP, or have it switched off, speak this: Apple's, and those with miniupnpd. The protocol is
two requests in one UDP datagram each, to the router of the default route. A router with PCP (RFC 6887) may answer
these requests as well. No library for it is kept up: the two on PyPI have not changed since 2023, and block.

The router is found from /proc/net/route, so only on Linux. Elsewhere UPnP is used alone.
"""

import ipaddress
import logging
import socket
import struct
from collections.abc import Callable
from pathlib import Path

import trio

log = logging.getLogger(__name__)

PORT = 5351
"""The router's UDP port."""
VERSION, ANSWER = 0, 128
OUTER_ADDRESS, MAP_TCP = 0, 2
"""The two requests. The answer has the same number, plus ANSWER."""
ANSWER_HEAD = struct.Struct("!BBHI")
"""Version, number, result (0: done), and the seconds since the router has started."""
ADDRESS = struct.Struct("!4s")
MAP_REQUEST = struct.Struct("!BBHHHI")
"""Version, number, zero, the port of this machine, the wished outer port (0: any), seconds (0: remove the mapping)."""
MAPPED = struct.Struct("!HHI")
"""The port of this machine, the outer port, seconds."""
WAITS = 0.25, 0.5, 1.0
"""Seconds to wait for an answer, each time that a request is sent."""
MAX_ANSWER = 64
"""Bytes that are read of an answer; it has sixteen."""
ROUTES = Path("/proc/net/route")
IS_GATEWAY = 2
"""RTF_GATEWAY in Linux's table of routes."""


def default_router(routes: Path = ROUTES) -> str | None:
    """Return the IPv4 address of the router of this machine's default route; None: there is none, or it is unknown."""
    try:
        lines = routes.read_text().splitlines()[1:]
    except OSError:  # not Linux
        return None
    found: list[tuple[int, str]] = []
    for line in lines:
        fields = line.split()
        if len(fields) > 7 and fields[1] == fields[7] == "00000000" and int(fields[3], 16) & IS_GATEWAY:
            address = socket.inet_ntoa(struct.pack("=L", int(fields[2], 16)))
            found.append((int(fields[6]), address))
    return min(found)[1] if found else None


class NatPmp:
    """The router of this machine's default route. `router`: returns its address; None: it is unknown."""

    def __init__(self, router: Callable[[], str | None] = default_router) -> None:
        self._router = router
        self._mapped: dict[int, int] = {}
        """The port of this machine by outer port."""

    async def find(self) -> str | None:
        """Ask the router for its outer IP address. Return it; None: it does not answer, or is behind another router."""
        answer = await self._ask(bytes((VERSION, OUTER_ADDRESS)), OUTER_ADDRESS, ADDRESS.size)
        if answer is None:
            return None
        address = ipaddress.IPv4Address(ADDRESS.unpack(answer)[0])
        return str(address) if address.is_global else None

    async def map(self, port: int, outer: int, seconds: int) -> bool:
        """Let the router pass connections to its port `outer` on to this machine's `port`, for `seconds`.

        Returns whether the router does so. If it offers another outer port only, that mapping is removed again.
        """
        mapped = await self._map(port, outer, seconds)
        if mapped == outer:
            self._mapped[outer] = port
        elif mapped:
            await self._map(port, 0, 0)
        return mapped == outer

    async def unmap(self, outer: int) -> bool:
        """Remove the mapping of the router's port `outer`. Returns whether that succeeded."""
        port = self._mapped.pop(outer, None)
        return port is not None and await self._map(port, 0, 0) is not None

    async def _map(self, port: int, outer: int, seconds: int) -> int | None:
        """Ask for a mapping. Returns its outer port (0 if it was removed); None: the router does not do it."""
        request = MAP_REQUEST.pack(VERSION, MAP_TCP, 0, port, outer, seconds)
        answer = await self._ask(request, MAP_TCP, MAPPED.size)
        if answer is None:
            return None
        inner, mapped, _ = MAPPED.unpack(answer)
        return mapped if inner == port else None

    async def _ask(self, request: bytes, number: int, size: int) -> bytes | None:
        """Send a request until it is answered. Returns the `size` bytes after the answer's head.

        None: there was no answer, or the router refuses.
        """
        router = self._router()
        if router is None:
            return None
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            try:
                await sock.connect((router, PORT))  # so only the router's datagrams are received
                for wait in WAITS:
                    await sock.send(request)
                    with trio.move_on_after(wait):
                        while True:
                            answer = await sock.recv(MAX_ANSWER)
                            if len(answer) >= ANSWER_HEAD.size and answer[:2] == bytes(
                                (VERSION, ANSWER + number)
                            ):
                                return self._rest(answer, size)
            except OSError as error:  # nothing listens there, or there is no way to it
                log.debug("the router %s does not speak NAT-PMP: %s", router, error)
        return None

    @staticmethod
    def _rest(answer: bytes, size: int) -> bytes | None:
        _, _, result, _ = ANSWER_HEAD.unpack_from(answer)
        rest = answer[ANSWER_HEAD.size :][:size]
        if result or len(rest) < size:
            log.debug("the router refuses by NAT-PMP: result %d", result)
            return None
        return rest
