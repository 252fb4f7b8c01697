"""How the dashboard, its node and the terminal end, in a real terminal."""

import asyncio
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from textual import events

from flux_tui.home import Home
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.dashboard.signals_and_crashes import HANGUP_SECONDS
from tests.bench.nodes import LISTEN, Node
from tests.ui.conftest import RECORDING, Live, on_asyncio
from tests.ui.terminal import Terminal, dashboard, until

SOON = 1.0
"""Seconds in which the process has to end.

On a slow or busy machine, it may take LONGER times as long as a command that only prints its version.
"""
LONGER = 4


@pytest.fixture
def terminal(home: Home) -> Iterator[Terminal]:
    found = Terminal(dashboard("--home", str(home.path)))
    yield found
    found.close()


def soon() -> float:
    """Return SOON, adapted to the speed of this machine now."""
    began = time.monotonic()
    subprocess.run([sys.executable, "-m", "flux_tui", "--version"], check=True, stdout=subprocess.DEVNULL)
    return max(SOON, LONGER * (time.monotonic() - began))


def up(terminal: Terminal, home: Home) -> int:
    """Return the pid of the node, once the dashboard shows it."""
    until(home.listening)
    terminal.wait_text("● live")
    pid = home.running()
    assert pid
    return pid


def test_q_leaves_at_once_though_the_node_does_not_answer_and_stops_it(
    terminal: Terminal, home: Home
) -> None:
    pid = up(terminal, home)
    os.kill(pid, signal.SIGSTOP)
    try:
        pressed = terminal.press("q")
        status, ended = terminal.wait_end()
        assert status == 0
        assert ended - pressed < soon()
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: home.running() is None)


def test_q_before_the_node_is_up_leaves_none_behind(terminal: Terminal, home: Home) -> None:
    terminal.wait_text("want")
    until(lambda: "starting" in terminal.text() or home.running() is not None)
    pressed = terminal.press("q")
    _, ended = terminal.wait_end()
    assert ended - pressed < soon()
    until(lambda: home.running() is None)
    assert not home.listening()


def test_d_leaves_the_node_running(terminal: Terminal, home: Home) -> None:
    pid = up(terminal, home)
    terminal.press("d")
    assert terminal.wait_end()[0] == 0
    assert home.running() == pid


def test_a_terminal_that_disappears_ends_it_and_the_node_runs_on(terminal: Terminal, home: Home) -> None:
    pid = up(terminal, home)
    terminal.hang_up()
    before = time.monotonic()
    _, ended = terminal.wait_end()
    assert ended - before < HANGUP_SECONDS + 1
    assert home.running() == pid


def test_a_killed_node_is_reported_and_can_be_restarted(terminal: Terminal, home: Home) -> None:
    pid = up(terminal, home)
    mark = len(terminal.written)
    os.kill(pid, signal.SIGKILL)
    terminal.wait_text("press R", mark)  # the rest of it may be on a second line
    mark = len(terminal.written)
    terminal.press("R")
    terminal.wait_text("● live", mark)
    until(lambda: home.running() not in (None, pid))


def test_a_restart_keeps_the_flags_of_a_node_started_elsewhere(home: Home) -> None:
    """A loopback-only node must not open to a network after `R` in a dashboard without flags."""
    node = Node(home.path, "--max-uploads", "3")
    node.start()
    terminal = Terminal(["-m", "flux_tui", "--home", str(home.path)], (80, 24))
    try:
        terminal.wait_text("● live")
        mark = len(terminal.written)
        node.kill()
        terminal.wait_text("press R", mark)
        terminal.press("R")
        until(home.listening)
        flags = [*LISTEN, "--max-uploads", "3"]
        assert home.last_flags() == flags
        running = Path(f"/proc/{home.running()}/cmdline")
        if running.exists():
            assert running.read_bytes().decode().split("\0")[-len(flags) - 1 : -1] == flags
    finally:
        terminal.close()


def test_resizing_in_the_middle_of_everything(home: Home) -> None:
    terminal = Terminal(["-m", "flux_tui", "replay", str(RECORDING)], (200, 60))
    try:
        terminal.wait_text("entries")
        terminal.press("t#300\rP")
        for size in ((60, 20), (80, 24), (20, 5), (1, 1), (120, 40)):
            mark = len(terminal.written)
            terminal.resize(*size)
            terminal.wait_written(mark)
        mark = len(terminal.written)
        terminal.press(" ")
        terminal.wait_text("frozen", mark)
        mark = len(terminal.written)
        terminal.press("?")
        terminal.wait_text("Push a want", mark)
        terminal.press("?")
        pressed = terminal.press("q")
        status, ended = terminal.wait_end()
        assert status == 0
        assert ended - pressed < soon()
    finally:
        terminal.close()


@on_asyncio
async def test_a_dashboard_error_is_written_to_a_file_not_to_the_screen(live: Live, tmp_path: Path) -> None:
    app = live.dashboard(crash_log=tmp_path / "crash.log")
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.call_later(lambda: 1 / 0)
        while app.is_running and not app._exit:  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.01)
    assert app.return_code == 1
    assert "ZeroDivisionError" in (tmp_path / "crash.log").read_text()
    assert app.return_value is True, "the node has no part in it, and runs on"


@on_asyncio
async def test_a_focus_that_came_late_is_no_error_when_the_screens_are_closed(live: Live) -> None:
    app = live.dashboard()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("5")
        panel = app.focused
        assert panel is not None
        await pilot.press("1")
    assert not app.screen_stack
    app._focus_came(events.DescendantFocus(panel))
    assert app.parts.panels.current == "series"


def test_a_dashboard_that_failed_ends_with_status_1_and_a_report_in_the_home(home: Home) -> None:
    home.prepare()
    program = f"""
import sys
from flux_tui.cli import run
from flux_tui.ui.dashboard.app import Dashboard
Dashboard.action_do = lambda self, name: 1 / 0
sys.exit(run(["replay", {str(RECORDING)!r}]))
"""
    terminal = Terminal(["-c", program], (80, 24), FLUX_TUI_HOME=str(home.path))
    try:
        terminal.wait_text("entries")
        mark = len(terminal.written)
        terminal.press("?")
        status, _ = terminal.wait_end()
        assert status == 1
        until(lambda: "flux-tui: the dashboard failed; the report is in" in terminal.text(mark))
        assert "ZeroDivisionError" in home.crash_log.read_text()
    finally:
        terminal.close()


@on_asyncio
async def test_who_leaves_before_the_first_frame_starts_no_node(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that was pressed early is handled before the first frame is drawn."""
    drawn: list[bool] = []
    on_mount = Dashboard.on_mount
    with monkeypatch.context() as early:
        early.setattr(Dashboard, "on_mount", lambda app: (on_mount(app), app.exit(False))[0])
        app = Dashboard(live.node, crash_log=tmp_path / "crash.log", drawn=lambda: drawn.append(True))
        assert await app.run_async(headless=True) is False
    assert not (tmp_path / "crash.log").exists()
    assert not drawn
    seen = Dashboard(live.node, drawn=lambda: drawn.append(True))
    async with seen.run_test() as pilot:
        await pilot.pause()
        assert drawn == [True]
