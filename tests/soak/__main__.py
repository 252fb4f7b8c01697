"""See the package. All that it needs is in this repo; it takes root, or user namespaces, on Linux.

Three hosts on a bridge: the node that is looked at, and a node in peace beside it; a holder that both fetch from,
whose address changes every minute; and strangers (tests/soak/strangers.py). Meanwhile the node's wall clock steps by
an hour and by years, it loses and gets an address of its own, and wants by the hundred that nobody can answer are
pushed and cancelled. The node in peace fetches what the node shares. In the first part of the attack, one of the
three nodes is started anew each minute, now in order, now after a kill.

Every minute the node fetches a file. Before and after, it fetches several, and so does the node in peace, in turn
with it. The ratio of the speeds before and after, each divided by the second node's at that moment, is the first
figure: what else the machine does counts for both nodes. Where it does much, the processor time of these fetches,
before and after, tells better whether the node has become slower; it, too, is divided by that of the second node, as
a busy machine has slower processors. How much memory, descriptors and threads grew between the middle and the end of
the attack are the others, for each of the three nodes since it was started last. The disk that their homes take is
judged by its growth in an hour.
"""

import argparse
import contextlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flux_tui.core.ids import raw_cid
from tests.bench.report import Table
from tests.soak.hosts import BRIDGE, Clock, Host, enter_namespace, needs
from tests.soak.samples import Sample, growth, last_run, per_hour, sample, share_of_peace

ADDR = "10.83.0.1"
PORT, QUIET_PORT = 4001, 4002
SECOND_ADDR = "10.83.9.1"
MEASURED = 7
"""How many fetches run before and after the attack."""
FILE_BYTES = 64 << 20
FETCH_SECONDS = 60.0
"""Seconds in which a fetch during the attack has to be whole."""
DEAD = 300
"""How many unanswerable wants are pushed at a time."""
OFFSETS = (3600, 0, -3600, 0, 126_000_000, 0, -40, 400)
"""The offsets of the wall clock, in turn."""
SAMPLE_SECONDS = 5.0
RESTARTS = 0.35
"""The part of the attack, from its beginning, in which nodes are started anew."""
DISK_AT_ONCE = 10.0
"""MiB by which each home may grow besides: entries that do not fill a segment yet, and the database's log."""
DISK_PER_HOUR = 60.0
"""MiB by which each home may grow in an hour. What strangers may cause in one is below 84 MiB as it is priced, and
takes a sixth of that on disk."""
SHARED_BYTES = 4 << 20
"""Bytes of the file that the node shares each minute, and the node in peace fetches."""


