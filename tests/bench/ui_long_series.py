"""The dashboard on a long recording, in a real terminal: opening it, going to any entry of it, its memory.

python -m tests.bench.ui_long_series [--entries N] [--series FILE] [--bare] [--panel N] [--json FILE]

The entries are those of tests.bench.series. `--series` keeps the recording in FILE, and takes it from there
the next time. `--panel 7` goes to the entries with Flow open, `--panel 8` with Objects open. `--bare`: without
checkpoints, as a recording of another version is: they are then built beside, while every key still works.
"""

import itertools
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from flux_tui.core.series.events import Entry, encode_event
from flux_tui.core.series.fold import extend, snapshot
from flux_tui.core.series.state import State
from flux_tui.node.engine import CHECKPOINT_ENTRIES
from flux_tui.store.database import APPLICATION_ID, SCHEMA_VERSION, SERIES_TABLES
from tests.bench.report import Table, parser
from tests.bench.series import exchange
from tests.ui.terminal import Terminal

REPEATS = 1000
"""How many entries are encoded. After that, the same ones repeat at later times."""
JUMPS = 60


def write(path: Path, count: int, *, bare: bool) -> None:
    """Write a recording of `count` entries, a millisecond apart, with the checkpoints of a node."""
    db = sqlite3.connect(path, isolation_level=None)
    db.executescript(SERIES_TABLES)
    db.execute(f"PRAGMA application_id={APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    db.execute("PRAGMA synchronous=OFF")
    state = State()
    events = list(itertools.islice(exchange(1), REPEATS * 100))
    bodies = [encode_event(event) for event in events]
    for start in range(0, count, CHECKPOINT_ENTRIES):
        end = min(start + CHECKPOINT_ENTRIES, count)
        numbers = [(seq, 1.6e9 + seq / 1000, (seq - 1) % len(events)) for seq in range(start + 1, end + 1)]
        db.execute("BEGIN")
        db.executemany(
            "INSERT INTO entry (seq, at, body) VALUES (?, ?, ?)",
            [(seq, at, bodies[n]) for seq, at, n in numbers],
        )
        extend(state, [Entry(seq, at, events[n]) for seq, at, n in numbers])
        if not bare:
            db.execute("INSERT INTO checkpoint VALUES (?, ?)", (end, snapshot(state)))
        db.execute("COMMIT")
    db.close()


def shown(seq: int, count: int, panel: str) -> str:
    """Return a text that is on the screen when the cursor is at an entry.

    The title of the Series panel shows the entry. Where another panel takes its place, the header shows how many
    entries the series has after it.
    """
    return f"{seq:,} entries" if panel == "1" else f"+{count - seq:,}"


def measure(path: Path, count: int, table: dict[str, list[float]], panel: str) -> None:
    """Run once: open, jump, read the memory, leave. `panel`: the key of the panel that is open."""
    chance = random.Random(count)
    terminal = Terminal(["-m", "flux_tui", "replay", str(path)])
    try:
        first = terminal.wait_written(0)
        whole = terminal.wait_text(f"{count:,} entries", seconds=600)
        table["all panels right after the first frame"].append(whole - first)
        if panel != "1":
            terminal.press(panel)
            terminal.wait_text("by answer" if panel == "7" else "kept for others")
        for _ in range(JUMPS):
            seq = chance.randrange(1, count)
            mark = len(terminal.written)
            pressed = terminal.press(f"t#{seq}\r")
            table["to any entry"].append(terminal.wait_text(shown(seq, count, panel), mark) - pressed)
        for _ in range(JUMPS):
            mark = len(terminal.written)
            pressed = terminal.press("[")
            seq -= 1
            table["one entry back"].append(terminal.wait_text(shown(seq, count, panel), mark) - pressed)
        table["memory"].append(terminal.rss() / 1e6)
        pressed = terminal.press("q")
        table["gone after q"].append(terminal.wait_end()[1] - pressed)
    finally:
        terminal.close()


def percentile(values: list[float], share: float) -> float:
    """Return the value that `share` of the values do not exceed."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))]


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--entries", type=int, default=1_000_000, metavar="N")
    options.add_argument("--series", type=Path, default=None, metavar="FILE")
    options.add_argument("--bare", action="store_true")
    options.add_argument(
        "--panel", choices=["1", "7", "8"], default="1", help="the key of the panel that is open"
    )
    given = options.parse_args()
    names = ("all panels right after the first frame", "to any entry", "one entry back",
             "memory", "gone after q")  # fmt: skip
    runs: dict[str, list[float]] = {name: [] for name in names}
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        path = given.series or folder / "long.flux"
        if not path.exists():
            write(path, given.entries, bare=given.bare)
        began = time.monotonic()
        for _ in range(given.runs):
            measure(path, given.entries, runs, given.panel)
            if time.monotonic() - began > 600:
                break
    finally:
        shutil.rmtree(folder)
    words = "without checkpoints" if given.bare else "with a node's checkpoints"
    table = Table(
        f"The dashboard on a recording of {given.entries:,} entries {words}, 120×40, panel {given.panel}"
    )
    within = None if given.bare else 1 if given.entries <= 1_000_000 else 2
    table.add("all panels right after the first frame", runs[names[0]], "s", most=within)
    table.add("to any entry, median", runs["to any entry"], "s")
    table.add("to any entry, 99 of 100", percentile(runs["to any entry"], 0.99), "s", most=0.15)
    table.add("one entry back, 99 of 100", percentile(runs["one entry back"], 0.99), "s", most=0.15)
    table.add("memory", runs["memory"], "MB", most=250)
    table.add("gone after q", runs["gone after q"], "s", most=1)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
