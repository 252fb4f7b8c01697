"""Bytes through pipes and two nodes, beside the same bytes as a file: seconds, memory, and whether they are the same.

python -m tests.bench.pipes [--size MIB] [--runs N] [--folder DIR] [--json FILE]

A round has both ways, one after the other, each with two fresh nodes on loopback: `cat FILE | flux-tui add -` and
`flux-tui get -o - > COPY`; and `flux-tui add FILE` and `flux-tui get -o COPY`. Which comes first changes each round.
"""

import filecmp
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from tests.bench.nodes import Node, running
from tests.bench.report import Table, parser
from tests.bench.transfer import make_file

PROGRAM = (sys.executable, "-m", "flux_tui")


class Ended(NamedTuple):
    """A program that has ended: its resident bytes at most, and its processor seconds."""

    peak: int
    cpu: float


class Way(NamedTuple):
    """What one way took."""

    add_seconds: float
    get_seconds: float
    command_peak: int
    """Resident bytes of the commands at most."""
    node_peak: int
    cpu: float
    """Processor seconds of the commands and both nodes."""

    @property
    def seconds(self) -> float:
        """There and back."""
        return self.add_seconds + self.get_seconds


def wait(process: "subprocess.Popen[bytes]") -> Ended:
    """Wait for a program, and return what it took."""
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0, process.args
    return Ended(used.ru_maxrss << 10, used.ru_utime + used.ru_stime)


def one_way(source: Path, folder: Path, *, piped: bool) -> Way:
    """Bring a file from one node to another, through pipes or as a file."""
    folder.mkdir()
    one = Node(folder / "one")
    with running(one):
        two = Node(folder / "two", "--join", one.addrs[0])
        with running(two):
            at = time.monotonic()
            told = folder / "told"
            with told.open("wb") as out:
                words = ["add", "-q", "-" if piped else str(source), "--home", str(one.home)]
                if piped:
                    cat = subprocess.Popen(["cat", str(source)], stdout=subprocess.PIPE)
                    adding = subprocess.Popen([*PROGRAM, *words], stdin=cat.stdout, stdout=out)
                    assert cat.stdout is not None
                    cat.stdout.close()
                    added = wait(adding)
                    cat.wait()
                else:
                    added = wait(subprocess.Popen([*PROGRAM, *words], stdout=out))
            middle = time.monotonic()
            ticket, copy = told.read_text().split()[1], folder / "copy"
            words = ["get", "-q", ticket, "-o", "-" if piped else str(copy), "--home", str(two.home)]
            with (folder / "out").open("wb") as out:
                got = wait(subprocess.Popen([*PROGRAM, *words], stdout=out))
            end = time.monotonic()
            cpu = added.cpu + got.cpu + one.cpu() + two.cpu()
            nodes = max(one.peak_rss(), two.peak_rss())
    assert filecmp.cmp(source, folder / "out" if piped else copy, shallow=False), "the bytes are not the same"
    shutil.rmtree(folder)
    return Way(middle - at, end - middle, max(added.peak, got.peak), nodes, cpu)


def main() -> int:
    options = parser(__doc__)
    options.add_argument("--size", type=int, default=1024, help="MiB")
    options.add_argument("--folder", type=Path, default=None, help="where the files are made")
    given = options.parse_args()
    size = given.size << 20
    piped: list[Way] = []
    filed: list[Way] = []
    with tempfile.TemporaryDirectory(dir=given.folder) as name:
        folder = Path(name)
        make_file(folder / "source", size)
        for number in range(given.runs):
            for through in (True, False) if number % 2 == 0 else (False, True):
                (piped if through else filed).append(
                    one_way(folder / "source", folder / "way", piped=through)
                )
    table = Table(f"{given.size} MiB from one node to another, on loopback: through pipes, and as a file")
    for title, ways in (("pipes", piped), ("file", filed)):
        table.add(f"{title}: add", [way.add_seconds for way in ways], "s")
        table.add(f"{title}: get", [way.get_seconds for way in ways], "s")
        table.add(f"{title}: processor time of all", [way.cpu for way in ways], "s")
    there = table.add("pipes: there and back", [size / way.seconds / 1e6 for way in piped], "MB/s")
    alike = table.add("file: there and back", [size / way.seconds / 1e6 for way in filed], "MB/s")
    table.add("pipes / file", there / alike, "", least=0.8)
    table.add("pipes: memory of the commands", [way.command_peak / 2**20 for way in piped], "MiB", most=150)
    table.add("pipes: memory of the nodes", [way.node_peak / 2**20 for way in piped], "MiB", most=300)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
