"""A network that has gateways beside its peers. An address that begins with http:// or https:// is a gateway's.

A gateway has a peer id like every peer, made of the hash of its address. Nobody has a key for it, so nothing can be
signed in its name.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import trio

from flux_tui.core.ids import PeerId, peer_id_from_bytes
from flux_tui.core.limits import Backoff
from flux_tui.net.gateways.gateway_answers import (
    CONNECT_SECONDS,
    CONNECTIONS,
    STALL_SECONDS,
    GatewayGoneError,
)
from flux_tui.net.port import BAN_SECONDS, Network, OpenNetwork, Receiver

if TYPE_CHECKING:
    from flux_tui.net.gateways.gateway_link import GatewayLink

REDIAL = Backoff(first=1.0, most=30.0, jitter=(0.75, 1.25))
MAX_GATEWAYS = 32
SCHEMES = ("http://", "https://")


class BadGatewayError(ValueError):
    """The address is not one of a gateway. The message is one sentence."""


def is_gateway(addr: str) -> bool:
    """Whether an address is a gateway's."""
    return addr.lower().startswith(SCHEMES)


def gateway_base(addr: str) -> str:
    """Return a gateway's address without a path. Raises BadGatewayError."""
    try:
        parts = urlsplit(addr)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadGatewayError(f"{addr} is not an address: it cannot be parsed") from None
    if not host or parts.scheme.lower() not in ("http", "https") or parts.username is not None:
        raise BadGatewayError(f"{addr} is not the address of a gateway: expected https://HOST")
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme.lower()}://{named}" + (f":{port}" if port is not None else "")


def gateway_peer_id(base: str) -> PeerId:
    """Return the peer id of a gateway."""
    return peer_id_from_bytes(b"\x12\x20" + sha256(b"flux gateway " + base.encode()).digest())


def with_gateways(opening: OpenNetwork) -> OpenNetwork:
    """Return a function that opens a network, with gateways beside its peers."""

    @asynccontextmanager
    async def open_both(receiver: Receiver) -> AsyncIterator[Network]:
        async with opening(receiver) as network, trio.open_nursery() as nursery:
            both: Any = WithGateways(network, receiver, nursery)
            try:
                yield both
            finally:
                nursery.cancel_scope.cancel()

    def opened(receiver: Receiver) -> AbstractAsyncContextManager[Network]:
        return open_both(receiver)

    return opened


class WithGateways:
    """A network and its gateways. What is not about a gateway is passed on to the network."""

    def __init__(self, network: Network, receiver: Receiver, nursery: trio.Nursery) -> None:
        self._network = network
        self._receiver = receiver
        self._nursery = nursery
        self._links: dict[PeerId, GatewayLink] = {}
        """The gateways that answer."""
        self._running: dict[PeerId, trio.CancelScope] = {}
        """The gateways that were dialled."""
        self._refused: dict[PeerId, float] = {}
        self._forgotten: set[PeerId] = set()

    def __getattr__(self, name: str) -> Any:
        """Return the network's own part."""
        return getattr(self._network, name)

    def peers(self) -> tuple[PeerId, ...]:
        """Return the peers and gateways that are connected."""
        return (*self._network.peers(), *self._links)

    def push(self, peer: PeerId, message: Any) -> bool:
        """Push a message to a peer or a gateway; see `Network.push`."""
        if peer in self._running:
            link = self._links.get(peer)
            return link is not None and link.push(message)
        return self._network.push(peer, message)

    def tell(self, peer: PeerId, data: bytes) -> None:
        """Tell a peer about peers; a gateway is told nothing."""
        if peer not in self._running:
            self._network.tell(peer, data)

    def dial(
        self, addr: str, *, keep: bool = False, more: Sequence[str] = (), from_peers: bool = False
    ) -> None:
        """Dial a peer or a gateway; see `Network.dial`. A gateway that only peers named is not dialled."""
        if not is_gateway(addr):
            others = [other for other in more if not is_gateway(other)]
            self._network.dial(addr, keep=keep, more=others, from_peers=from_peers)
        elif from_peers:
            self._receiver.on_dial_failed(addr, f"{addr} is a gateway that only peers named")
        else:
            self._begin(addr)

    def disconnect(
        self, peer: PeerId, why: str, *, seconds: float = BAN_SECONDS, forget: bool = False
    ) -> None:
        """End the link to a peer or a gateway, and refuse it for `seconds`. `forget`: do not dial it again."""
        if peer not in self._running:
            self._network.disconnect(peer, why, seconds=seconds, forget=forget)
            return
        if forget:
            self._forgotten.add(peer)
        self._refused[peer] = trio.current_time() + seconds
        self._running[peer].cancel()

    def _begin(self, addr: str) -> None:
        try:
            base = gateway_base(addr)
        except BadGatewayError as error:
            self._receiver.on_dial_failed(addr, str(error))
            return
        peer = gateway_peer_id(base)
        if peer in self._running:
            return
        if len(self._running) >= MAX_GATEWAYS:
            self._receiver.on_dial_failed(addr, f"{addr} is one gateway more than {MAX_GATEWAYS}")
            return
        self._running[peer] = trio.CancelScope()
        self._nursery.start_soon(self._run, peer, base, addr)

    async def _run(self, peer: PeerId, base: str, addr: str) -> None:
        """Connect to a gateway again and again, until it is disconnected for good."""
        import httpx  # 200 ms: only where there is a gateway

        from flux_tui.net.gateways.gateway_link import GatewayLink

        failures, wait = 0, 0.0
        limits = httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS)
        timeout = httpx.Timeout(STALL_SECONDS, connect=CONNECT_SECONDS)
        try:
            while peer not in self._forgotten:
                dialled = False
                with self._running[peer]:
                    await trio.sleep(wait)
                    dialled = True
                    async with httpx.AsyncClient(limits=limits, timeout=timeout) as client:
                        link = GatewayLink(peer, base, self._receiver, client)
                        try:
                            await link.probe()
                            failures = 0
                            self._links[peer] = link
                            self._receiver.on_connected(peer, base, speaks="http")
                            await link.run()
                        except* GatewayGoneError as group:
                            failures += 1
                            self._gone(peer, addr, _sentence(group))
                if self._running[peer].cancelled_caught:
                    if dialled:
                        self._gone(peer, addr, "it was disconnected")
                    wait = max(0.0, self._refused.pop(peer, 0.0) - trio.current_time())
                else:
                    wait = REDIAL.wait(failures)
                self._running[peer] = trio.CancelScope()
        finally:
            self._links.pop(peer, None)
            self._forgotten.discard(peer)
            del self._running[peer]

    def _gone(self, peer: PeerId, addr: str, why: str) -> None:
        if self._links.pop(peer, None) is not None:
            self._receiver.on_disconnected(peer, why)
        else:
            self._receiver.on_dial_failed(addr, f"{addr} cannot be reached: {why}")


def _sentence(group: BaseExceptionGroup[BaseException]) -> str:
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return str(found)
