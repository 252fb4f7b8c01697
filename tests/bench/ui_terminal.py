"""The dashboard in a real terminal: what it writes and costs when nothing happens, and while its node fetches
as fast as it can from nodes that refuse by the hundred; and how soon a key is answered then.

With `--panel 7`, Flow is open: a lane for each peer, with the answers, grants and chunks of each. With `--panel 8`,
Objects is open: it shows the blocks of the file that comes.

python -m tests.bench.ui_terminal [--size COLUMNSxROWS] [--megabytes N] [--panel N] [--json FILE]
"""

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.home import Home
from tests.bench.nodes import Node, running
from tests.bench.report import Table, parser
from tests.bench.ui_long_series import percentile
from tests.pictures.record import get, share
from tests.ui.terminal import Terminal

IDLE_SECONDS = 8.0
QUIET_SECONDS = 135.0
"""Seconds after the last entry. Until then it still moves along the strip of time and the charts."""
WAIT_SECONDS = 120.0
LOOKS = 0.1
"""Seconds between two keys: faster than a person, slower than one frame after the other."""


MARKS = {"1": ("chunk_received", "object_completed"), "7": ("◄", "whole"), "8": ("on its way", "is whole")}
"""Texts that a panel shows when the first answer or chunk came, and when the file is whole, by the key of the panel."""


def written(terminal: Terminal, start: float, end: float) -> int:
    """Return the bytes that came between two moments."""
    before = max((count for at, count in terminal.times if at <= start), default=0)
    return max((count for at, count in terminal.times if at <= end), default=0) - before


def attached(home: Path, size: tuple[int, int], panel: str) -> Terminal:
    """Return the dashboard of a home whose node runs, with a panel open."""
    terminal = Terminal(["-m", "flux_tui", "--home", str(home)], size)
    terminal.wait_text("● live")
    if panel != "1":
        terminal.press(panel)
    return terminal


def idle(node: Node, size: tuple[int, int], panel: str, table: dict[str, list[float]]) -> None:
    """Measure while nothing happens."""
    terminal = attached(node.home, size, panel)
    try:
        for name, wait in (("just after", 3.0), ("idle", QUIET_SECONDS)):
            time.sleep(wait)
            start, cpu = time.monotonic(), terminal.cpu()
            time.sleep(IDLE_SECONDS)
            end = time.monotonic()
            table[f"{name}: written"].append(written(terminal, start, end) / (end - start))
            table[f"{name}: processor"].append((terminal.cpu() - cpu) / (end - start) * 100)
    finally:
        terminal.close()


def busy(
    nodes: list[Node],
    size: tuple[int, int],
    panel: str,
    folder: Path,
    table: dict[str, list[float]],
    megabytes: int,
) -> None:
    """Measure while a file is fetched from two holders that serve few peers at a time, and others want it too."""
    ada, bob, me, *others = nodes
    comes, completed = MARKS[panel]
    film = folder / f"film-{time.monotonic_ns()}.bin"
    with film.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1_000_000))
    (ticket,) = share(ada, film)
    share(bob, film)
    terminal = attached(me.home, size, panel)
    try:
        for node in (me, *others):
            Home(node.home).push(cmd.Join(ada.addrs[0]), cmd.Join(bob.addrs[0]))
            (node.home / "got").mkdir(exist_ok=True)
        mark = len(terminal.written)
        start = time.monotonic()
        for node in (*others, me):
            get(node, ticket, node.home / "got")
        terminal.wait_text(comes, mark, WAIT_SECONDS)
        # Until the file is whole, follow it, as a watching person does.
        following = time.monotonic()
        deadline = following + 4
        while time.monotonic() < deadline and completed not in terminal.text(mark):
            time.sleep(0.05)
        end = time.monotonic()
        table["following: written"].append(written(terminal, following, end) / (end - following) / 1000)
        while completed not in terminal.text(mark) and time.monotonic() - start < WAIT_SECONDS:
            # Freeze and go on: these frames can be told apart from those of the ticker.
            for word in ("frozen", "● live"):
                before = len(terminal.written)
                pressed = terminal.press(" ")
                terminal.wait_text(word, before)
                table["key"].append((terminal.when(before, word) - pressed) * 1000)
                time.sleep(LOOKS)
        whole = time.monotonic() - start
        table["fetched at"].append(megabytes / whole)
    finally:
        terminal.close()
        film.unlink()


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--size", default="120x40")
    options.add_argument("--megabytes", type=int, default=800)
    options.add_argument("--panel", choices=[*MARKS], default="1", help="the key of the panel that is open")
    given = options.parse_args()
    columns, rows = map(int, given.size.split("x"))
    runs: dict[str, list[float]] = {
        name: []
        for name in (
            "just after: written", "just after: processor", "idle: written", "idle: processor",
            "following: written", "key", "fetched at",
        )
    }  # fmt: skip
    for number in range(given.runs):
        folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
        try:
            for name in ("ada", "bob"):
                (folder / name).mkdir(mode=0o700)
                (folder / name / "settings.toml").write_text("max_uploads = 1\n")
            nodes = [Node(folder / name) for name in ("ada", "bob", "me", "dee", "eve", "fred")]
            with running(*nodes):
                if not number:
                    idle(nodes[2], (columns, rows), given.panel, runs)
                busy(nodes, (columns, rows), given.panel, folder, runs, given.megabytes)
        finally:
            shutil.rmtree(folder)
    table = Table(
        f"The dashboard in a terminal of {columns}×{rows}, panel {given.panel}, six nodes on loopback"
    )
    table.add("within two minutes of an entry: written", runs["just after: written"], "B/s")
    table.add("within two minutes of an entry: processor", runs["just after: processor"], "% of a core")
    table.add("idle: written", runs["idle: written"], "B/s", most=200)
    table.add("idle: processor", runs["idle: processor"], "% of a core", most=1)
    table.add("following: written", runs["following: written"], "KB/s", most=70)
    table.add("a key, median", runs["key"] or [0.0], "ms")
    table.add("a key, 99 of 100", percentile(runs["key"], 0.99) if runs["key"] else 0.0, "ms", most=50)
    table.add("keys", len(runs["key"]), "", least=100)
    table.add("meanwhile fetched at", runs["fetched at"], "MB/s")
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
