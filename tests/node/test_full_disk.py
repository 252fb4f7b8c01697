"""A full or nearly full disk: a fetch waits, says so, and goes on by itself when there is room."""

import errno
import os
import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.fetching.downloads import write_backoff
from flux_tui.core.limits import Backoff
from flux_tui.node.node import FluxNode
from flux_tui.store.disk import disk_space
from tests.support.nodes_here import LOOPBACK, share, until

MIB = 1 << 20


@pytest.fixture(autouse=True)
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the retry come after a moment."""
    monkeypatch.setattr(write_backoff, "PAUSE", Backoff(0.2, 0.2))


class Disk:
    """Simulates the free space of the disk of one folder."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, free: int) -> None:
        self.free = free

        def statvfs(path: Path) -> Any:
            if not Path(path).is_relative_to(folder):
                return os.statvfs(path)
            return SimpleNamespace(
                f_bavail=self.free, f_frsize=1, f_blocks=1 << 40, f_files=0, f_favail=0
            )  # fmt: skip

        monkeypatch.setattr(disk_space, "os", SimpleNamespace(statvfs=statvfs))


async def test_an_object_without_room_waits_until_there_is_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = random.Random(1).randbytes(3 * MIB)
    (tmp_path / "film.mkv").write_bytes(data)
    target = tmp_path / "there"
    target.mkdir()
    disk = Disk(monkeypatch, target, 10 * MIB)
    keeping = msgspec.structs.replace(LOOPBACK, keep_free=8 * MIB)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", keeping) as b:
        root = await share(a, tmp_path / "film.mkv")
        b.push_intent(cmd.Get(root, str(target / "film.mkv"), None, len(data), a.addrs, "me"))
        await until(lambda: (p := b.derive_state().pending.get(root)) is not None and p.cause == "unwritten")
        pending = b.derive_state().pending[root]
        assert pending.trouble is not None
        assert pending.trouble.startswith("there is no room: 2.0 MiB may be written")
        assert "keeps 8.0 MiB free (keep_free), and 3.0 MiB are needed" in pending.trouble
        assert os.listdir(target) == [], "not a byte of it"
        assert b.derive_state().errors == 1, "it is told once"
        disk.free = 12 * MIB
        await until(lambda: not b.count_pending())
        assert (target / "film.mkv").read_bytes() == data
        assert b.derive_state().errors == 1


async def test_a_disk_that_fills_up_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = random.Random(1).randbytes(20 * MIB)
    (tmp_path / "film.mkv").write_bytes(data)
    target = tmp_path / "there"
    target.mkdir()
    disk = Disk(monkeypatch, target, 1000 * MIB)
    slow = msgspec.structs.replace(LOOPBACK, upload_limit=20 * MIB)
    async with FluxNode.open(tmp_path / "a", slow) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "film.mkv")
        b.push_intent(cmd.Get(root, str(target / "film.mkv"), None, len(data), a.addrs, "me"))
        await until(lambda: b.derive_state().chunk_count > 3)
        disk.free = 0
        await until(lambda: (p := b.derive_state().pending.get(root)) is not None and bool(p.trouble))
        came = b.derive_state().chunk_count
        assert came < 21
        disk.free = 1000 * MIB
        await until(lambda: not b.count_pending(), 60)
        assert (target / "film.mkv").read_bytes() == data
        state = b.derive_state()
        assert state.chunk_count == 21
        # One sentence; another one if a chunk that was being written as the disk filled up came in between.
        assert 1 <= state.errors <= 3


async def test_a_disk_on_which_no_folder_can_be_made_for_a_while(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The whole fetch used to be given up, and its partial data stayed for ever."""
    tree = tmp_path / "tree"
    for number in range(30):
        (tree / f"{number}").mkdir(parents=True)
        (tree / f"{number}" / "note").write_text(f"{number}")
    real, full = os.mkdir, True

    def mkdir(path: Any, *args: Any, **kwargs: Any) -> None:
        if full and kwargs.get("dir_fd") is not None:
            raise OSError(errno.ENOSPC, "No space left on device", path)
        real(path, *args, **kwargs)

    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tree)
        monkeypatch.setattr(os, "mkdir", mkdir)
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs, "me"))
        await until(lambda: (p := b.derive_state().pending.get(root)) is not None and bool(p.trouble))
        assert "the disk is full" in str(b.derive_state().pending[root].trouble)
        full = False
        await until(lambda: not b.count_pending())
    assert {path.read_text() for path in (tmp_path / "copy").glob("*/note")} == {str(n) for n in range(30)}
