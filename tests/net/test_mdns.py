"""Nodes on the same local network find each other: two network namespaces joined by a cable."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.nodes import flux, state, wait_for

pytestmark = pytest.mark.netns

NETWORK = "10.213.77"


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`."""
    tool = shutil.which("ip")
    if tool is None or os.geteuid() != 0:
        pytest.fail("network namespaces need root and iproute2's `ip`: run as root, or with -m 'not netns'")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"`ip {' '.join(arguments)}` failed, which this test needs: {done.stderr.strip()}")


@pytest.fixture
def rooms() -> Iterator[tuple[str, str]]:
    """Two namespaces, as two machines: each has one cable, to the other one, and nothing else."""
    names = (f"flux-{os.getpid()}-a", f"flux-{os.getpid()}-b")
    cables = (f"fx{os.getpid()}a", f"fx{os.getpid()}b")
    with ExitStack() as stack:
        for name in names:
            ip("netns", "add", name)
            stack.callback(ip, "netns", "del", name)  # its end of the cable goes with it
        ip("link", "add", cables[0], "type", "veth", "peer", "name", cables[1])
        for number, (name, cable) in enumerate(zip(names, cables, strict=True), 1):
            ip("link", "set", cable, "netns", name)
            ip("-n", name, "addr", "add", f"{NETWORK}.{number}/24", "dev", cable)
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "link", "set", cable, "up")
            ip("-n", name, "route", "add", "224.0.0.0/4", "dev", cable)
        yield names


class Machine:
    """`flux-tui node` in a namespace, on all of its addresses, with mDNS."""

    def __init__(self, room: str, home: Path) -> None:
        self.home = home
        self.log = home.with_suffix(".log").open("wb")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", room, sys.executable, "-m", "flux_tui", "node", "--home", str(home)],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, home.with_suffix(".log").read_text()
        self.told = json.loads(line)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()


def test_two_machines_find_each_other_and_a_file_crosses(rooms: tuple[str, str], tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "film.mkv").write_bytes(data)
    with ExitStack() as stack:
        a, b = (Machine(room, tmp_path / room[-1]) for room in rooms)
        for machine in (a, b):
            stack.callback(machine.stop)
        assert f"/ip4/{NETWORK}.1/" in a.told["addrs"][0], "the address that others can reach comes first"
        wait_for(lambda: any(peer["connected"] for peer in state(b.home)["peers"]))
        (peer,) = state(b.home)["peers"]
        assert peer["peer_id"] == a.told["peer_id"]
        added = json.loads(flux("add", "--json", str(tmp_path / "film.mkv"), home=a.home).stdout)
        flux("get", added["root"], "-o", str(tmp_path / "copy.mkv"), home=b.home)
        assert (tmp_path / "copy.mkv").read_bytes() == data
        assert not state(a.home)["errors"] + state(b.home)["errors"], "not even one address that fails"
