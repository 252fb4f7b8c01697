"""A laboratory of networks on one Linux machine: hosts, local networks, routers, and links with a delay.

    with Lab(tmp_path) as lab:
        home, internet = lab.lan("192.168.7.0/24"), lab.lan("45.9.0.0/16")
        lab.router(internet, home)
        a, b = lab.host("a"), lab.host("b")
        a.plug(home)
        b.plug(internet, shape=Shape(delay=0.05, rate=1_000_000))
        node = a.node("--no-mdns")

A host is a network namespace, held by a process without a name on disk. A local network is a bridge. A cable is a
pair of virtual interfaces; one with a `Shape` is a small program (`shaped_link.c`), because not every kernel can
delay packets. Everything is gone when the lab closes, or when the process that made it ends: nothing has a name
outside, and no interface of the machine itself is touched. Needs Linux, root, `ip`, `nft`, `nsenter` and `cc`.
"""

import ctypes
import ipaddress
import itertools
import json
import os
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, NamedTuple

from flux_tui.cli.home_and_series import catch_up, fold, open_series
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import State
from flux_tui.core.text.as_json import state_report
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader

START_SECONDS = 30.0
POLL_SECONDS = 0.05
NEEDED = ("ip", "nft", "nsenter", "unshare", "sysctl", "cc")
OUTSIDE, INSIDE = "outside", "inside"
"""The interfaces of a router."""
PR_SET_PDEATHSIG, CLONE_NEWNET = 1, 0x4000_0000

Nat = Literal["cone", "random", "none"]
"""What a router does with the ports of connections that leave: it keeps them, it takes random ones, or it does not
change addresses at all."""


def lacks() -> str | None:
    """Return what this machine lacks for a lab, in a sentence, or None."""
    if sys.platform != "linux":
        return "network namespaces are a thing of Linux"
    if os.geteuid() != 0:
        return "network namespaces need root"
    if missing := [name for name in NEEDED if shutil.which(name) is None]:
        return f"these programs are not installed: {', '.join(missing)}"
    tried = ("ip link add one type bridge", "ip link add two type veth peer name three", "nft list ruleset")
    for command in tried:
        done = subprocess.run(
            ["unshare", "-n", *command.split()], capture_output=True, text=True, check=False
        )
        if done.returncode:
            return f"`{command}` fails in a new network namespace: {done.stderr.strip()}"
    return None if os.access("/dev/net/tun", os.R_OK | os.W_OK) else "there is no /dev/net/tun"


class Shape(NamedTuple):
    """What a link does to packets, in both directions."""

    delay: float = 0.0
    """Seconds, one way."""
    rate: float = 0.0
    """Bytes a second; 0: no limit."""
    loss: float = 0.0
    """Share of the packets that are lost."""
    back_rate: float | None = None
    """The rate to the host, if it differs: an uplink is slower than a downlink."""
    queue: float = 0.2
    """Seconds that a packet waits for the line at most."""
    biggest: int = 65_536
    """Bytes of the largest IP packet that passes; larger ones are lost without a word."""

    def line(self) -> str:
        """Return the line that `shaped_link.c` reads."""
        back = self.rate if self.back_rate is None else self.back_rate
        rates, losses = f"{self.rate} {back}", f"{self.loss} {self.loss}"
        return f"{self.delay * 1e6} {rates} {losses} {self.queue * 1e6} {self.biggest}\n"


