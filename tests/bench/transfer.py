"""One holder to one requester, two processes on loopback, verified and in the store; beside the raw stream.

python -m tests.bench.transfer [--size MIB] [--json FILE]
"""

import json
import os
import shutil
import sys
import tempfile
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader
from tests.bench import raw_stream
from tests.bench.nodes import Node, flux, running, wait_for
from tests.bench.report import Table, parser

BLOCK = 16 << 20


def make_file(path: Path, size: int) -> None:
    """Make a file of random bytes."""
    with path.open("wb") as file:
        for start in range(0, size, BLOCK):
            file.write(os.urandom(min(BLOCK, size - start)))


class Transfer:
    """The costs of one transfer of a file. The homes of its nodes are in the folder.

    The processor time is that of the transfer alone, without the start of the nodes and the add.
    """

    def __init__(self, source: Path, folder: Path, seconds: float = 600) -> None:
        size = source.stat().st_size
        holder, asker = Node(folder / "a"), Node(folder / "b")
        with running(holder, asker):
            added = json.loads(flux("add", "--json", str(source), home=holder.home).stdout)
            before, cpu = asker.written(), (holder.cpu(), asker.cpu())
            root = Cid(added["root"])
            Home(asker.home).push(
                cmd.Get(root, str(folder / "out.bin"), "big.bin", size, tuple(added["addrs"]), "bench")
            )
            reader = SeriesReader.open(asker.home / "flux.db")

            def done() -> bool:
                last = reader.read(max(0, reader.last_seq() - 5), 10)
                return any(isinstance(entry.event, ev.ObjectCompleted) for entry in last)

            wait_for(done, seconds=seconds, every=0.02)
            entries = reader.read(0, 1_000_000)
            start = next(e.at for e in entries if isinstance(e.event, ev.Requested))
            end = next(e.at for e in entries if isinstance(e.event, ev.ObjectCompleted))
            reader.close()
            self.rate = size / (end - start) / 1e6
            self.rss = max(holder.peak_rss(), asker.peak_rss()) / 2**20
            self.written = (asker.written() - before) / size
            self.cpu = (holder.cpu() - cpu[0], asker.cpu() - cpu[1])
        assert (folder / "out.bin").stat().st_size == size


def measure(size: int) -> Transfer:
    """Measure in a temporary folder."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        source = folder / "big.bin"
        make_file(source, size)
        return Transfer(source, folder)
    finally:
        shutil.rmtree(folder)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=256, metavar="MIB")
    given = options.parse_args()
    size = given.size << 20
    raws, transfers = [], []
    for _ in range(given.runs):  # in turn, so that drift of the machine affects both
        raws.append(raw_stream.measure(size))
        transfers.append(measure(size))
    table = Table(f"A file of {given.size} MiB, one holder, one requester, two processes on loopback")
    table.add("raw tuned stream", [raw.rate for raw in raws], "MB/s")
    table.add("file, verified and stored", [one.rate for one in transfers], "MB/s")
    ratios = [one.rate / raw.rate for one, raw in zip(transfers, raws, strict=True)]
    table.add("file / raw stream", ratios, "x", least=0.6)
    table.add("resident at most", [one.rss for one in transfers], "MiB", most=250)
    table.add("written / size", [one.written for one in transfers], "x", most=1.1)
    table.add("processor time of the holder", [one.cpu[0] for one in transfers], "s")
    table.add("processor time of the requester", [one.cpu[1] for one in transfers], "s")
    table.add("processor time of the raw stream's two", [raw.cpu for raw in raws], "s")
    ratios = [sum(one.cpu) / raw.cpu for one, raw in zip(transfers, raws, strict=True)]
    table.add("processor time: file / raw stream", ratios, "x")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
