"""The home: one writer at a time, private to its user, with a socket that nobody else can take over."""

import contextlib
import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import trio

import flux_tui.home
from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import MAX_COMMAND, Command
from flux_tui.core.ids import raw_cid
from flux_tui.home import (
    ENVIRONMENT,
    MAX_SOCKET_PATH,
    Home,
    HomeBusyError,
    HomeError,
    NoNodeError,
    default_home,
)
from flux_tui.node.command_socket import serve_inbox
from tests.support.rights import without_rights

RETRY = cmd.Retry()

LOCKER = """
import sys
from flux_tui.home import Home
with Home(sys.argv[1]).lock():
    print("locked", flush=True)
    sys.stdin.read()
"""


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


@contextmanager
def locker(path: Path) -> Iterator["subprocess.Popen[str]"]:
    """Another process that has locked a home."""
    process = subprocess.Popen(
        [sys.executable, "-c", LOCKER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "locked\n"
        yield process
    finally:
        process.kill()
        process.wait(timeout=20)
        process.stdin.close()
        process.stdout.close()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "home")


@pytest.fixture
def far(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose path is too long for the address of a socket."""
    with tempfile.TemporaryDirectory(prefix="flux-") as short:
        monkeypatch.setattr(tempfile, "tempdir", short)
        yield Home(tmp_path / ("long" * 30))


# ── the lock ────────────────────────────────────────────────────────────────────────────────────


def test_nothing_is_created_before_the_home_is_locked(home: Home) -> None:
    assert home.running() is None
    assert not home.listening()
    assert home.last_port() is None
    with pytest.raises(NoNodeError, match=r"no node is running for .*: start one with `flux-tui node`"):
        home.push(RETRY)
    assert not home.path.exists()


def test_a_second_process_is_refused_with_the_pid_of_the_first(home: Home) -> None:
    with home.lock():
        assert home.running() == os.getpid()
        with pytest.raises(HomeBusyError, match=f"in use by the node with pid {os.getpid()}: stop it"):
            home.lock().__enter__()
        assert home.running() == os.getpid(), "who was refused took nothing away"
    assert home.running() is None
    with home.lock():
        assert home.running() == os.getpid()


def test_the_lock_ends_with_its_context(home: Home) -> None:
    with pytest.raises(ZeroDivisionError), home.lock():
        raise ZeroDivisionError
    assert home.running() is None


def test_a_killed_process_leaves_nothing_to_clean_up(home: Home) -> None:
    with locker(home.path) as other:
        assert home.running() == other.pid
        with pytest.raises(HomeBusyError, match=f"pid {other.pid}:"):
            home.lock().__enter__()
        other.kill()
        other.wait(timeout=20)
        assert home.running() is None
        with home.lock():
            assert home.running() == os.getpid()


def test_checking_a_home_blocks_nobody(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """`running` takes the lock for a moment, shared with others. A process that starts then waits for it."""
    home.prepare()
    looker = os.open(home.path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(looker, fcntl.LOCK_SH)
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        fcntl.flock(looker, fcntl.LOCK_UN)

    monkeypatch.setattr(time, "sleep", sleep)
    assert home.running() is None, "two may look at the same time"
    with home.lock():
        assert home.running() == os.getpid()
    assert len(waited) == 1
    os.close(looker)


def test_a_process_that_checks_for_ever_is_not_waited_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux_tui.home, "LOOK_SECONDS", 0.0)
    home.prepare()
    looker = os.open(home.path / "lock", os.O_RDWR | os.O_CREAT)
    fcntl.flock(looker, fcntl.LOCK_SH)
    with pytest.raises(HomeBusyError, match="in use"):
        home.lock().__enter__()
    os.close(looker)


def test_a_lock_whose_pid_cannot_be_read_is_a_lock(home: Home) -> None:
    home.prepare()
    (home.path / "lock").write_bytes(b"\xff\xfe no pid")
    with (home.path / "lock").open("rb") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert home.running() == 0
        with pytest.raises(HomeBusyError, match="no pid"):
            home.lock().__enter__()
    with home.lock():
        assert (home.path / "lock").read_text() == str(os.getpid())


def test_a_full_disk_is_one_sentence_and_leaves_no_lock(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "pwrite", full)
        with pytest.raises(HomeError, match="cannot be written: no space left on device"):
            home.lock().__enter__()
    assert home.running() is None
    with home.lock():
        pass


# ── private, and said clearly where it cannot be ────────────────────────────────────────────────


async def test_home_and_socket_are_private_with_any_umask(home: Home) -> None:
    before = os.umask(0)
    try:
        with home.lock():
            async with trio.open_nursery() as nursery:
                await nursery.start(serve_inbox, home, print)
                assert stat.S_ISSOCK(home.socket.lstat().st_mode)
                assert mode(home.path) == 0o700
                assert mode(home.path / "lock") == 0o600
                assert mode(home.socket) == 0o600
                assert home.listening()
                nursery.cancel_scope.cancel()
    finally:
        os.umask(before)
    assert not home.socket.exists()
    assert not home.listening()


def test_a_home_open_to_all_is_made_private(home: Home) -> None:
    home.path.mkdir(mode=0o755)
    home.path.chmod(0o777)
    home.prepare()
    assert mode(home.path) == 0o700


def test_a_home_that_is_a_file(home: Home) -> None:
    home.path.write_text("mine")
    with pytest.raises(HomeError, match=f"the home {home.path} is a file, not a folder"):
        home.lock().__enter__()
    assert home.path.read_text() == "mine"
    with pytest.raises(HomeError, match="cannot be made: a part of its path is a file"):
        Home(home.path / "below" / "it").prepare()
    assert Home(home.path / "below").running() is None


def test_a_home_in_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with without_rights(), pytest.raises(HomeError, match="closed/home cannot be written: permission denied"):
        Home(closed / "home").prepare()
    assert list(closed.iterdir()) == []


def test_a_lock_that_cannot_be_opened(home: Home) -> None:
    (home.path / "lock").mkdir(parents=True)
    with pytest.raises(HomeError, match="cannot be written: is a directory"):
        home.lock().__enter__()


def test_the_default_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv(ENVIRONMENT, "~/here")
    assert default_home() == tmp_path / "here"
    monkeypatch.delenv(ENVIRONMENT)
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert default_home().is_relative_to(tmp_path)
    assert default_home().name == "flux-tui"


# ── long paths ──────────────────────────────────────────────────────────────────────────────────


async def test_the_socket_of_a_long_path_is_found_with_any_temporary_folder(
    far: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(os.fsencode(far.socket)) > MAX_SOCKET_PATH
    taken: list[Command] = []
    places = [tmp_path / "one", tmp_path / "two", tmp_path / ("deep" * 30)]
    with far.lock():
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_inbox, far, taken.append)
            assert stat.S_ISSOCK(far.socket.lstat().st_mode)
            assert mode(far.socket) == 0o600
            for place in places:
                place.mkdir()
                monkeypatch.setattr(tempfile, "tempdir", str(place))
                assert await trio.to_thread.run_sync(far.listening)
                await trio.to_thread.run_sync(far.push, RETRY)
                assert list(place.iterdir()) == [], "nothing is left"
            nursery.cancel_scope.cancel()
    assert taken == [RETRY] * len(places)
    assert not far.socket.exists()


def test_the_address_of_a_socket_is_short(home: Home, far: Home) -> None:
    edge = Home("/" + "x" * (MAX_SOCKET_PATH - len("//node.sock")))
    for short in (home, edge):
        with short.socket_address() as address:
            assert address == str(short.socket)
    far.prepare()
    (far.path / "node.sock").touch()
    with far.socket_address() as address:
        assert len(os.fsencode(address)) <= MAX_SOCKET_PATH
        assert Path(address).samefile(far.socket)
        assert mode(Path(address).parent.parent) == 0o700, "nobody else can put another link there"
    assert not Path(address).parent.parent.exists()


def test_a_missing_folder_for_the_short_link(far: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/nothing here")
    with pytest.raises(
        HomeError, match="is too long for a socket, and no short link to it can be made: no such"
    ):
        far.push(RETRY)


# ── pushing to who does not take it ─────────────────────────────────────────────────────────────


@contextmanager
def deaf(home: Home, backlog: int) -> Iterator[socket.socket]:
    """A node that hangs: it listens, and accepts nothing."""
    home.prepare()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(home.socket))
        listener.listen(backlog)
        yield listener


def test_a_command_that_is_too_large_is_not_pushed(home: Home) -> None:
    many = cmd.WantMany((raw_cid(b"x"),) * (MAX_COMMAND // 60))
    with pytest.raises(HomeError, match=r"too much for one command \(4,\d+,\d+ bytes\): push it in parts"):
        home.push(RETRY, many)


def test_a_node_that_hangs_is_reported(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flux_tui.home, "PUSH_TIMEOUT", 0.05)
    with deaf(home, 4), pytest.raises(HomeError, match="does not take commands: timed out"):
        home.push(RETRY)


def test_a_node_that_is_busy_with_parts_of_a_long_list_is_waited_for(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flux_tui.home, "PUSH_TIMEOUT", 0.05)
    with deaf(home, 4) as listener:

        def take() -> None:
            time.sleep(0.2)
            accepted, _ = listener.accept()
            with accepted:
                while accepted.recv(65_536):
                    pass

        busy = threading.Thread(target=take)
        busy.start()
        home.push(cmd.WantMany((raw_cid(b"x"),) * 4000), many=True)
        busy.join()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue looks like no node")
def test_a_node_with_a_full_queue_is_waited_for(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with deaf(home, 0) as listener, contextlib.ExitStack() as stack:

        def fill() -> None:
            with contextlib.suppress(BlockingIOError):
                while True:
                    waiting = stack.enter_context(socket.socket(socket.AF_UNIX))
                    waiting.setblocking(False)
                    waiting.connect(str(home.socket))

        fill()
        with monkeypatch.context() as patched:
            patched.setattr(flux_tui.home, "PUSH_TIMEOUT", 0.05)
            with pytest.raises(HomeError, match="does not take commands: too many wait") as refused:
                home.push(RETRY)
        assert not isinstance(refused.value, NoNodeError), "there is one, after all"
        listener.setblocking(False)

        def take(_: float) -> None:
            stack.enter_context(listener.accept()[0])

        monkeypatch.setattr(time, "sleep", take)
        assert home.listening(), "as soon as there is room"


# ── the port ────────────────────────────────────────────────────────────────────────────────────


def test_the_port_is_remembered(home: Home) -> None:
    home.prepare()
    assert home.last_port() is None
    home.remember_port(4001)
    assert Home(home.path).last_port() == 4001
    home.remember_port(65535)
    assert home.last_port() == 65535


@pytest.mark.parametrize("text", [b"", b"x", b"0", b"-1", b"65536", b"4001 4002", b"\xff\xfe", b"1e3"])
def test_an_invalid_remembered_port_is_ignored(home: Home, text: bytes) -> None:
    home.prepare()
    home.port.write_bytes(text)
    assert home.last_port() is None


@pytest.mark.parametrize("text", [b"", b"[1]", b'"--listen"', b"\xff", b"{"])
def test_flags_are_remembered_and_invalid_ones_ignored(home: Home, text: bytes) -> None:
    home.prepare()
    assert home.last_flags() is None
    home.remember_flags(["--listen", "/ip4/127.0.0.1/tcp/0"])
    assert home.last_flags() == ["--listen", "/ip4/127.0.0.1/tcp/0"]
    (home.path / "flags").write_bytes(text)
    assert home.last_flags() is None


def test_an_unwritable_home_forgets_silently(home: Home) -> None:
    home.remember_port(4001)
    assert not home.path.exists()
    home.port.mkdir(parents=True)
    home.remember_port(4001)
    assert home.last_port() is None