class Lab:
    """All hosts and networks of one test. `folder`: where homes, logs and the built link are kept."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._stack = ExitStack()
        self._numbers = itertools.count(1)
        self._link_program: Path | None = None
        self.hosts: list[Host] = []
        self.switch = self.host("switch")
        """The namespace of all bridges."""

    def __enter__(self) -> "Lab":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End all processes in the hosts, and then the hosts."""
        for host in self.hosts:
            host.kill_all()
        self._stack.close()
        for host in self.hosts:
            host.close()

    def callback(self, call: Callable[[], object]) -> None:
        """Call this when the lab closes."""
        self._stack.callback(call)

    def host(self, name: str) -> "Host":
        """Make a host without a network."""
        host = Host(self, name)
        self.hosts.append(host)
        return host

    def lan(self, *subnets: str, gateway: bool = True) -> "Lan":
        """Make a local network. Hosts get addresses of these subnets, and the first address as default route.

        `gateway`: without one, a host's default route leads into the network itself.
        """
        return Lan(self, f"lan{next(self._numbers)}", subnets, gateway=gateway)

    def router(
        self, outside: "Lan", inside: "Lan", *, nat: Nat = "cone", shape: Shape | None = None
    ) -> "Router":
        """Make a router that hides the hosts of `inside` behind its own address in `outside`.

        `shape`: of its link to the outside.
        """
        router = Router(self, f"router{next(self._numbers)}")
        self.hosts.append(router)
        router.connect(outside, inside, nat, shape)
        return router

    def cable(self, host: "Host", interface: str, bridge: str, shape: Shape | None) -> "Cable":
        """Connect an interface of a host with a bridge."""
        port = f"port{next(self._numbers)}"
        if shape is None:
            host.ip(
                "link", "add", interface, "type", "veth", "peer", "name", port, "netns", str(self.switch.pid)
            )
            cable = Cable(host, interface, self.switch, port, bridge, None)
        else:
            link = _Link(self._build(), host, interface, self.switch, port, shape)
            self._stack.callback(link.close)
            cable = Cable(host, interface, self.switch, port, bridge, link)
        self.switch.ip("link", "set", port, "master", bridge, "up")
        host.ip("link", "set", interface, "up")
        return cable

    def _build(self) -> Path:
        if self._link_program is None:
            self._link_program = self.folder / "shaped_link"
            source = Path(__file__).with_name("shaped_link.c")
            subprocess.run(["cc", "-O2", "-o", str(self._link_program), str(source)], check=True)
        return self._link_program


class Lan:
    """A local network: a bridge."""

    def __init__(self, lab: Lab, bridge: str, subnets: Sequence[str], *, gateway: bool) -> None:
        self.bridge = bridge
        self.subnets = [ipaddress.ip_network(one) for one in subnets]
        self.gateway = gateway
        self._free = [iter(range(2, 250)) for _ in self.subnets]
        lab.switch.ip("link", "add", bridge, "type", "bridge", "forward_delay", "0")
        lab.switch.ip("link", "set", bridge, "up")

    def first(self) -> list[str]:
        """Return the addresses of the gateway, each with the length of its prefix."""
        return [f"{subnet[1]}/{subnet.prefixlen}" for subnet in self.subnets]

    def next(self) -> list[str]:
        """Return free addresses, one of each subnet, each with the length of its prefix."""
        pairs = zip(self.subnets, self._free, strict=True)
        return [f"{subnet[next(free)]}/{subnet.prefixlen}" for subnet, free in pairs]


class Cable:
    """A cable from a host to a local network."""

    def __init__(
        self, host: "Host", interface: str, switch: "Host", port: str, bridge: str, link: "_Link | None"
    ) -> None:
        self.host = host
        self.interface = interface
        self.lan: Lan | None = None
        self._switch, self._port, self._bridge, self._link = switch, port, bridge, link

    def cut(self) -> None:
        """Lose every packet from now on. The host sees nothing of it."""
        self._switch.ip("link", "set", self._port, "nomaster")

    def mend(self) -> None:
        """Undo `cut` and `unplug`. An unplugged interface keeps its addresses, its routes are set again."""
        self._switch.ip("link", "set", self._port, "master", self._bridge, "up")

    def unplug(self) -> None:
        """Pull the cable out of the host: its interface has no link any more. Not for a shaped cable."""
        assert self._link is None, "a TAP interface always has a link"
        self._switch.ip("link", "set", self._port, "down")

    def shape(self, shape: Shape) -> None:
        """Change what a shaped cable does from now on."""
        assert self._link is not None, "the cable was made without a shape"
        self._link.set(shape)

    def readdress(self, *addrs: str) -> None:
        """Give the host other addresses on this cable, each with its prefix: 10.1.0.9/24. The routes are set again."""
        self.host.ip("addr", "flush", "dev", self.interface, "scope", "global")
        self.host.address(self, addrs)


