"""A signal ends the dashboard, and restores the terminal."""

import os
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from flux_tui.home import Home
from tests.bench.nodes import Node, running
from tests.ui.conftest import RECORDING
from tests.ui.terminal import Terminal, dashboard, until

WAIT_SECONDS = 60.0
MODE = re.compile(rb"\x1b\[\?(\d+)([hl])")
ALTERNATE, CURSOR, MOUSE, PASTE = b"1049", b"25", b"1000", b"2004"
STATUS = {signal.SIGINT: 130, signal.SIGTERM: 143, signal.SIGHUP: 129}


def modes(terminal: Terminal) -> dict[bytes, bytes]:
    """Return the terminal modes that were set (h) or reset (l) last."""
    return dict(MODE.findall(bytes(terminal.written)))


def is_as_it_was(terminal: Terminal) -> bool:
    """Return whether the terminal is as a shell needs it."""
    found = modes(terminal)
    flags = termios.tcgetattr(terminal.master)[3]
    assert flags & (termios.ECHO | termios.ICANON), "what is typed is seen"
    return (
        all(found.get(mode, b"l") == b"l" for mode in (ALTERNATE, MOUSE, PASTE))
        and found.get(CURSOR, b"h") == b"h"
    )


@pytest.mark.parametrize("number", STATUS)
def test_a_signal_ends_a_recording(number: signal.Signals) -> None:
    terminal = Terminal(["-m", "flux_tui", "replay", str(RECORDING)], (80, 24))
    try:
        terminal.wait_text("entries")
        assert modes(terminal)[ALTERNATE] == b"h"
        terminal.process.send_signal(number)
        assert terminal.wait_end(WAIT_SECONDS)[0] == STATUS[number]
        until(lambda: is_as_it_was(terminal))
        assert "Traceback" not in terminal.text()
    finally:
        terminal.close()


@pytest.mark.parametrize("bytes_before", [0, 1, 200, 1000])
def test_a_signal_during_the_start_ends_the_dashboard(bytes_before: int) -> None:
    """The signal may come before the terminal is taken, while it is taken, or right after."""
    terminal = Terminal(["-m", "flux_tui", "replay", str(RECORDING)], (80, 24))
    try:
        until(lambda: len(terminal.written) >= bytes_before)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_end(WAIT_SECONDS)[0] in (143, -signal.SIGTERM)
        until(lambda: is_as_it_was(terminal))
        assert "Traceback" not in terminal.text()
    finally:
        terminal.close()


def test_the_node_that_the_dashboard_started_ends_with_it(home: Home) -> None:
    terminal = Terminal(dashboard("--home", str(home.path)))
    try:
        until(home.listening)
        terminal.wait_text("● live")
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_end(WAIT_SECONDS)[0] == 143
        until(lambda: home.running() is None)
        until(lambda: is_as_it_was(terminal))
    finally:
        terminal.close()


def test_an_ignored_hangup_does_not_end_the_dashboard() -> None:
    terminal = Terminal(
        ["-c", "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN);"
         "os.execv(sys.executable, [sys.executable, '-m', 'flux_tui', *sys.argv[1:]])", "replay", str(RECORDING)],
        (80, 24),
    )  # fmt: skip
    try:
        terminal.wait_text("entries")
        terminal.process.send_signal(signal.SIGHUP)
        mark = len(terminal.written)
        terminal.press("?")
        terminal.wait_text("Push a want", mark)
        terminal.process.send_signal(signal.SIGTERM)
        assert terminal.wait_end(WAIT_SECONDS)[0] == 143
    finally:
        terminal.close()


@pytest.mark.parametrize(
    "arguments", [[], ["replay", str(RECORDING)], ["demo"]], ids=["home", "recording", "demo"]
)
@pytest.mark.parametrize("stream", ["input", "output", "error"])
def test_the_dashboard_says_that_it_needs_a_terminal(
    arguments: list[str], stream: str, tmp_path: Path
) -> None:
    """Each of the three streams must be a terminal: keys come from one, and Textual draws on another."""
    master, slave = os.openpty()
    streams = {name: subprocess.DEVNULL if name == stream else slave for name in ("input", "output", "error")}
    if stream == "error":
        streams["error"] = subprocess.PIPE
    environment = {k: v for k, v in os.environ.items() if not k.startswith("TEXTUAL")}
    environment["FLUX_TUI_HOME"] = str(tmp_path / "home")
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "flux_tui", *arguments],
            stdin=streams["input"], stdout=streams["output"], stderr=streams["error"], env=environment,
        )  # fmt: skip
        said = process.communicate(timeout=WAIT_SECONDS)[1] or os.read(master, 4096)
    finally:
        os.close(slave)
        os.close(master)
    assert process.returncode == 1
    assert re.fullmatch(
        rf"flux-tui: .* needs a terminal, which standard {stream} is not: .*\r?\n", said.decode()
    )
    assert not (tmp_path / "home").exists(), "no node was started for it"


def test_a_flag_that_the_running_node_lacks_is_refused_before_the_screen_is_taken(tmp_path: Path) -> None:
    """A person must not take a public node for a private one."""
    node = Node(tmp_path / "home")
    with running(node):
        key = tmp_path / "swarm.key"
        terminal = Terminal(["-m", "flux_tui", "--home", str(node.home), "--swarm-key", str(key)], (100, 30))
        try:
            assert terminal.wait_end(WAIT_SECONDS)[0] == 1
            until(lambda: "or leave that out" in terminal.text())
            assert " ".join(terminal.text().split()) == (
                f"flux-tui: the node of {node.home} runs already, and without --swarm-key {key}: stop it first"
                " (`flux-tui stop`), or leave that out"
            )
        finally:
            terminal.close()
