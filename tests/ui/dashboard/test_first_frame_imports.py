"""The first frame waits for no module that it does not draw with."""

import subprocess
import sys
from pathlib import Path

import pytest

RECORDING = Path(__file__).parents[3] / "assets" / "swarm.flux"
LATER = {
    "the network and the node": ("libp2p", "trio", "flux_tui.net", "flux_tui.node"),
    "segments, and what writes files": (
        "ctypes", "flux_tui.store.segments.segment_file", "flux_tui.store.segments.page_index", "flux_tui.store.disk",
        "flux_tui.store.store",
    ),
    "messages and tickets": ("flux_tui.core.wire.messages", "flux_tui.core.content.ticket", "msgpack"),
    "Flow": ("flux_tui.ui.rows.flow", "flux_tui.ui.rows.flow_picture", "flux_tui.ui.series.flow_marks"),
    "Objects": (
        "flux_tui.ui.rows.objects.object_rows", "flux_tui.ui.rows.objects.details", "flux_tui.ui.series.block_map",
        "flux_tui.store.index.object_files_reader",
    ),
    "why": ("flux_tui.core.text.why", "flux_tui.core.series.want_explanation"),
    "the help": ("flux_tui.ui.screens.help", "flux_tui.ui.rows.terms_in_focus", "flux_tui.core.text.glossary"),
    "Inspect": ("flux_tui.ui.screens.inspect", "flux_tui.ui.rows.inspect"),
    "other windows": (
        "flux_tui.ui.screens.add", "flux_tui.ui.screens.want", "flux_tui.ui.screens.confirm",
        "flux_tui.ui.screens.leave", "flux_tui.ui.screens.qr_code", "flux_tui.qr_code",
    ),
    "OpenSSL and JSON": ("_hashlib", "secrets", "json"),
    "typed lines": (
        "flux_tui.ui.typed.command_line", "flux_tui.ui.typed.completions", "flux_tui.ui.typed.shell_words",
    ),
}  # fmt: skip
"""What is imported when it is first needed, and its modules. A package stands for all modules in it."""

FIRST_FRAMES = """
import asyncio, sys
from pathlib import Path
from flux_tui.cli import run
from flux_tui.cli.commands.dashboard import dashboard
from flux_tui.home import Home
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import WatchedNode

recording, home = Path(sys.argv[1]), Home(sys.argv[2])
app = dashboard(WatchedNode(title="recording", source=Source.of_file(recording)), home)

async def main():
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.parts.nodes.state.seq  # it has read and drawn the series as well
        print(*sorted(sys.modules))

asyncio.run(main())
"""


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The modules that are imported when the dashboard has drawn a recording."""
    done = subprocess.run(
        [sys.executable, "-c", FIRST_FRAMES, str(RECORDING), str(tmp_path_factory.mktemp("home"))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.parametrize("what", LATER)
def test_what_is_not_on_the_first_frame_is_imported_later(what: str, imported: list[str]) -> None:
    found = [name for name in imported if any(f"{name}.".startswith(f"{one}.") for one in LATER[what])]
    assert not found, f"{what}: the first frame waits for {', '.join(found)}"
