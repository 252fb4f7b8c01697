"""Addresses: of this machine, of peers that people name, and of peers on the local network (mDNS).

mDNS is spoken with python-zeroconf directly, which libp2p itself uses: libp2p's wrapper advertises
`0.0.0.0` for a wildcard listener, and asks the operating system for a route to a public address to
learn which is its own. The records are those of libp2p's specification (discovery/mdns.md): service
`_p2p._udp.local.`, a random name, TXT records `dnsaddr=<multiaddr with /p2p/…>`.
"""

import logging
import secrets
import socket
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager

import ifaddr
import trio
from multiaddr import Multiaddr
from zeroconf import ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from flux_tui.core.ids import BadIdError, PeerId, parse_peer_id

log = logging.getLogger(__name__)

SERVICE = "_p2p._udp.local."
MAX_ADDRS = 8
"""Addresses taken from one peer's records."""
LOOKUP_MS = 3000


def concrete(addr: Multiaddr) -> list[str]:
    """The addresses that others can dial for one that we listen on: a wildcard stands for all."""
    text = str(addr)
    for wildcard, family in (("/ip4/0.0.0.0/", "ip4"), ("/ip6/::/", "ip6")):
        if text.startswith(wildcard):
            rest = text[len(wildcard) :]
            return [f"/{family}/{ip}/{rest}" for ip in _own_ips(family)]
    return [text]


def _own_ips(family: str) -> list[str]:
    """This machine's addresses; those that others can reach come first."""
    found: list[str] = []
    for adapter in ifaddr.get_adapters():
        for ip in adapter.ips:
            if family == "ip4" and ip.is_IPv4:
                found.append(str(ip.ip))
            elif family == "ip6" and ip.is_IPv6 and not ip.ip[2]:
                found.append(str(ip.ip[0]))
    return sorted(dict.fromkeys(found), key=lambda ip: ip.startswith(("127.", "::1", "169.254.")))


def parse_peer_addr(addr: str) -> tuple[PeerId, Multiaddr]:
    """The peer and the transport part of a multiaddr. Raises ValueError with a sentence."""
    base, separator, peer = addr.rpartition("/p2p/")
    if not separator:
        raise ValueError(f"{addr} does not say whose address it is: it has to end in /p2p/PEER-ID")
    try:
        peer_id = parse_peer_id(peer)
        transport = Multiaddr(base)
        if not base or transport.value_for_protocol("tcp") is None:
            raise ValueError("no TCP port")
    except BadIdError as error:
        raise ValueError(f"{addr} is no address of a peer: {error}") from None
    except Exception:  # the library raises kinds of its own
        raise ValueError(
            f"{addr} is no address that can be dialled: expected /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID"
        ) from None
    return peer_id, transport


def addrs_of(peer: PeerId, addrs: Iterable[str]) -> list[tuple[str, Multiaddr]]:
    """Of these, the addresses of this peer that can be dialled, and where."""
    found: list[tuple[str, Multiaddr]] = []
    for addr in addrs:
        try:
            named, transport = parse_peer_addr(addr)
        except ValueError:
            continue
        if named == peer:
            found.append((addr, transport))
    return found


async def connect_any(
    connect: Callable[[PeerId, Multiaddr, str], Awaitable[str | None]],
    peer: PeerId,
    places: Iterable[tuple[str, Multiaddr]],
) -> str | None:
    """Connect to a peer at the first of these places that leads there. Returns why none does, in the words of all."""
    reasons: list[str] = []
    for addr, there in places:
        if (why := await connect(peer, there, addr)) is None:
            return None
        reasons.append(why)
    return "; ".join(reasons)


class _Listener(ServiceListener):
    """Runs in zeroconf's threads."""

    def __init__(self, own: str, found: Callable[[str], None]) -> None:
        self._own = own
        self._found = found

    def add_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        if name == self._own:
            return
        info = zc.get_service_info(type_, name, timeout=LOOKUP_MS)
        if info is None:
            return
        records = [
            value.decode(errors="replace")
            for key, value in (info.properties or {}).items()
            if key.startswith(b"dnsaddr") and value
        ]
        for addr in records[:MAX_ADDRS]:
            self._found(addr)

    def update_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        self.add_service(zc, type_, name)

    def remove_service(self, zc: Zeroconf, type_: str, name: str) -> None:
        """Its link will tell."""


@contextmanager
def mdns(addrs: Sequence[str], on_found: Callable[[str], None]) -> Iterator[None]:
    """Advertise these addresses on the local network, and hand over what others advertise.

    `on_found` is called in trio's thread. Where there is no network to speak on, nothing happens.
    """
    token = trio.lowlevel.current_trio_token()

    def found(addr: str) -> None:
        try:
            parse_peer_addr(addr)
            token.run_sync_soon(on_found, addr)
        except (ValueError, trio.RunFinishedError):
            pass  # not for us, or we are gone

    try:
        zeroconf = Zeroconf()
    except OSError as error:
        log.warning("no mDNS: %s", error)
        yield
        return
    name = f"{secrets.token_hex(16)}.{SERVICE}"
    try:
        info = _service(name, addrs)
        if info is not None:
            zeroconf.register_service(info)
        ServiceBrowser(zeroconf, SERVICE, listener=_Listener(name, found))
        yield
    finally:
        zeroconf.close()


def _service(name: str, addrs: Sequence[str]) -> ServiceInfo | None:
    public = [addr for addr in addrs if not addr.startswith(("/ip4/127.", "/ip6/::1/"))]
    chosen = list(public or addrs)[:MAX_ADDRS]
    ips = [addr.split("/")[2] for addr in chosen if addr.startswith("/ip4/")]
    if not chosen or not ips:
        return None
    port = int(Multiaddr(chosen[0]).value_for_protocol("tcp") or 0)
    # One key each: a TXT record is a dictionary to zeroconf, and readers match on the prefix.
    records = {f"dnsaddr{number or ''}": addr for number, addr in enumerate(chosen)}
    return ServiceInfo(
        type_=SERVICE,
        name=name,
        port=port,
        properties=records,
        server=f"{name.split('.')[0]}.local.",
        addresses=[socket.inet_aton(ip) for ip in ips],
    )
