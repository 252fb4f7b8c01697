"""A pipe, a socket, a device or a folder in the place of a file: nothing waits for it, and nothing reads it."""

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flux_tui.config import Settings, SettingsError
from flux_tui.core.ids import raw_cid
from flux_tui.home import Home, HomeError
from flux_tui.net.identity import load_or_create
from flux_tui.net.port import NetworkError
from flux_tui.net.upstream.pnet import load_swarm_key
from flux_tui.regular_files import NotRegularError, open_regular, write_regular
from flux_tui.store.database import StoreError
from flux_tui.store.store import Store
from flux_tui.ui.widgets.prompt import History
from tests.support.blocks import MIB, ROOT, chunk, shared


def pipe(path: Path) -> None:
    os.mkfifo(path)


def listener(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # its whole path may be too long for an address
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def folder(path: Path) -> None:
    path.mkdir()


KINDS = (pipe, listener, device, folder)
Maker = Callable[[Path], None]


@contextmanager
def unstuck(path: Path) -> Iterator[None]:
    """Open the other end of a pipe after a while, so that a failing test ends, too."""
    if not path.is_fifo():
        yield
        return
    ends: list[int] = []

    def give() -> None:
        ends.append(os.open(path, os.O_RDWR | os.O_NONBLOCK))

    timer = threading.Timer(5, give)
    timer.start()
    try:
        yield
    finally:
        waited = not timer.is_alive()
        timer.cancel()
        timer.join()
        for end in ends:
            os.close(end)
    assert not waited, "it waited for the other end of a pipe"


@pytest.mark.parametrize(
    "flags", [os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC]
)
@pytest.mark.parametrize("make", KINDS)
def test_only_files_are_opened(tmp_path: Path, make: Maker, flags: int) -> None:
    path = tmp_path / "it"
    make(path)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    with unstuck(path), pytest.raises(IsADirectoryError if make is folder else NotRegularError) as told:
        open_regular(path, flags)
    assert told.value.strerror
    assert told.value.filename == str(path)
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


def test_a_regular_file_is_opened_as_usual(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_regular(path, b"bytes")
    descriptor = open_regular(path)
    assert os.read(descriptor, 9) == b"bytes"
    assert not os.get_inheritable(descriptor)
    os.close(descriptor)
    with pytest.raises(FileNotFoundError):
        open_regular(tmp_path / "none")


@pytest.mark.parametrize("make", KINDS)
def test_a_shared_file_that_became_something_else_is_lost(tmp_path: Path, make: Maker) -> None:
    store = Store.open(tmp_path / "home")
    path, (cid, data) = tmp_path / "shared", chunk(1)
    shared(store, path, data, cid)
    path.unlink()
    make(path)
    for wait in (False, True):
        with unstuck(path):
            result = store.chunks.read([cid], wait=wait)
        assert result is not None
        assert not result.chunks
        (lost,) = result.lost
        assert lost.cids == (cid,)
        assert "cannot be read" in lost.why
    store.close()


@pytest.mark.parametrize("make", KINDS)
def test_a_spare_copy_that_became_something_else_is_skipped(tmp_path: Path, make: Maker) -> None:
    store = Store.open(tmp_path / "home")
    cid, data = chunk(1)
    for name in ("a", "b", "c"):
        shared(store, tmp_path / name, data, cid)
    (tmp_path / "c").unlink()
    (tmp_path / "b").unlink()
    make(tmp_path / "b")
    with unstuck(tmp_path / "b"):
        assert store.chunks.read([cid]).chunks == [(cid, data)]
    store.close()


@pytest.mark.parametrize("make", KINDS)
def test_an_unfinished_download_that_became_something_else(tmp_path: Path, make: Maker) -> None:
    store = Store.open(tmp_path / "home")
    cid, data = chunk(1)
    store.objects.open_tree(ROOT, tmp_path / "film")
    store.objects.place_file(ROOT, "", 2 * MIB)
    store.objects.place_leaves(ROOT, "", [(cid, 0, MIB)])
    (part,) = tmp_path.glob(".film*")
    part.unlink()
    make(part)
    with unstuck(part), pytest.raises(StoreError):
        store.objects.land(cid, data)
    with unstuck(part), pytest.raises(StoreError):
        store.objects.finish_tree(ROOT)
    store.close()


@pytest.mark.parametrize("make", KINDS)
def test_the_files_of_a_home(tmp_path: Path, make: Maker) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    for path in (
        home.settings,
        home.identity,
        home.port,
        home.path / "flags",
        home.path / "lock",
        home.path / "key",
    ):
        make(path)
    history = home.path / "history"
    make(history)
    with unstuck(home.settings), pytest.raises(SettingsError):
        Settings.load(home)
    with unstuck(home.identity), pytest.raises(NetworkError):
        load_or_create(home.identity)
    with unstuck(home.path / "key"), pytest.raises(NetworkError):
        load_swarm_key(home.path / "key")
    with unstuck(home.port):
        assert home.last_port() is None
        home.remember_port(7)
    with unstuck(home.path / "flags"):
        assert home.last_flags() is None
        home.remember_flags(["--no-mdns"])
    with unstuck(home.path / "lock"):
        assert home.running() is None
        with pytest.raises(HomeError), home.lock():
            raise AssertionError("locked")
    with unstuck(history):
        assert History(history).of("command") == []


def test_a_symbolic_link_to_a_file_is_that_file(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    (tmp_path / "real").write_bytes(b"bytes")
    link = tmp_path / "link"
    shared(store, tmp_path / "real", b"bytes", raw_cid(b"bytes"))
    link.symlink_to("real")
    descriptor = open_regular(link)
    os.close(descriptor)
    with pytest.raises(OSError, match="symbolic links"):
        open_regular(link, os.O_RDONLY | os.O_NOFOLLOW)
    store.close()
