"""Checks of the network: routes, ports, mDNS, the swarm's key, and peers."""

import errno
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from flux_tui.core.text.names import short_addr
from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_duration, some
from flux_tui.doctor.checkup import Found, Patient, ok, unknown, wrong
from flux_tui.doctor.mdns_probe import comes_back
from flux_tui.doctor.swarm_probe import ask_for_key
from flux_tui.net.addresses.interfaces import default_interfaces, own_ips
from flux_tui.net.addresses.listening import listen_error
from flux_tui.net.port import NetworkError
from flux_tui.net.upstream.pnet import load_swarm_key

GRACE_SECONDS = 10.0
"""Seconds after its start in which a node may have no peer."""
MAX_PROBED = 8
"""Addresses of peers that are asked for their swarm key."""
LOOPBACK = ("/ip4/127.", "/ip6/::1/")


def is_local(patient: Patient) -> bool:
    """Whether the settings say that the node is only for this machine."""
    return bool(patient.settings.listen) and all(
        addr.startswith(LOOPBACK) for addr in patient.settings.listen
    )


def check_route(patient: Patient) -> Found:
    """Whether this machine has a default route."""
    if is_local(patient):
        return unknown("the node is only for this machine (listen)")
    found = list(dict.fromkeys((*default_interfaces("ip4"), *default_interfaces("ip6"))))
    if not found:
        return wrong(
            "this machine has no default route, so it reaches its local network only: check cable or Wi-Fi, and the"
            " gateway (ip route)"
        )
    return ok(f"there is a default route, by {some(found)}")


# ── ports ───────────────────────────────────────────────────────────────────────────────────────


def check_port(patient: Patient) -> Found:
    """Whether the node can listen at its addresses, or does."""
    settings, home, state = patient.settings, patient.home, patient.state
    if home.running() is not None:
        if state is not None and state.addrs:
            return ok(f"the node listens, and is told to others as {some(state.addrs)}")
        return wrong("the node runs and has no address to listen at: look at `listen` and at the network")
    if settings.metrics and (why := _taken(settings.metrics)) is not None:
        return wrong(f"the port for metrics, {settings.metrics}, {why}: choose another one with --metrics")
    for addr in settings.listen_addrs(home):
        try:
            error = listen_error(addr)
        except NetworkError as invalid:
            return wrong(f"{invalid}: correct --listen, or `listen` in {home.settings}")
        if error is None:
            continue
        if error.errno == errno.EADDRINUSE and settings.listen:
            return wrong(
                f"another program has the port of {addr}: end it, or choose another port with --listen"
            )
        if error.errno == errno.EADDRINUSE:
            return wrong(
                f"another program has the port {home.last_port()} that this home used last, so the node would take"
                " another one and older tickets would lead nowhere: end that program, or name a port with --listen"
            )
        if settings.listen:
            return wrong(f"the node cannot listen at {addr} ({error.strerror or error}): correct --listen")
    return ok("the node can listen at its port")


def _taken(endpoint: str) -> str | None:
    """Return why nobody can listen at HOST:PORT; None: one can."""
    host, _, port = endpoint.rpartition(":")
    try:
        family, kind, _, _, address = socket.getaddrinfo(
            host.strip("[]"), int(port), type=socket.SOCK_STREAM
        )[0]
        with socket.socket(family, kind) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(address)
    except (OSError, UnicodeError) as error:
        in_use = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        return "is in use by another program" if in_use else "is not one of this machine"
    return None


# ── mDNS ────────────────────────────────────────────────────────────────────────────────────────


def check_mdns(patient: Patient) -> Found:
    """Whether mDNS passes this machine's firewall."""
    if not patient.settings.mdns:
        return unknown("mDNS is off by the settings (mdns, --no-mdns)")
    ips = [ip for ip in own_ips("ip4") if not ip.startswith("127.")]
    if not ips:
        return unknown("this machine has no local network with IPv4 to look for peers on")
    try:
        back = [ip for ip in ips if comes_back(ip)]
    except OSError as error:
        return wrong(
            f"UDP port 5353 cannot be shared ({(error.strerror or '').lower()}), so no peer is found by mDNS: end the"
            " program that holds it alone, or name peers with --join"
        )
    if not back:
        return wrong(
            f"mDNS is blocked: queries to UDP port 5353 do not come back on {some(ips)}; let the firewall pass it (ufw"
            " allow 5353/udp), or name peers with --join"
        )
    return ok(f"mDNS works on {some(back)}")


# ── the swarm's key, and peers ──────────────────────────────────────────────────────────────────


def check_swarm_key(patient: Patient) -> Found:
    """Whether the swarm key is one, and the peers that this node knows have the same."""
    key = None
    if name := patient.settings.swarm_key:
        try:
            key = load_swarm_key(patient.home.path / name)
        except NetworkError as error:
            return wrong(f"{error}; copy the file from another node of the swarm")
    if patient.offline:
        return ok("the swarm key can be used") if key else unknown("no swarm key is set")
    addrs = list(dict.fromkeys(_known_addrs(patient)))[:MAX_PROBED]
    with ThreadPoolExecutor(max_workers=MAX_PROBED) as pool:
        answers = dict(zip(addrs, pool.map(lambda addr: ask_for_key(addr, key), addrs), strict=True))
    same = [addr for addr, answer in answers.items() if answer == "same"]
    for addr, answer in answers.items():
        if same:
            break
        match answer:
            case "other_key":
                return wrong(
                    f"the swarm key {name} is a wrong one for {addr}: copy the file from a node of that swarm"
                )
            case "has_key":
                return wrong(
                    f"{addr} is in a private swarm, and this node has no key: give it with --swarm-key"
                )
            case "no_key":
                return wrong(
                    f"{addr} has no swarm key, and this node has {name}: leave --swarm-key out, or give it one"
                )
            case "same" | "silent":
                pass
    if same:
        return ok(f"{same[0]} has the same swarm key" if key else f"{same[0]} has no swarm key either")
    return unknown(
        "the swarm key can be used, and no peer answers to compare it with" if key else "no swarm key is set"
    )


def _known_addrs(patient: Patient) -> Iterator[str]:
    """Yield addresses of peers: those to join, those that were tried in vain, and those of connected ones."""
    yield from patient.settings.join
    if patient.state is not None:
        yield from (one.addr for one in patient.state.tried)
        yield from (peer.addr for peer in patient.state.peers.values() if peer.connected and peer.addr)


def check_peers(patient: Patient) -> Found:
    """Whether the node that runs is connected to anybody."""
    state = patient.state
    if state is None or patient.home.running() is None:
        return unknown("no node of this home runs, so it has no peers: start it (flux-tui node)")
    if not state.running:
        return unknown("the node is just starting: look again")
    for peer in state.peers.values():
        if peer.connected and peer.unreached:
            return wrong(f"{short_addr(plain(peer.addr))} {plain(peer.unreached)}")
    if state.connected:
        return ok(f"{state.connected:,} peer{'s are' if state.connected > 1 else ' is'} connected")
    age = patient.now() - (state.started_at or patient.now())
    if age < GRACE_SECONDS:
        return unknown("the node has just started, and no peer is connected yet: look again")
    for one in state.tried:
        why = f" ({one.why})" if one.why else ""
        return wrong(
            f"no peer is connected, and {one.addr} does not answer{why}: start the node there, or --join another one"
        )
    way = "name one with --join or a ticket"
    return wrong(
        f"no peer is connected, {human_duration(age)} after the start, and this node knows none to dial: {way}"
        + (", or start a node in this local network" if patient.settings.mdns else "")
    )
