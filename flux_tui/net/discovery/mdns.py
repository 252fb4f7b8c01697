"""mDNS: announces this node on the local network, and finds the nodes that others announce.

It runs on python-zeroconf directly, which libp2p uses as well. libp2p's own wrapper advertises `0.0.0.0`
for a wildcard listener, and finds its own address by asking the operating system for a route to a public
address. The records are those of libp2p's specification (discovery/mdns.md): service `_p2p._udp.local.`, a
random name, TXT records `dnsaddr=<multiaddr with /p2p/…>`.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from functools import partial

import trio
from multiaddr import Multiaddr
from zeroconf import IPVersion, ServiceBrowser, ServiceInfo, ServiceListener, Zeroconf

from flux_tui.net.addresses.peer_multiaddrs import parse_peer_addr

log = logging.getLogger(__name__)
# When an interface has gone, zeroconf warns of each packet with a traceback. Here that is usual.
logging.getLogger("zeroconf").setLevel(logging.ERROR)

SERVICE = "_p2p._udp.local."
MAX_ADDRS = 8
"""Addresses taken from one peer's records."""
LOOKUP_MS = 3000


class _Listener(ServiceListener):
    """Receives zeroconf's events, in zeroconf's threads, and passes on the addresses of the peers found."""

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
        """Do nothing: the push link to the peer shows whether the peer is gone."""


class Mdns:
    """Announces this node on the local network by mDNS, and finds the nodes that others announce, on all interfaces.

    `on_found` is called with each address found, in trio's thread. On a machine without a network, `run` waits until
    there is one.
    """

    def __init__(self, addrs: Callable[[], Sequence[str]], on_found: Callable[[str], None]) -> None:
        self._addrs = addrs
        self._on_found = on_found
        self._name = f"{secrets.token_hex(16)}.{SERVICE}"

    async def run(self, changed: Callable[[], trio.Event]) -> None:
        """Run mDNS until cancelled.

        `changed`: returns an event that is set when this node's addresses change. mDNS is then started again,
        because zeroconf uses only the interfaces that exist when it starts.
        """
        token = trio.lowlevel.current_trio_token()
        while True:
            news = changed()
            zeroconf = await trio.to_thread.run_sync(self._open, token, self._addrs())
            try:
                await news.wait()
            finally:
                if zeroconf is not None:
                    with trio.CancelScope(shield=True):
                        await trio.to_thread.run_sync(zeroconf.close)

    def _open(self, token: trio.lowlevel.TrioToken, addrs: Sequence[str]) -> Zeroconf | None:
        zeroconf = _zeroconf()
        if zeroconf is None:
            return None
        try:
            info = _service(self._name, addrs)
            if info is not None:
                zeroconf.register_service(info)
            ServiceBrowser(zeroconf, SERVICE, listener=_Listener(self._name, partial(self._found, token)))
        except Exception as error:  # the network went away meanwhile
            log.warning("no mDNS: %r", error)
        return zeroconf

    def _found(self, token: trio.lowlevel.TrioToken, addr: str) -> None:
        try:
            parse_peer_addr(addr)
            token.run_sync_soon(self._on_found, addr)
        except (ValueError, trio.RunFinishedError):
            pass  # not a peer's address, or the program has ended


def _zeroconf() -> Zeroconf | None:
    """Open mDNS on all interfaces, for IPv4 and IPv6. If this machine has only one of them, open it for that one.

    None: this machine has no network for mDNS.
    """
    for version in (IPVersion.All, IPVersion.V4Only, IPVersion.V6Only):
        try:
            return Zeroconf(ip_version=version)
        except (OSError, RuntimeError) as error:  # it has no interface for one of them
            log.debug("no mDNS with %s: %r", version, error)
    log.warning("no mDNS: this machine has no network for it")
    return None


def _service(name: str, addrs: Sequence[str]) -> ServiceInfo | None:
    public = [addr for addr in addrs if not addr.startswith(("/ip4/127.", "/ip6/::1/"))]
    chosen = list(public or addrs)[:MAX_ADDRS]
    ips = [addr.split("/")[2] for addr in chosen]
    if not ips:
        return None
    port = int(Multiaddr(chosen[0]).value_for_protocol("tcp") or 0)
    # One key each: to zeroconf a TXT record is a dictionary. Readers match on the prefix.
    records = {f"dnsaddr{number or ''}": addr for number, addr in enumerate(chosen)}
    return ServiceInfo(
        type_=SERVICE,
        name=name,
        port=port,
        properties=records,
        server=f"{name.split('.')[0]}.local.",
        parsed_addresses=ips,
    )
