"""A folder of small files: how long an add and a get of it take, flat and five levels deep.

python -m tests.bench.small_files [--count N] [--json FILE]

Its folders are removed at the end, all together. ext4 gives no number of a file again in the minute after the file was
removed, and looks at each of them when a file is created: with 20,000 such numbers, 10,000 new files took 1.2 to 4.3 s
of processor time instead of 0.2 s. So a run that had just removed the files of the last one would measure that.
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader
from tests.bench.nodes import LateError, Node, running
from tests.bench.report import Table, parser

T = TypeVar("T")
SIZE = 1024
LEVELS, BRANCHES = 5, 4
"""The deep folder has five levels of folders, with four folders in each, and the files in the 1,024 innermost."""


def make_folder(source: Path, count: int, *, deep: bool) -> None:
    """Make a folder with `count` files of SIZE random bytes."""
    innermost = BRANCHES**LEVELS
    for number in range(count):
        folder = source
        if deep:
            path = number % innermost
            for _ in range(LEVELS):
                path, branch = divmod(path, BRANCHES)
                folder /= f"folder{branch}"
        if number < innermost or not deep:
            folder.mkdir(parents=True, exist_ok=True)
        (folder / f"file{number:06}").write_bytes(os.urandom(SIZE))


class Run:
    """The seconds, processor seconds and written bytes of one add and one get of a folder."""

    def __init__(self, source: Path, folder: Path, seconds: float = 600) -> None:
        self.size = sum(path.stat().st_size for path in source.rglob("*") if path.is_file())
        holder, getter = Node(folder / "a"), Node(folder / "b")
        with running(holder, getter):
            time.sleep(1)  # the nodes have started their other tasks
            cpu, written = holder.cpu(), holder.written()
            start = time.time()
            Home(holder.home).push(cmd.Add(str(source)))
            added, at = await_event(holder.home, ev.ObjectAdded, seconds)
            self.add = at - start
            self.add_cpu = holder.cpu() - cpu
            self.add_written = (holder.written() - written) / self.size
            cpu, written = holder.cpu(), getter.written()
            before = getter.cpu()
            start = time.time()
            home = Home(getter.home)
            home.push(
                cmd.Get(Cid(added.root), str(folder / "out"), "", self.size, tuple(holder.addrs), "bench")
            )
            _, at = await_event(getter.home, ev.ObjectCompleted, seconds)
            self.get = at - start
            time.sleep(0.2)
            self.holder_cpu, self.getter_cpu = holder.cpu() - cpu, getter.cpu() - before
            self.get_written = (getter.written() - written) / self.size


def await_event(home: Path, kind: type[T], seconds: float, by: str | None = None) -> tuple[T, float]:
    """Wait for an event of a kind, with the mark `by` if one is given. Return the event, and its time."""
    reader = SeriesReader.open(home / "flux.db")
    try:
        seq = 0
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for entry in _new(reader, seq):
                seq = entry.seq
                if isinstance(entry.event, kind) and by in (None, getattr(entry.event, "by", None)):
                    return entry.event, entry.at
            time.sleep(0.05)
    finally:
        reader.close()
    raise LateError(f"not within {seconds} s")


def _new(reader: SeriesReader, seq: int) -> Iterator[Entry]:
    while reader.last_seq() > seq:
        page = reader.read(seq, 10_000)
        seq = page[-1].seq
        yield from page


def tar_seconds(source: Path, folder: Path) -> float:
    """Return the seconds that `tar` takes to pack and unpack the folder through a pipe: the yardstick."""
    target = folder / "untarred"
    target.mkdir()
    start = time.perf_counter()
    subprocess.run(f"tar -C '{source}' -cf - . | tar -C '{target}' -xf -", shell=True, check=True)
    return time.perf_counter() - start


def measure(inside: Path, count: int, *, deep: bool) -> tuple[Run, float]:
    """Measure in a new folder in `inside`, which stays. Return the run, and the seconds that tar took."""
    folder = Path(tempfile.mkdtemp(dir=inside))
    source = folder / "source"
    make_folder(source, count, deep=deep)
    return Run(source, folder), tar_seconds(source, folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--count", type=int, default=10_000)
    given = options.parse_args()
    flat, deep, tar = [], [], []
    inside = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        for _ in range(given.runs):
            run, seconds = measure(inside, given.count, deep=False)
            flat.append(run)
            tar.append(seconds)
            deep.append(measure(inside, given.count, deep=True)[0])
    finally:
        shutil.rmtree(inside)
    load = os.getloadavg()[0]
    table = Table(f"A folder of {given.count:,} files of 1 KiB, one holder, one requester; load {load:.1f}")
    table.add("tar through a pipe", tar, "s")
    rows = (("flat", flat, 0.6, 1.0), ("five levels deep", deep, None, None))
    for name, runs, most_add, most_get in rows:
        table.add(f"{name}: add", [run.add for run in runs], "s", most=most_add)
        table.add(f"{name}: add, processor", [run.add_cpu for run in runs], "s")
        table.add(f"{name}: add, written / size", [run.add_written for run in runs], "x")
        table.add(f"{name}: get", [run.get for run in runs], "s", most=most_get)
        table.add(f"{name}: get, processor of the holder", [run.holder_cpu for run in runs], "s")
        table.add(f"{name}: get, processor of the requester", [run.getter_cpu for run in runs], "s")
        table.add(f"{name}: get, written / size", [run.get_written for run in runs], "x", most=4)
    ratios = [one.get / other.get for one, other in zip(deep, flat, strict=True)]
    table.add("get: five levels deep / flat", ratios, "x", most=2)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
