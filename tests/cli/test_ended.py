"""However `get` ends, the node does not go on by itself, unless it was told to. No empty file or folder is left."""

import io
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trio

from flux_tui import signals
from flux_tui.cli import run
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.home import Home
from flux_tui.node.serve import serve
from flux_tui.signals import Ended, ended_by_signals
from tests.bench.nodes import Node, flux, running, state, wait_for

FILE, FOLDER = raw_cid(b"nobody has this"), dag_cid(b"nor this")


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    node = Node(tmp_path_factory.mktemp("node") / "home")
    with running(node):
        yield node.home


def get(home: Path, root: Cid, out: Path, *flags: str, **how: Any) -> "subprocess.Popen[bytes]":
    """Start a `get`, and wait until it waits for peers."""
    process = subprocess.Popen(
        [sys.executable, "-m", "flux_tui", "get", root, "-o", str(out), "--home", str(home), *flags],
        stderr=subprocess.PIPE, **how,
    )  # fmt: skip
    wait_for(lambda: [pending["cid"] for pending in state(home)["pending"]] == [root])
    return process


def part(out: Path) -> list[Path]:
    return [path for path in out.parent.iterdir() if path.name.endswith(".flux-part")]


@pytest.mark.parametrize("root", [FILE, FOLDER], ids=["file", "folder"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_cancels_the_want(home: Path, tmp_path: Path, number: signal.Signals, root: Cid) -> None:
    process = get(home, root, tmp_path / "x")
    process.send_signal(number)
    process.send_signal(number)  # as `timeout` does: to the command, and to its group
    _, words = process.communicate(timeout=60)
    assert process.returncode == 128 + number
    assert words.decode().endswith("Interrupted before anything arrived: the same command asks again.\n")
    assert state(home)["pending"] == []
    wait_for(lambda: not part(tmp_path / "x"))


def test_a_closed_pipe_cancels_the_want(home: Path, tmp_path: Path) -> None:
    """`flux-tui get --json … | head -1`"""
    with get(home, FILE, tmp_path / "x", "--json", stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"event":"progress"')
        process.stdout.close()
        assert process.wait(60) == 0
    assert state(home)["pending"] == []
    wait_for(lambda: not part(tmp_path / "x"))


def test_the_node_goes_on_if_told_to_or_if_it_wanted_it_before(home: Path, tmp_path: Path) -> None:
    for flags, words in (
        (["--go-on"], "The node goes on: "),
        ([], "It was wanted before, so the node goes on: "),
    ):
        process = get(home, FILE, tmp_path / "x", "--json", *flags, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.readline().startswith(b'{"event":"progress"'), "this one has begun"
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
        assert said.decode().endswith(f"{words}`flux-tui cancel {FILE}` ends that.\n")
        assert process.returncode == 143
        assert [pending["cid"] for pending in state(home)["pending"]] == [FILE]
    # A want for another place leaves nothing empty at the first one.
    Home(home).push(cmd.Get(FILE, str(tmp_path / "y")))
    wait_for(lambda: [path.name.startswith(".y.") for path in part(tmp_path / "y")] == [True])
    flux("cancel", FILE, home=home)
    wait_for(lambda: not part(tmp_path / "y"))


# ── signals ─────────────────────────────────────────────────────────────────────────────────────


def test_a_signal_unwinds_the_running_command(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(Ended) as ended, ended_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGHUP)  # a second signal while it unwinds: the end is the same
    assert ended.value.number == signal.SIGTERM
    assert signals.end_status(ended.value) == 143
    assert signal.getsignal(signal.SIGTERM) is before
    monkeypatch.setattr(signals, "AGAIN_SECONDS", -1.0)
    with pytest.raises(Ended) as again, ended_by_signals():
        try:
            os.kill(os.getpid(), signal.SIGTERM)
        finally:
            os.kill(os.getpid(), signal.SIGINT)  # a while later: unwinding takes too long
    assert again.value.number == signal.SIGINT


def test_a_signal_that_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with ended_by_signals():
            os.kill(os.getpid(), signal.SIGHUP)
            assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGHUP, before)


def test_no_signal_interrupts_the_event_loop_of_a_node(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """trio has its own handlers only while the node is served; around that, a signal must raise nothing."""
    given: list[list[int]] = []

    async def served(*arguments: Any) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await trio.lowlevel.checkpoint()
        given.append(list(arguments[-2]))

    monkeypatch.setattr("flux_tui.node.serve.serve", served)
    assert run(["node", "--home", str(tmp_path)]) == 0
    assert given == [[signal.SIGTERM]]


def test_a_node_that_was_to_stop_before_it_began_opens_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    trio.run(serve, home, Settings(), lambda *_: pytest.fail("it began"), (), [signal.SIGTERM])
    assert not home.path.exists()


def test_signals_are_not_handled_outside_the_main_thread() -> None:
    ran: list[bool] = []

    def body() -> None:
        with ended_by_signals():
            ran.append(True)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    assert ran == [True]


@pytest.mark.parametrize("ignored", [False, True], ids=["heard", "nohup"])
def test_a_hangup_stops_a_node_in_order_unless_it_is_ignored(tmp_path: Path, ignored: bool) -> None:
    node = Node(tmp_path / "home")
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN) if ignored else None
    try:
        node.start()
    finally:
        if ignored:
            signal.signal(signal.SIGHUP, before)
    with running():
        node.process.send_signal(signal.SIGHUP)
        if ignored:
            flux("retry", home=node.home)  # it takes commands as before
            assert Home(node.home).running() == node.process.pid
            assert node.stop() == 0
        else:
            assert node._reap() == 0
    assert '"event":"node_stopped"' in flux("series", "--json", home=node.home).stdout.splitlines()[-1]


# ── standard input ──────────────────────────────────────────────────────────────────────────────


def pushing(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    pushed: list[Any] = []
    monkeypatch.setattr(Home, "push", lambda _, *commands, **_options: pushed.extend(commands))
    monkeypatch.setattr("flux_tui.cli.commands.want_and_hold.ensure_node", lambda *_: False)
    return pushed


def given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8", errors="strict"))


def test_many_cids_are_pushed_in_parts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pushed = pushing(monkeypatch)
    cids = [raw_cid(str(number).encode()) for number in range(25_000)]
    given(monkeypatch, "\r\n".join(cids).encode())
    assert run(["want", "-", "--home", str(tmp_path)]) == 0
    assert [len(command.cids) for command in pushed] == [4_000] * 6 + [1_000]
    assert [cid for command in pushed for cid in command.cids] == cids


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (
            f"{FILE}\n".encode() + b"\xff\xfe\x00",
            "is not a CID: expected one that starts with bafk, bafy or Qm",
        ),
        (b"", "there was no CID on standard input"),
        (b"b" * 3000, "there is more than 2.0 KiB on standard input: push it in parts"),
    ],
)
def test_an_invalid_cid_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    data: bytes,
    words: str,
) -> None:
    pushed = pushing(monkeypatch)
    monkeypatch.setattr("flux_tui.cli.arguments.path_and_stdin_types.MAX_INPUT", 2048)
    given(monkeypatch, data)
    assert run(["want", "-", "--home", str(tmp_path)]) == 1
    assert words in capsys.readouterr().err
    assert pushed == [], "all of it, or nothing"


@pytest.mark.parametrize("command", ["want", "cancel", "retry", "release"])
def test_a_closed_standard_input(command: str, tmp_path: Path) -> None:
    script = 'exec "$@" <&-'
    arguments = [sys.executable, "-m", "flux_tui", command, "-", "--home", str(tmp_path / "home")]
    result = subprocess.run(
        ["sh", "-c", script, "sh", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (result.returncode, result.stderr) == (
        1,
        "flux-tui: there is nothing on standard input: it is closed\n",
    )


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the files of a process are seen in /proc")
def test_a_node_with_all_streams_closed(tmp_path: Path) -> None:
    """No file of the node may get the number of a standard stream and be written to by mistake."""
    home = tmp_path / "home"
    arguments = [sys.executable, "-m", "flux_tui", "node", "--home", str(home)]
    with subprocess.Popen(
        [
            "sh",
            "-c",
            'exec "$@" <&- >&- 2>&-',
            "sh",
            *arguments,
            "--listen",
            "/ip4/127.0.0.1/tcp/0",
            "--no-mdns",
        ]
    ) as process:
        try:
            wait_for(Home(home).listening)
            named = [os.readlink(f"/proc/{process.pid}/fd/{number}") for number in range(3)]
            assert named == [os.devnull] * 3
        finally:
            process.terminate()
        assert process.wait(60) == 0


def test_cancelling_many_wants_is_quick(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from flux_tui.core.series import events as ev
    from flux_tui.core.series.events import Entry
    from flux_tui.core.series.fold import derive

    pushed = pushing(monkeypatch)
    cids = [raw_cid(str(number).encode()) for number in range(40_000)]
    known = derive(Entry(number, 1.0, ev.Requested(cid=cid)) for number, cid in enumerate(cids, 1))
    monkeypatch.setattr("flux_tui.cli.commands.want_and_hold.settled", lambda *_: known)
    monkeypatch.setattr(Home, "running", lambda _: 7)
    given(monkeypatch, "\n".join(cids).encode())
    began = time.process_time()
    assert run(["cancel", "-", "--home", str(tmp_path)]) == 0
    assert time.process_time() - began < 10, "a list searched for each of them takes half a minute"
    assert sum(len(command.cids) for command in pushed) == len(cids)
