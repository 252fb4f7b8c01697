"""The same file and the same small blocks, by libp2p's own Bitswap and by flux, each between two processes on loopback.

python -m tests.bench.bitswap [--size MIB] [--count N] [--seconds S] [--runs N] [--json FILE]

Bitswap (`libp2p.bitswap` of libp2p 0.8.1: its BitswapClient, MerkleDag and sessions) is used in two ways:

- AS_IT_COMES: as its project's own example does it: `new_host()`, blocks of 256 KiB, batches of 32 wants;
- AT_ITS_BEST: the fastest that was found. The transport that flux tuned is given to it as well; blocks of 512 KiB,
  the largest that it takes (MAX_BLOCK_SIZE: one of 1 MiB, as flux has them, is a BlockTooLargeError); small blocks in
  batches of 256 (its DEFAULT_WANTLIST_SIZE; 1,000 or 10,000 at once are no faster). `fetch_file` has no such setting:
  it asks for 32 blocks, on a stream that it opens for them, and for the next 32 when all have come.

All else is in its favour: it is told who has the blocks and is not asked to find out; its blocks stay in memory, while
flux writes to its store; its clock starts when it is connected, while flux dials within a file's time (not within
that of small blocks). Both verify every block, and a file ends on disk.

Its client is given no nursery (`set_nursery`), as in the example. With one, wants go through a queue, whose stream
its reader closes as soon as nothing is expected from the peer; a batch of wants that is written just then is never
answered, and is asked for again when a second has passed. By luck, 64 MiB in blocks of 256 or 512 KiB took
0.9 s or 4.5 s, and in blocks of 63 KiB up to 17 s.

A side that did not end in --seconds is said so, and counted as if it had ended just then.
"""

import filecmp
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

from flux_tui.core.ids import Cid
from tests.bench.nodes import LateError
from tests.bench.report import Table, parser
from tests.bench.small_wants import fetch, make_chunks
from tests.bench.transfer import Transfer, make_file

LEAST_FILE, LEAST_BLOCKS = 1.5, 1.5
"""How many times as fast as Bitswap at its best flux is to be."""


class Setting(NamedTuple):
    """A way to use Bitswap."""

    chunk: int
    batch: int
    tuned: bool


AS_IT_COMES = Setting(chunk=256 << 10, batch=32, tuned=False)
AT_ITS_BEST = Setting(chunk=512 << 10, batch=256, tuned=True)


def command(setting: Setting, side: str, *arguments: object) -> list[str]:
    words = [str(argument) for argument in arguments]
    return [sys.executable, "-m", "tests.bench.bitswap_peer", side, *words] + ["--tuned"] * setting.tuned


def as_it_comes() -> dict[str, str]:
    """Return the environment without the yamux settings that the import of flux's transport has set."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PY_YAMUX_")}


@contextmanager
def holder(setting: Setting, source: Path) -> Iterator[dict[str, Any]]:
    """Start a process that has the content. Return its address and root."""
    process = subprocess.Popen(
        command(setting, "hold", source, "--chunk", setting.chunk),
        stdout=subprocess.PIPE, text=True, env=as_it_comes(),
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield json.loads(process.stdout.readline())
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


def ask(setting: Setting, seconds: float, *arguments: object) -> float:
    """Return how many seconds it took."""
    try:
        result = subprocess.run(
            command(setting, "ask", *arguments), stdout=subprocess.PIPE, text=True, env=as_it_comes(),
            timeout=seconds, check=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise LateError(f"not within {seconds:g} s") from error
    told = json.loads(result.stdout)
    if "gave_up" in told:
        raise LateError(told["gave_up"])
    return float(told["seconds"])


def file_by_bitswap(source: Path, folder: Path, setting: Setting, seconds: float) -> float:
    with holder(setting, source) as told:
        out = folder / "out.bin"
        taken = ask(setting, seconds, told["addr"], "--root", told["root"], "--out", out)
    assert filecmp.cmp(source, out, shallow=False)
    return taken


def file_by_flux(source: Path, folder: Path, seconds: float) -> float:
    taken = source.stat().st_size / 1e6 / Transfer(source, folder, seconds).rate
    assert filecmp.cmp(source, folder / "out.bin", shallow=False)
    return taken


def blocks_by_bitswap(
    source: Path, cids: Sequence[Cid], folder: Path, setting: Setting, seconds: float
) -> float:
    wanted = folder / "wanted"
    wanted.write_text("\n".join(cids))
    with holder(setting, source) as told:
        return ask(setting, seconds, told["addr"], "--blocks", wanted, "--batch", setting.batch)


def blocks_by_flux(source: Path, cids: Sequence[Cid], folder: Path, seconds: float) -> float:
    """The requester has its own process, too: the start of a node changes the process (node/process_memory.py)."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as requester:
        return requester.submit(fetch, source, list(cids), folder, 1, seconds).result()[1]


