"""Every scenario reaches its stated outcome, and leaves nothing behind: no file, no process."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from flux_tui.demo.scenario import load, names
from flux_tui.demo.scenario_player import busy
from tests.bench.nodes import wait_for
from tests.support.demos import processes_of


def start(arguments: list[str], folder: Path) -> "subprocess.Popen[str]":
    environment = dict(os.environ, TMPDIR=str(folder))
    return subprocess.Popen(
        [sys.executable, "-m", "flux_tui", "demo", *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment,
    )  # fmt: skip


@pytest.mark.parametrize("name", names())
def test_the_stated_outcome_is_observed(name: str, folder: Path) -> None:
    process = start(["--check", name], folder)
    out, err = process.communicate(timeout=170 * busy())
    assert process.returncode == 0, out + err
    assert out.count("✓") == len(load(name).steps) + 1
    assert "the stated outcome was observed" in out


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_leaves_nothing_however_it_ends(number: signal.Signals, folder: Path) -> None:
    process = start(["--check", "race"], folder)
    wait_for(
        lambda: len(processes_of(folder)) >= 4, seconds=30 * busy()
    )  # the parent process, and three nodes
    process.send_signal(number)
    began = time.monotonic()
    process.communicate(timeout=20)
    assert process.returncode not in (0, None)
    assert time.monotonic() - began < 10


def test_the_parent_process_of_the_nodes_is_killed(folder: Path) -> None:
    """Its nodes then end by themselves, and the demo says what happened."""
    process = start(["--check", "race"], folder)
    wait_for(lambda: len(processes_of(folder)) >= 4, seconds=30 * busy())
    os.kill(min(processes_of(folder)), signal.SIGKILL)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the process that has the nodes ended" in out
    assert "outcome was not observed" in err


def test_the_list(tmp_path: Path) -> None:
    process = start(["--list"], tmp_path)
    out, _ = process.communicate(timeout=20)
    assert [line.split()[0] for line in out.splitlines()] == list(names())
    assert out.splitlines()[0].endswith(f"{load('hello').about} (1 min)")


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        (["nonsense"], 1, "there is no scenario 'nonsense': there are hello"),
        (["hello", "--check", "--record", "x.cast"], 2, "choose one"),
        (["hello", "--size", "huge"], 2, "expected COLUMNSxROWS"),
        (["hello", "--size", "10x10"], 2, "too small"),
        (["hello"], 1, "needs a terminal"),
        ([], 1, "needs a terminal"),
        (["--web", "--check"], 2, "--web shows it"),
        (["hello", "--speed", "0"], 2, "--speed"),
    ],
)
def test_wrong_use_is_one_sentence(arguments: list[str], status: int, words: str, tmp_path: Path) -> None:
    process = start(arguments, tmp_path)
    out, err = process.communicate(timeout=20)
    assert (process.returncode, out) == (status, "")
    assert words in err
    assert "Traceback" not in err