class Machine:
    """A home, its node and its command line, on one host."""

    def __init__(self, home: Path, prefix: list[str], environment: dict[str, str]) -> None:
        self.home = home
        self._prefix = prefix
        self._environment = os.environ | environment
        self.process: subprocess.Popen[str]
        self.told: dict[str, object] = {}
        self.samples: list[Sample] = []
        self._flags: tuple[str, ...] = ()
        self._starts = 0

    def start(self, *flags: str) -> None:
        self._flags = flags
        self._starts += 1
        with self.home.with_suffix(".log").open("ab") as log:
            command = [
                sys.executable,
                "-m",
                "flux_tui",
                "node",
                "--home",
                str(self.home),
                "--no-mdns",
                *flags,
            ]
            self.process = subprocess.Popen(
                [*self._prefix, *command],
                stdout=subprocess.PIPE, stderr=log, text=True, stdin=subprocess.DEVNULL, env=self._environment,
                start_new_session=True,
            )  # fmt: skip
        assert self.process.stdout is not None
        self.told = json.loads(self.process.stdout.readline())

    def run(
        self, *arguments: str, given: str | None = None, seconds: float = 120
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [*self._prefix, sys.executable, "-m", "flux_tui", *arguments, "--home", str(self.home)],
            capture_output=True, text=True, timeout=seconds, input=given, env=self._environment,
        )  # fmt: skip

    def restart(self, *, kill: bool) -> None:
        """End the node, in order or by SIGKILL, and start it again."""
        if kill:
            self.process.kill()
        self.close()
        self.start(*self._flags)

    def sample(self) -> Sample:
        """Sample the node's process. Raises AssertionError if it has ended."""
        if self.process.poll() is not None:
            raise AssertionError(f"a node ended: {self.home.with_suffix('.log').read_text()[-2000:]}")
        self.samples.append(sample(self.process.pid, self.home, self._starts))
        return self.samples[-1]

    def cpu(self) -> float:
        """Seconds of processor that its node has used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()


class Soak:
    """One soak of the node, from start to end."""

    def __init__(self, folder: Path, minutes: float, stack: contextlib.ExitStack) -> None:
        self._folder = folder
        self._minutes = minutes
        self._clock = Clock(folder)
        subprocess.run(["ip", "addr", "add", f"{ADDR}/16", "dev", BRIDGE], check=True)
        self._holder_host, self._strangers_host = Host("holder", "10.83.1.1"), Host("others", "10.83.2.1")
        stack.callback(self._holder_host.close)
        stack.callback(self._strangers_host.close)
        self._node = Machine(folder / "node", [], self._clock.environment)
        self._quiet = Machine(folder / "quiet", [], {})
        """A node that nobody attacks: what the machine can do at the moment."""
        self._holder = Machine(folder / "holder", self._holder_host.prefix, {})
        for machine, port in ((self._node, PORT), (self._quiet, QUIET_PORT), (self._holder, PORT)):
            machine.start("--listen", f"/ip4/0.0.0.0/tcp/{port}")
            stack.callback(machine.close)
        self._all = {"node": self._node, "node in peace": self._quiet, "holder": self._holder}
        self._files = 0
        self._restarts = 0
        self._dead: list[str] = []
        self.fetched: list[float] = []
        """The seconds of each fetch during the attack."""
        self.late = 0

    def run(self, table: Table) -> None:
        self._fetch()
        self._fetch(self._quiet)
        before, spent_before = self._measure()
        root = self._share()["root"]
        seconds = self._minutes * 60
        strangers = subprocess.Popen(
            [*self._strangers_host.prefix, sys.executable, "-m", "tests.soak.strangers",
             f"/ip4/{ADDR}/tcp/{PORT}/p2p/{self._node.told['peer_id']}", root, str(seconds)],
            stderr=(self._folder / "strangers.log").open("ab"),
        )  # fmt: skip
        try:
            self._attack(seconds)
        finally:
            strangers.terminate()
            strangers.wait()
        self._clock.step(0)
        try:
            after, spent_after = self._measure()
        except LateFetchError as error:
            print(f"after the attack: {error}")
            after, spent_after = [(FETCH_SECONDS, 1.0)], [(FETCH_SECONDS, 1.0)]
        megabytes = FILE_BYTES / 1e6
        for when, pairs in (("before", before), ("after", after)):
            table.add(f"fetches {when}", [megabytes / ours for ours, _ in pairs], "MB/s")
            table.add(f"of the node in peace {when}", [megabytes / quiet for _, quiet in pairs], "MB/s")
        table.add("after / before", share_of_peace(after) / share_of_peace(before), "x", least=0.8)
        for when, pairs in (("before", spent_before), ("after", spent_after)):
            table.add(f"processor time of a fetch {when}", [ours for ours, _ in pairs], "s")
            table.add(f"of the node in peace {when}", [quiet for _, quiet in pairs], "s")
        less = share_of_peace(spent_after) / share_of_peace(spent_before)
        table.add("processor time before / after", less, "x", least=0.8)
        table.add("fetches in the attack", self.fetched or [0.0], "s")
        table.add("of these, not whole in a minute", self.late, "", most=0)
        table.add("nodes started anew", self._restarts, "")
        mib = 2.0**20
        for name, machine in self._all.items():
            samples, run = machine.samples, last_run(machine.samples)
            table.add(f"{name}: resident at most", max(one.rss for one in samples) / mib, "MiB", most=300)
            table.add(f"{name}: memory grew by", growth(run, lambda one: one.rss / mib), "MiB", most=12)
            table.add(f"{name}: descriptors grew by", growth(run, lambda one: one.descriptors), "", most=20)
            table.add(f"{name}: threads grew by", growth(run, lambda one: one.threads), "", most=2)
            table.add(f"{name}: disk", samples[-1].disk / mib, "MiB")
            grown = per_hour(samples, lambda one: one.disk / mib) * self._minutes / 60
            allowed = DISK_AT_ONCE + DISK_PER_HOUR * self._minutes / 60
            table.add(f"{name}: disk grew by", grown, "MiB", most=round(allowed, 1))
        table.add("node: descriptors at the end", self._settled().descriptors, "", most=120)

    def _attack(self, seconds: float) -> None:
        start = time.monotonic()
        next_sample = next_minute = start
        turn = 0
        while (now := time.monotonic()) < start + seconds:
            if now >= next_sample:
                for machine in self._all.values():
                    machine.sample()
                next_sample = now + SAMPLE_SECONDS
            if now >= next_minute:
                if turn and now < start + RESTARTS * seconds:
                    self._restart()
                self._turn(turn)
                turn += 1
                next_minute = now + 60
            time.sleep(0.2)

    def _turn(self, turn: int) -> None:
        """Run the actions of each minute."""
        self._clock.step(OFFSETS[turn % len(OFFSETS)])
        self._holder_host.move(f"10.83.1.{turn % 200 + 2}")
        verb = "add" if turn % 2 == 0 else "del"
        subprocess.run(["ip", "addr", verb, f"{SECOND_ADDR}/16", "dev", BRIDGE], check=True)
        if self._dead:
            self._node.run("cancel", *self._dead)
        self._dead = [raw_cid(random.randbytes(16)) for _ in range(DEAD)]
        self._node.run("want", "-", given="\n".join(self._dead))
        try:
            self.fetched.append(self._fetch())
            self._fetch(self._quiet, self._node, SHARED_BYTES)
            word = f"{self.fetched[-1]:.1f} s"
        except LateFetchError as error:
            self.late += 1
            word = str(error)
        taken = [machine.sample() for machine in self._all.values()]
        figures = "; ".join(
            f"{one.rss >> 20} MiB, {one.descriptors} descriptors, {one.threads} threads, {one.disk / 1e6:.1f} MB"
            for one in taken
        )
        print(f"minute {turn}: fetched in {word}; {figures}", flush=True)

    def _restart(self) -> None:
        """Start one of the three nodes anew, each in its turn, every second time after a kill."""
        machine = list(self._all.values())[self._restarts % len(self._all)]
        machine.restart(kill=self._restarts % 2 == 1)
        self._restarts += 1

    def _share(self, sharer: Machine | None = None, size: int = FILE_BYTES) -> dict[str, str]:
        """Share a new file at the holder, or at another node. Return its root and its ticket."""
        self._files += 1
        path = self._folder / f"{self._files}.bin"
        path.write_bytes(random.randbytes(size))
        done = (sharer or self._holder).run("add", "--json", str(path))
        if done.returncode:
            raise LateFetchError(f"add: {done.stderr.strip()}")
        told: dict[str, str] = json.loads(done.stdout)
        return told

    def _measure(self) -> tuple[list[tuple[float, float]], list[tuple[float, float]]]:
        """Seconds of fetches of the node, and of the node in peace: in pairs, either of them first in turn. And
        the processor time of the two nodes for each of these fetches."""
        pairs: list[tuple[float, float]] = []
        spent: list[tuple[float, float]] = []
        for number in range(MEASURED):
            both: dict[str, tuple[float, float]] = {}
            for machine in (self._quiet, self._node) if number % 2 else (self._node, self._quiet):
                began = machine.cpu()
                seconds = self._fetch(machine)
                both[machine.home.name] = seconds, machine.cpu() - began
            (ours, our_cpu), (quiet, quiet_cpu) = both[self._node.home.name], both[self._quiet.home.name]
            pairs.append((ours, quiet))
            spent.append((max(our_cpu, 0.01), max(quiet_cpu, 0.01)))
        return pairs, spent

    def _fetch(
        self, node: Machine | None = None, sharer: Machine | None = None, size: int = FILE_BYTES
    ) -> float:
        """Seconds of a fetch of something new, by the node from the holder, or by another from another."""
        shared = self._share(sharer, size)
        target = self._folder / f"{self._files}.out"
        who = (node or self._node).home.name
        start = time.monotonic()
        try:
            done = (node or self._node).run("get", shared["ticket"], "-o", str(target), seconds=FETCH_SECONDS)
        except subprocess.TimeoutExpired:
            raise LateFetchError(f"{who}: not in {FETCH_SECONDS:.0f} s") from None
        took = time.monotonic() - start
        if done.returncode:
            raise LateFetchError(f"{who}: {done.stderr.strip().splitlines()[-1]}")
        source = self._folder / f"{self._files}.bin"
        assert target.read_bytes() == source.read_bytes()
        for path in (target, source):
            path.unlink()
        return took

    def _settled(self) -> Sample:
        """Wait until the node has closed the connections of the strangers, at most a minute."""
        end = time.monotonic() + 60
        while (found := self._node.sample()).descriptors > 120 and time.monotonic() < end:
            time.sleep(1)
        return found


class LateFetchError(Exception):
    """A fetch during the attack was not whole in time."""


def main() -> int:
    options = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    options.add_argument("--minutes", type=float, default=30.0)
    options.add_argument("--json", type=Path, default=None, metavar="FILE")
    given = options.parse_args()
    if lacking := needs():
        options.error(lacking)
    status = enter_namespace("tests.soak", sys.argv[1:])
    if status is not None:
        return status
    folder = Path(tempfile.mkdtemp(prefix="flux-soak-"))
    table = Table(f"Three nodes, one of them among strangers, for {given.minutes:g} minutes")
    try:
        with contextlib.ExitStack() as stack:
            Soak(folder, given.minutes, stack).run(table)
        return table.show(given.json)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
