"""Real nodes in separate processes, on loopback, for benchmarks and end-to-end tests."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

LISTEN = ("--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns")
START_SECONDS = 30


class LateError(AssertionError):
    """A condition did not hold in time."""


class Node:
    """A `flux-tui node` process with its own home."""

    def __init__(self, home: Path, *flags: str) -> None:
        self.home = home
        self.flags = flags
        self.process: subprocess.Popen[str]
        self.peer_id = ""
        self.addrs: list[str] = []

    def start(self) -> None:
        """Start the node, and wait until it listens."""
        log = self.home.with_name(self.home.name + ".log").open("ab")
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flux_tui", "node", "--home", str(self.home), *LISTEN, *self.flags],
            stdout=subprocess.PIPE, stderr=log, text=True, stdin=subprocess.DEVNULL,
            start_new_session=True,  # as the dashboard starts one
        )  # fmt: skip
        log.close()
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, f"the node did not start: {self.home.with_name(self.home.name + '.log').read_text()}"
        told = json.loads(line)
        self.peer_id, self.addrs = told["peer_id"], told["addrs"]

    def kill(self) -> None:
        """Kill it with SIGKILL."""
        self.process.kill()
        self._reap()

    def stop(self) -> int:
        """Stop it in order. Return the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self._reap()

    def _reap(self) -> int:
        status = self.process.wait(timeout=30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return status

    def rss(self) -> int:
        """The resident bytes now."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def peak_rss(self) -> int:
        """The highest number of resident bytes."""
        with open(f"/proc/{self.process.pid}/status") as file:
            return next(int(line.split()[1]) << 10 for line in file if line.startswith("VmHWM"))

    def written(self) -> int:
        """The bytes that this process has written to disk or page cache so far."""
        with open(f"/proc/{self.process.pid}/io") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("wchar"))

    def read(self) -> int:
        """The bytes that this process has read from disk or page cache so far."""
        with open(f"/proc/{self.process.pid}/io") as file:
            return next(int(line.split()[1]) for line in file if line.startswith("rchar"))

    def cpu(self) -> float:
        """The seconds of processor time used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(*nodes: Node) -> Iterator[None]:
    """Run these nodes while the context lasts."""
    started: list[Node] = []
    try:
        for node in nodes:
            node.start()
            started.append(node)
        yield
    finally:
        for node in started:
            if node.process.poll() is None:
                node.stop()
            else:
                node._reap()  # it ended by itself, and its pipe must still be closed


def flux(*arguments: str, home: Path | None = None, check: bool = True) -> subprocess.CompletedProcess[str]:
    """Run one command of the command line."""
    at = ["--home", str(home)] if home is not None else []
    result = subprocess.run(
        [sys.executable, "-m", "flux_tui", *arguments, *at], capture_output=True, text=True, timeout=300
    )
    assert not check or result.returncode == 0, result.stderr
    return result


def state(home: Path) -> dict[str, Any]:
    """Return the state of a home."""
    found: dict[str, Any] = json.loads(flux("state", "--json", home=home).stdout)
    return found


def wait_for(what: Any, seconds: float = 60.0, every: float = 0.02) -> float:
    """Wait until `what()` is true. Return the seconds that took."""
    start = time.monotonic()
    while not what():
        if time.monotonic() - start >= seconds:
            raise LateError(f"not within {seconds} s")
        time.sleep(every)
    return time.monotonic() - start
