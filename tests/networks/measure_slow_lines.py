"""Slow and long lines: how long a file takes, beside the time that the line or curl takes for it."""

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.series import events as ev
from tests.support.network_lab import Host, Lab, LabNode, Shape, until

MIB = 1 << 20
PACKET, HEADERS = 1500, 52
"""Bytes of a full packet, and those of its IP and TCP headers."""
FRAME = 14
"""Bytes of an Ethernet header, which the lab's links count as well."""
SLOW = 256_000 / 8
"""Bytes a second of a slow uplink."""
WIDE_RATE = 100e6 / 8
WIDE_BYTES = {0.0: 32 * MIB, 0.001: 32 * MIB, 0.01: 32 * MIB}
"""The size of the file, by the share of packets that are lost."""
ROUND_TRIPS = (0.05, 0.1, 0.2)
BLAMES = (ev.LeaseLapsed, ev.PeerFaulted, ev.ChunkWasted, ev.PeerDisconnected)
"""Entries that say that another node did wrong, or that its bytes were of no use."""


class Fetched(NamedTuple):
    """What one getter saw."""

    seconds: float
    """From the wish to the whole file."""
    factor: float
    """Bytes received for each unique byte."""
    blames: int
    """Entries by which it blames another node."""


def a_file(lab: Lab, size: int, name: str = "film") -> Path:
    """Make a file of random bytes."""
    path = lab.folder / name
    path.write_bytes(os.urandom(size))
    return path


def wire_seconds(size: int, rate: float) -> float:
    """Return the seconds that a line of `rate` bytes/s takes for a file in full packets of TCP."""
    return size * (PACKET + FRAME) / (PACKET - HEADERS) / rate


def fetched_by(node: LabNode) -> Fetched:
    """Return what a getter saw."""
    entries = node.entries()
    began = next(entry.at for entry in entries if isinstance(entry.event, ev.Requested))
    ended = next(entry.at for entry in entries if isinstance(entry.event, ev.ObjectCompleted))
    blames = sum(
        isinstance(entry.event, BLAMES) and getattr(entry.event, "cause", "") != "moved" for entry in entries
    )
    return Fetched(ended - began, node.derived().duplicate_factor, blames)


def fetch_over_uplink(lab: Lab, rate: float, size: int, getters: int) -> tuple[list[Fetched], float]:
    """Fetch a file from one holder with an uplink of `rate` bytes/s.

    Return what each getter saw, and how many times the size of the file the holder sent.
    """
    lan = lab.lan("10.1.0.0/24")
    host = lab.host("holder")
    host.plug(lan, shape=Shape(delay=0.02, rate=rate, back_rate=1e6, queue=1.0))
    holder = host.node("--no-mdns")
    ticket = holder.add(a_file(lab, size))
    nodes = []
    for number in range(getters):
        other = lab.host(f"getter{number}")
        other.plug(lan)
        nodes.append(other.node("--no-mdns"))
    processes = [node.get(ticket, lab.folder / f"copy{number}") for number, node in enumerate(nodes)]
    for process in processes:
        process.wait(timeout=30 + 3 * getters * wire_seconds(size, rate))
        assert process.returncode == 0, "a getter gave up"
    sent = sum(peer["bytes_out"] for peer in holder.state()["peers"]) / size
    return [fetched_by(node) for node in nodes], sent


def uplink_one(lab: Lab) -> str:
    """A file of 4 MiB over an uplink of 256 kbit/s, one getter."""
    return _uplink(lab, 1)


def uplink_three(lab: Lab) -> str:
    """The same, three getters that are not told of each other."""
    return _uplink(lab, 3)


def _uplink(lab: Lab, getters: int) -> str:
    alone = wire_seconds(4 * MIB, SLOW)
    seen, sent = fetch_over_uplink(lab, SLOW, 4 * MIB, getters)
    slowest = max(one.seconds for one in seen)
    return (
        f"{slowest:.0f} s: {slowest / (getters * alone):.2f} of the line's {getters} × {alone:.0f} s; "
        f"the holder sent {sent:.2f} × the file; at most {max(one.factor for one in seen):.3f} received for "
        f"each unique byte; {sum(one.blames for one in seen)} blames"
    )


def wide_area(lab: Lab) -> str:
    """A file of 32 MiB over 100 Mbit/s with a round trip of 50, 100, 200 ms and 0, 0.1, 1 % loss, beside curl."""
    lan = lab.lan("10.1.0.0/24")
    one, other = lab.host("holder"), lab.host("getter")
    one.plug(lan)
    cable = other.plug(lan, shape=Shape(rate=WIDE_RATE))
    holder = one.node("--no-mdns")
    cells = []
    with _web_server(one, lab.folder) as address:
        for number, (round_trip, loss) in enumerate((r, share) for r in ROUND_TRIPS for share in WIDE_BYTES):
            path = a_file(lab, WIDE_BYTES[loss], f"film{number}")
            ticket = holder.add(path)
            cable.shape(Shape(rate=WIDE_RATE, delay=round_trip / 2, loss=loss, queue=max(round_trip, 0.1)))
            by_curl = _curl(other, f"http://{address}/{path.name}")
            getter = other.node("--no-mdns", home=f"getter{number}")
            getter.get(ticket, lab.folder / f"copy{number}").wait(timeout=600)
            seen = fetched_by(getter)
            getter.stop()
            assert seen.factor <= 1.02, f"{seen.factor:.3f} received for each unique byte"
            assert (lab.folder / f"copy{number}").read_bytes() == path.read_bytes()
            cell = f"{round_trip * 1000:.0f} ms, {loss:.1%}: {seen.seconds:.1f} s, curl {by_curl:.1f} s"
            print(f"{cell}; {seen.factor:.3f} received for each unique byte", file=sys.stderr, flush=True)
            cells.append(cell)
    return "; ".join(cells)


@contextmanager
def _web_server(host: Host, folder: Path) -> Iterator[str]:
    """Serve a folder by HTTP on a host. Yields the address and port."""
    addr = host.cables[0].lan.subnets[0][2] if host.cables[0].lan is not None else ""
    server = host.start(sys.executable, "-m", "http.server", "8000", "--directory", str(folder))
    try:
        until(lambda: _answers(host, f"{addr}:8000"), 20)
        yield f"{addr}:8000"
    finally:
        server.kill()
        server.wait()


def _answers(host: Host, address: str) -> bool:
    command = [*host.prefix, "curl", "-s", "-o", "/dev/null", f"http://{address}/"]
    return subprocess.run(command, check=False).returncode == 0


def _curl(host: Host, url: str) -> float:
    """Fetch a file with curl. Return the seconds."""
    began = time.monotonic()
    host.run("curl", "-s", "-S", "-o", "/dev/null", url, timeout=600)
    return time.monotonic() - began


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "uplink_one": uplink_one,
    "uplink_three": uplink_three,
    "wide_area": wide_area,
}
