"""From starting the process to its first frame: the dashboard, on a recording and on a home, against the
smallest application that Textual can make, in a real terminal. All modules are compiled, as an installation has them.
And from the key of Flow, pressed at once, to the first frame of that panel. On a busy machine, the processor time
until then is the better measure: it is read when the frame has come.

python -m tests.bench.ui_first_frame [--json FILE]
"""

import contextlib
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.home import Home, HomeError
from tests.bench.report import Table, parser
from tests.ui.terminal import Terminal, dashboard

SMALLEST = """
from textual.app import App
from textual.widgets import Static
class Smallest(App):
    def compose(self):
        yield Static("nothing to see")
Smallest().run()
"""
START_SECONDS = 10.0
"""Seconds for a node to start. A dashboard that ended before that starts none."""
RECORDING = Path(__file__).parents[2] / "assets" / "swarm.flux"


def first_flow(compiled: Path) -> float:
    """Return the seconds from the key of Flow to the first frame with it, on the recording."""
    terminal = Terminal(["-m", "flux_tui", "replay", str(RECORDING)], PYTHONPYCACHEPREFIX=str(compiled))
    try:
        terminal.wait_text("want")
        mark = len(terminal.written)
        pressed = terminal.press("7")
        return terminal.wait_text("a column", mark) - pressed
    finally:
        terminal.close()


def first_frame(arguments: list[str], text: str, compiled: Path) -> tuple[float, float]:
    """Return the seconds until a text of the first frame was written, and those of processor time."""
    terminal = Terminal(arguments, PYTHONPYCACHEPREFIX=str(compiled))
    try:
        came = terminal.wait_text(text)
        used = Path(f"/proc/{terminal.process.pid}/schedstat").read_text().split()[0]
        return came - terminal.started, int(used) / 1e9
    finally:
        terminal.close()


def imported() -> str:
    """Return the modules of the network that the dashboard imports: none."""
    shown = "flux_tui.ui.dashboard.app, flux_tui.cli.commands.dashboard"
    code = f"import sys, {shown}; print(*[m for m in ('libp2p', 'trio') if m in sys.modules])"
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout.strip()


def stop(home: Home) -> None:
    """Stop the node as soon as it is up. It outlives the terminal in which it was started."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(HomeError):
            home.push(cmd.Stop())
            return
        time.sleep(0.05)


def main() -> int:
    given = parser(__doc__ or "").parse_args()
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    compiled = folder / "compiled"
    runs: dict[str, list[float]] = {"smallest": [], "recording": [], "home": [], "flow": []}
    processor: dict[str, list[float]] = {"smallest": [], "recording": [], "home": []}
    try:
        for number in range(-1, given.runs):  # the first run fills the caches, and does not count
            home = Home(folder / f"home{number}")
            found = {
                "smallest": first_frame(["-c", SMALLEST], "nothing to see", compiled),
                "recording": first_frame(["-m", "flux_tui", "replay", str(RECORDING)], "want", compiled),
                "home": first_frame(dashboard("--home", str(home.path)), "want", compiled),
            }
            flow = first_flow(compiled)
            stop(home)
            if number >= 0:
                runs["flow"].append(flow)
                for name, (seconds, used) in found.items():
                    runs[name].append(seconds)
                    processor[name].append(used)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    table = Table("First frame, 120×40")
    smallest = table.add("the smallest application", runs["smallest"], "s")
    least = table.add("the smallest application, processor", processor["smallest"], "s")
    for name in ("recording", "home"):
        table.add(f"the dashboard on a {name}", runs[name], "s")
        table.add(
            f"the dashboard on a {name}, of the smallest", [s / smallest for s in runs[name]], "×", most=1.5
        )
    for name in ("recording", "home"):
        shares = [used / least for used in processor[name]]
        table.add(f"processor on a {name}, of the smallest", shares, "×", most=1.5)
    table.add("Flow, from its key to its first frame", [s * 1000 for s in runs["flow"]], "ms")
    table.add("parts of the network that it imports", len(imported().split()), "", most=0)
    return table.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