class Host:
    """A host: a network namespace with its interfaces and processes."""

    def __init__(self, lab: Lab, name: str) -> None:
        self.name = name
        self._lab = lab
        self._holder = subprocess.Popen(
            ["unshare", "-n", "cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        )
        self.pid = self._holder.pid
        self.prefix = ("nsenter", "-t", str(self.pid), "-n")
        """What stands before a command that runs on this host."""
        self.cables: list[Cable] = []
        self._started: list[subprocess.Popen[str]] = []
        self._inode = _own_namespace(self.pid)
        self.run("sysctl", "-qw", "net.ipv6.conf.all.accept_dad=0", "net.ipv6.conf.default.accept_dad=0")
        self.ip("link", "set", "lo", "up")

    def run(self, *command: str, timeout: float = 60.0) -> str:
        """Run a command on this host. Return what it prints. Raises CalledProcessError, with its words."""
        done = subprocess.run(
            [*self.prefix, *command], capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"{self.name}: {' '.join(command)}: {done.stderr.strip() or done.stdout}"
        return done.stdout

    def ip(self, *arguments: str) -> None:
        """Run iproute2's `ip`."""
        self.run("ip", *arguments)

    def ping(self, addr: str, size: int = 56, seconds: float = 1.0) -> float | None:
        """Send one ICMP echo request of so many bytes. Return the seconds until the answer; None: there is none."""
        with ThreadPoolExecutor(1) as pool:
            return pool.submit(_ping, self.pid, addr, size, seconds).result()

    def plug(self, lan: Lan, *addrs: str, shape: Shape | None = None, interface: str = "") -> Cable:
        """Connect this host to a local network. `addrs`: with their prefixes; without any, free ones are taken."""
        interface = interface or f"eth{len(self.cables)}"
        cable = self._lab.cable(self, interface, lan.bridge, shape)
        cable.lan = lan
        self.cables.append(cable)
        self.address(cable, addrs or lan.next())
        return cable

    def address(self, cable: Cable, addrs: Sequence[str]) -> None:
        """Add addresses to an interface, and a default route for each of their families."""
        for addr in addrs:
            self.ip("addr", "add", addr, "dev", cable.interface, *(("nodad",) if ":" in addr else ()))
            self._default_route(cable, ipaddress.ip_interface(addr))

    def _default_route(self, cable: Cable, addr: ipaddress.IPv4Interface | ipaddress.IPv6Interface) -> None:
        lan = cable.lan
        if lan is None or (isinstance(self, Router) and cable.interface == INSIDE):
            return
        family = f"-{addr.version}"
        via = ["via", str(addr.network[1])] if lan.gateway else []
        metric = str(100 + self.cables.index(cable))
        self.ip(family, "route", "replace", "default", *via, "dev", cable.interface, "metric", metric)

    def node(self, *flags: str, home: str = "") -> "LabNode":
        """Start `flux-tui node` on this host. `home`: the name of its home, else the host's own."""
        node = LabNode(self, self._lab.folder / (home or self.name), flags)
        self._lab.callback(node.close)
        node.start()
        return node

    def flux(self, *arguments: str, home: str = "", timeout: float = 120.0) -> str:
        """Run a `flux-tui` command on this host, with a home that need not have a node. Return what it prints."""
        place = self._lab.folder / (home or self.name)
        return self.run(sys.executable, "-m", "flux_tui", *arguments, "--home", str(place), timeout=timeout)

    def start(self, *command: str, log: Path | None = None) -> "subprocess.Popen[str]":
        """Start a command on this host. It is killed with the lab. `log`: a file for its stderr."""
        with ExitStack() as stack:
            words: Any = stack.enter_context(log.open("ab")) if log is not None else subprocess.DEVNULL
            process = subprocess.Popen(
                [*self.prefix, *command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words, text=True,
                preexec_fn=_die_with_parent,
            )  # fmt: skip
        self._started.append(process)
        return process

    def sleep(self) -> None:
        """Close the lid: no process runs, and nothing passes the cables."""
        for cable in self.cables:
            cable.cut()
        self.signal(signal.SIGSTOP)

    def wake(self) -> None:
        """Open the lid again."""
        for cable in self.cables:
            cable.mend()
        self.signal(signal.SIGCONT)

    def processes(self) -> Iterator[int]:
        """Yield the processes on this host, except the one that holds it."""
        for entry in os.listdir("/proc"):
            if entry.isdigit() and int(entry) != self.pid and _namespace(int(entry)) == self._inode:
                yield int(entry)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to all processes on this host."""
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, number)

    def kill_all(self) -> None:
        """Kill all processes on this host."""
        self.signal(signal.SIGKILL)

    def close(self) -> None:
        """Let go of the namespace, when its processes are killed. Its interfaces go with it."""
        for process in self._started:
            assert process.stdout is not None
            process.stdout.close()
            process.wait()
        assert self._holder.stdin is not None
        self._holder.stdin.close()
        self._holder.wait()


class Router(Host):
    """A router between two networks. It lets connections out, and none in that it does not know."""

    def connect(self, outside: Lan, inside: Lan, nat: Nat, shape: Shape | None) -> None:
        """Plug in both cables, and set the rules."""
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.outside = self.plug(outside, shape=shape, interface=OUTSIDE)
        self.inside = self.plug(inside, *inside.first(), interface=INSIDE)
        for far in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"):
            self.ip("route", "add", "blackhole", far, "metric", "5000")  # as an internet provider drops them
        self.run("nft", _rules(nat))

    def forward(self, port: int, addr: str) -> None:
        """Pass connections to this port on to a host inside: `addr` is 192.168.7.2:4001."""
        rule = f"add rule ip nat before tcp dport {port} dnat to {addr}"
        self.run("nft", rule)


def _rules(nat: Nat) -> str:
    masquerade = {"cone": "masquerade", "random": "masquerade fully-random", "none": "accept"}[nat]
    let_in = "accept" if nat == "none" else "drop"
    return f"""
    table ip nat {{
      chain before {{ type nat hook prerouting priority -100; }}
      chain after {{ type nat hook postrouting priority 100; oifname {OUTSIDE} {masquerade}; }}
    }}
    table inet guard {{
      chain input {{
        type filter hook input priority 0;
        iifname {OUTSIDE} ct state established,related accept
        iifname {OUTSIDE} meta l4proto {{ icmp, ipv6-icmp }} accept
        iifname {OUTSIDE} drop
      }}
      chain forward {{
        type filter hook forward priority 0;
        iifname {OUTSIDE} ct state established,related accept
        iifname {OUTSIDE} ct status dnat accept
        iifname {OUTSIDE} {let_in}
      }}
    }}"""


class LabNode:
    """`flux-tui node` on a host, with a home of its own."""

    def __init__(self, host: Host, home: Path, flags: Sequence[str]) -> None:
        self.host = host
        self.home = home
        self.flags = flags
        self.log = home.with_name(f"{home.name}.log")
        self.process: subprocess.Popen[str]
        self.peer_id = ""
        self.addrs: list[str] = []
        """The addresses that it told when it started."""
        self._reader: SeriesReader | None = None
        self._state = State()

    def start(self) -> None:
        """Start it, and wait until it listens."""
        command = [sys.executable, "-m", "flux_tui", "node", "--home", str(self.home), *self.flags]
        self.process = self.host.start(*command, log=self.log)
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the node did not start: {self.log.read_text()}"
        told = json.loads(line)
        self.peer_id, self.addrs = told["peer_id"], told["addrs"]

    def kill(self) -> None:
        """Kill it with SIGKILL, by its pid."""
        self.process.kill()
        self._reap()

    def stop(self) -> None:
        """Stop it in order."""
        self.process.terminate()
        self._reap()

    def _reap(self) -> None:
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def flux(self, *arguments: str, timeout: float = 120.0) -> str:
        """Run a `flux-tui` command for this home on this host. Return what it prints."""
        return self.host.flux(*arguments, home=self.home.name, timeout=timeout)

    def get(self, ticket: str, path: Path) -> "subprocess.Popen[str]":
        """Start `flux-tui get` for this home on this host."""
        command = [sys.executable, "-m", "flux_tui", "get", ticket, "-o", str(path), "--home", str(self.home)]
        return self.host.start(*command, log=self.log)

    def add(self, path: Path) -> str:
        """Share a file. Return its ticket."""
        return str(json.loads(self.flux("add", "--json", str(path)))["ticket"])

    def derived(self) -> State:
        """Return the state that follows from its series, without a process. Only new entries are read each time."""
        if self._reader is None:
            self._reader = open_series(Home(self.home))
            self._state = fold(self._reader)
        catch_up(self._reader, self._state, None)
        return self._state

    def close(self) -> None:
        """Close the series. The process is the host's to end."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def state(self) -> dict[str, Any]:
        """Return what `flux-tui state --json` prints, without a process."""
        report: dict[str, Any] = state_report(self.derived())
        return report

    def entries(self) -> list[Entry]:
        """Return its series."""
        reader = open_series(Home(self.home))
        try:
            return list(reader.read(0, 1_000_000))
        finally:
            reader.close()

    def have(self) -> int:
        """Return how many bytes of chunks it has."""
        return int(self.state()["chunks"]["bytes"])

    def connected(self) -> list[str]:
        """Return the peers that it is connected to."""
        return [peer["peer_id"] for peer in self.state()["peers"] if peer["connected"]]


class _Link:
    """A process that connects two interfaces."""

    def __init__(self, program: Path, one: Host, name: str, other: Host, port: str, shape: Shape) -> None:
        self._process = subprocess.Popen(
            [str(program), str(one.pid), name, str(other.pid), port],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self._expect("READY")
        self.set(shape)

    def set(self, shape: Shape) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(shape.line())
        self._process.stdin.flush()
        self._expect("SET")

    def _expect(self, word: str) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.readline().strip() == word, "the link's program ended"

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def _ping(pid: int, addr: str, size: int, seconds: float) -> float | None:
    """Ping from the network namespace of a process, in a thread that ends afterwards."""
    six = ":" in addr
    with open(f"/proc/{pid}/ns/net") as space:
        assert ctypes.CDLL(None, use_errno=True).setns(space.fileno(), CLONE_NEWNET) == 0
    kind, proto = (socket.AF_INET6, socket.IPPROTO_ICMPV6) if six else (socket.AF_INET, socket.IPPROTO_ICMP)
    with socket.socket(kind, socket.SOCK_RAW, proto) as sock:
        sock.settimeout(seconds)
        body = struct.pack("!HH", os.getpid() & 0xFFFF, 1) + bytes(size)
        echo = struct.pack("!BBH", 128 if six else 8, 0, 0 if six else _checksum(b"\x08\0\0\0" + body)) + body
        began = time.monotonic()
        try:
            sock.sendto(echo, (addr, 0))
            while time.monotonic() - began < seconds:
                answer = sock.recv(65_536)
                if answer[0 if six else 20 :][4:8] == body[:4] and answer[0 if six else 20] in (0, 129):
                    return time.monotonic() - began
        except OSError:  # no answer in time, or no route
            return None
    return None


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data[: len(data) // 2 * 2])) + (data[-1] << 8) * (
        len(data) % 2
    )
    total = (total >> 16) + (total & 0xFFFF)
    return ~(total + (total >> 16)) & 0xFFFF


def until(what: Callable[[], object], seconds: float) -> float:
    """Wait until a condition holds. Return after how many seconds. Raises AssertionError if it does not in time."""
    began = time.monotonic()
    while not what():
        assert time.monotonic() - began < seconds, f"not within {seconds} s"
        time.sleep(POLL_SECONDS)
    return time.monotonic() - began


@contextmanager
def opened(folder: Path) -> Iterator[Lab]:
    """Open a lab in an existing folder, and close it whatever happens."""
    lab = Lab(folder)
    try:
        yield lab
    finally:
        lab.close()


def _own_namespace(pid: int) -> str:
    """Wait until a process has left this namespace. Return the name of its own."""
    ours, began = os.readlink("/proc/self/ns/net"), time.monotonic()
    while (theirs := _namespace(pid)) in ("", ours):
        assert time.monotonic() - began < START_SECONDS, "no network namespace could be made"
        time.sleep(0.001)
    return theirs


def _namespace(pid: int) -> str:
    try:
        return os.readlink(f"/proc/{pid}/ns/net")
    except OSError:  # it has ended
        return ""


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
