"""The part `pushes` of tests.bench.growth: what `want -` costs with many CIDs that nobody has.

A real node and a peer on loopback. The processor time is that of the command and of the node together.
"""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from tests.bench.announcing import Count, series_bytes
from tests.bench.growth import Growth
from tests.bench.nodes import Node, running, wait_for

WANTS = (1_000, 10_000, 100_000)
SECONDS = 300.0
"""Seconds until all wants have to be pending."""


class Pushed(NamedTuple):
    """What one `want -` costs."""

    seconds: float
    """Seconds until the command returns."""
    cpu: float
    rss: float
    """Bytes by which the node's memory grows."""
    series: float
    """Bytes by which its home grows."""


class Wanted(Count):
    """Counts the wants that a node has taken."""

    kind = ev.Requested


def _children_cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def push(count: int) -> Pushed:
    """Push `count` wants that nobody can answer, and wait until all of them are pending."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        node, peer = Node(folder / "a"), Node(folder / "b")
        text = "\n".join(raw_cid(os.urandom(16)) for _ in range(count))
        with running(node, peer):
            Home(peer.home).push(cmd.Join(node.addrs[0]))
            time.sleep(1)  # the nodes have started their other tasks
            cpu, rss, series = node.cpu(), node.rss(), series_bytes(node.home)
            others, start = _children_cpu(), time.monotonic()
            command = [sys.executable, "-m", "flux_tui", "want", "-", "--home", str(node.home)]
            subprocess.run(command, input=text, text=True, capture_output=True, check=True)
            seconds, spent = time.monotonic() - start, _children_cpu() - others
            wanted = Wanted(node.home)
            wait_for(lambda: wanted.count() == count, SECONDS, every=0.5)
            return Pushed(
                seconds, spent + node.cpu() - cpu, node.rss() - rss, series_bytes(node.home) - series
            )
    finally:
        shutil.rmtree(folder)


def measure(growth: Growth) -> None:
    """Add the rows of pushes."""
    runs = {count: push(count) for count in WANTS}
    growth.curve("`want -` returns", {count: run.seconds for count, run in runs.items()}, "s", of="wants")
    cpu = {count: run.cpu for count, run in runs.items()}
    growth.curve("processor time of it", cpu, "s", of="wants", most={100_000: 15.0}, exponent=1.05)
    growth.add("memory of a want of 100,000", runs[100_000].rss / 100_000, "B", most=4096)
    growth.add("series and database of a want of 100,000", runs[100_000].series / 100_000, "B", most=400)
