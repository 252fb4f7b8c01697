"""The part `adding` of tests.bench.growth: what an add of a folder reads that was added before.

One node in a process of its own. What it reads is counted by the system (`rchar`), its database included.
"""

import os
import tempfile
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from tests.bench import small_files, transfer
from tests.bench.growth import Growth
from tests.bench.nodes import Node, running

FILES, FILE_BYTES = 8, 32 << 20
SMALL = 10_000
"""Files of 1 KiB beside the large ones."""
SETTLED_SECONDS = 2.5
"""Seconds after which the stat of a file proves that nobody changed it, on any file system."""


def measure(growth: Growth) -> None:
    """Add a folder, add it again unchanged, with one file changed, and with all of it verified."""
    with tempfile.TemporaryDirectory(prefix="flux-bench-") as name:
        _measure(growth, Path(name))


def _measure(growth: Growth, inside: Path) -> None:
    source = inside / "source"
    small_files.make_folder(source / "small", SMALL, deep=False)
    for number in range(FILES):
        transfer.make_file(source / f"large{number}", FILE_BYTES)
    size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
    time.sleep(SETTLED_SECONDS)
    node = Node(inside / "home")
    with running(node):
        adds = Adds(node, source)
        first, read = adds.add()
        growth.add("add of a folder of 256 MiB in 8 files and 10,000 of 1 KiB", first, "s")
        growth.add("read / size", read / size, "x", least=1)
        time.sleep(SETTLED_SECONDS)
        again, read = adds.add()
        growth.add("the same again, unchanged", again, "s", most=first)
        growth.add("unchanged: read / size", read / size, "x", most=0.05)
        with (source / "large0").open("r+b") as file:
            file.write(os.urandom(1000))
        changed, read = adds.add()
        growth.add("with one of the large files changed", changed, "s", most=first)
        growth.add("one changed: read / its size", read / FILE_BYTES, "x", least=1, most=1.4)
        verified, read = adds.add(verify=True)
        growth.add("with --verify", verified, "s")
        growth.add("--verify: read / size", read / size, "x", least=1)


class Adds:
    """The adds of one folder by one node, one after the other."""

    def __init__(self, node: Node, source: Path) -> None:
        self._node = node
        self._source = source
        self._count = 0

    def add(self, *, verify: bool = False) -> tuple[float, int]:
        """Add the folder. Return the seconds that took, and the bytes that the node read."""
        self._count += 1
        mark = f"add {self._count}"
        before, start = self._node.read(), time.time()
        Home(self._node.home).push(cmd.Add(str(self._source), mark, verify))
        added, at = small_files.await_event(self._node.home, ev.ObjectAdded, 60, mark)
        assert added.path == str(self._source)
        return at - start, self._node.read() - before