class Side:
    """The runs of one side."""

    def __init__(self, name: str, limit: float) -> None:
        self.name = name
        self.limit = limit
        self.seconds: list[float] = []
        self.late = 0

    def run(self, what: Callable[[Path], float]) -> None:
        """Run once more, in a temporary folder."""
        folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
        try:
            self.seconds.append(what(folder))
        except LateError as error:
            print(f"{self.name}: not finished: {error}", file=sys.stderr)
            self.late += 1
            self.seconds.append(self.limit)
        finally:
            shutil.rmtree(folder)

    @property
    def label(self) -> str:
        """The name of the side, and how often it did not finish."""
        late = f" ({self.late} of {len(self.seconds)} not finished, counted as {self.limit:g} s)"
        return self.name + late * bool(self.late)


NAMES = ("Bitswap as it comes", "Bitswap at its best", "flux, verified and stored")


def measure(size: int, count: int, seconds: float, runs: int) -> tuple[list[Side], list[Side]]:
    """Measure a file and small blocks, with the sides in the order of NAMES."""
    files = [Side(f"file: {name}", seconds) for name in NAMES]
    blocks = [Side(f"blocks: {name}", seconds) for name in NAMES]
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        source, chunks = folder / "big.bin", folder / "chunks"
        make_file(source, size)
        cids = make_chunks(chunks, count)
        for _ in range(runs):  # the sides take turns, so that drift of the machine affects all
            files[0].run(lambda at: file_by_bitswap(source, at, AS_IT_COMES, seconds))
            files[1].run(lambda at: file_by_bitswap(source, at, AT_ITS_BEST, seconds))
            files[2].run(lambda at: file_by_flux(source, at, seconds))
            blocks[0].run(lambda at: blocks_by_bitswap(chunks, cids, at, AS_IT_COMES, seconds))
            blocks[1].run(lambda at: blocks_by_bitswap(chunks, cids, at, AT_ITS_BEST, seconds))
            blocks[2].run(lambda at: blocks_by_flux(chunks, cids, at, seconds))
    finally:
        shutil.rmtree(folder)
    return files, blocks


def times(sides: Sequence[Side]) -> list[float]:
    """Return the speed-up of flux over Bitswap at its best, run by run."""
    return [best / ours for best, ours in zip(sides[1].seconds, sides[2].seconds, strict=True)]


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--size", type=int, default=64, metavar="MIB", help="of the file")
    options.add_argument("--count", type=int, default=10_000, help="small blocks, of 1 KiB each")
    options.add_argument("--seconds", type=float, default=120, metavar="S", help="what a side may take")
    given = options.parse_args()
    size = given.size << 20
    files, blocks = measure(size, given.count, given.seconds, given.runs)
    table = Table(
        f"A file of {given.size} MiB, and {given.count:,} blocks of 1 KiB: one holder, one requester,"
        " two processes on loopback"
    )
    for side in files:
        table.add(side.label, [size / 1e6 / taken for taken in side.seconds], "MB/s")
    table.add("file: flux is as many times as fast as the best", times(files), "times", least=LEAST_FILE)
    for side in blocks:
        table.add(side.label, side.seconds, "s")
    table.add("blocks: flux is as many times as fast as the best", times(blocks), "times", least=LEAST_BLOCKS)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
