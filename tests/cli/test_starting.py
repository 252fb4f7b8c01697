"""Starting a node in the background, with its old flags, also while the node before is stopping."""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from flux_tui.cli import background
from flux_tui.cli.background import START_SECONDS, StartDeadline
from flux_tui.cli.commands.dashboard import Starter
from flux_tui.home import Home, HomeError

LOCAL = {"listen": ("/ip4/127.0.0.1/tcp/4001",), "no_mdns": True}
FLAGS = ["--listen", "/ip4/127.0.0.1/tcp/4001", "--no-mdns"]


class Started:
    """Stands in for a process that goes on."""

    def __init__(self, command: list[str], **how: Any) -> None:
        self.command = command

    def poll(self) -> int | None:
        return None


def test_a_new_node_is_started_after_one_that_is_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / "home")
    started: list[Any] = []
    pids = iter([7, 7])  # it runs at the first two checks; then it is gone
    monkeypatch.setattr(home, "running", lambda: next(pids, None))
    monkeypatch.setattr(home, "listening", lambda: bool(started))
    monkeypatch.setattr(subprocess, "Popen", Started)
    assert background.ensure_node(home, FLAGS, started=lambda process: started.append(process))
    (process,) = started
    assert process.command[-len(FLAGS) :] == FLAGS


def test_a_node_that_listens_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = Home(tmp_path / "home")
    monkeypatch.setattr(home, "running", lambda: 7)
    monkeypatch.setattr(home, "listening", lambda: True)
    monkeypatch.setattr(subprocess, "Popen", None)
    home.prepare()
    home.remember_flags(FLAGS)
    assert not background.ensure_node(home, FLAGS)


def test_a_restart_uses_the_last_flags_or_those_of_the_failed_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed first start, the flags of an older node must not open this one to a network."""
    home, fails = Home(tmp_path / "home"), True
    given: list[list[str]] = []

    def ensure_node(home: Home, flags: list[str], *, started: object, tell: object) -> bool:
        given.append(flags)
        if fails:
            raise HomeError("the port is taken")
        home.remember_flags(flags)
        return True

    monkeypatch.setattr(background, "ensure_node", ensure_node)
    home.prepare()
    home.remember_flags([])  # flags of an old node that was open to every network
    starter = Starter(home, LOCAL)
    for start in (starter.start, starter.restart):
        start()
        starter.wait()
        assert starter.trouble == "the port is taken"
    fails = False
    starter.restart()
    starter.wait()
    assert starter.trouble is None
    home.remember_flags(["--no-mdns"])  # another process has started it meanwhile
    starter.restart()
    starter.wait()
    assert given == [FLAGS, FLAGS, FLAGS, ["--no-mdns"]]


def test_a_node_that_reads_a_long_series_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    home, now = Home(tmp_path / "home"), 1000.0
    home.prepare()
    home.note_opening(5, 10)  # left by a node that was killed
    monkeypatch.setattr("flux_tui.cli.background.time.monotonic", lambda: now)
    deadline = StartDeadline(home)
    now += START_SECONDS - 1
    assert not deadline.is_over()
    home.note_opening(1_000_000, 10_000_000)
    now += 1
    assert not deadline.is_over(), "it has read entries"
    now += START_SECONDS - 1
    assert not deadline.is_over()
    now += 1
    assert deadline.is_over(), "it has read none since"
    assert capsys.readouterr().err == (
        "The node reads its series before it starts: 1,000,000 of 10,000,000 entries.\n"
    )
