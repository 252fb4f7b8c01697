"""Files of what came through a pipe: they stay while somebody needs them or writes them, and no longer."""

import os
from pathlib import Path

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.home import Home
from flux_tui.node.offline import add_offline, remove_offline
from flux_tui.store.disk.piped_files import PIPED, PipedFile, is_piped, sweep
from flux_tui.store.store import Store


def files(home: Path) -> list[str]:
    return sorted(path.name for path in (home / PIPED).glob("*/*"))


def test_it_is_deleted_unless_it_is_kept(tmp_path: Path) -> None:
    with PipedFile(tmp_path, "a") as first:
        first.write(b"12")
        first.write(memoryview(b"34"))
        assert first.path.read_bytes() == b"1234"
        assert is_piped(tmp_path, first.path)
        assert not is_piped(tmp_path, tmp_path / "a")
    with PipedFile(tmp_path, "b") as second:
        second.keep()
    with pytest.raises(KeyError), PipedFile(tmp_path, "c"):
        raise KeyError
    assert files(tmp_path) == ["b"]
    assert len(list((tmp_path / PIPED).iterdir())) == 1, "no empty folder is left"


def test_bytes_of_a_pipe_are_moved_behind_those_before(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    try:
        with PipedFile(tmp_path, "a") as piped:
            piped.write(b"12")
            os.write(writing, b"3456")
            moved = piped.move_from(reading, 3)
            if not hasattr(os, "splice"):
                assert moved is None
                return
            assert (moved, piped.move_from(reading, 100)) == (3, 1)
            assert piped.path.read_bytes() == b"123456"
            os.close(writing)
            writing = -1
            assert piped.move_from(reading, 100) == 0, "the pipe has ended"
            with (tmp_path / "file").open("w+b") as file:
                assert piped.move_from(file.fileno(), 100) is None, "no pipe"
            assert piped.move_from(9_999, 100) is None, "a read says what is wrong"
    finally:
        os.close(reading)
        if writing >= 0:
            os.close(writing)


def test_only_what_nobody_needs_or_writes_is_swept(tmp_path: Path) -> None:
    for name in ("needed", "left"):
        with PipedFile(tmp_path, name) as piped:
            piped.keep()
    with PipedFile(tmp_path, "written"):
        sweep(tmp_path, lambda path: path.name == "needed")
        assert files(tmp_path) == ["needed", "written"]
    sweep(tmp_path / "missing", lambda path: False)


def test_it_goes_with_its_object_and_a_killed_program_leaves_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with PipedFile(home.path, "x") as piped:
        piped.write(b"x" * 3_000_000)
        root = add_offline(home, piped.path, "mark", lambda done, size: None, print).root
        piped.keep()
    with PipedFile(home.path, "never shared") as killed:
        killed.keep()
    Store.open(home.path).close()
    assert files(home.path) == ["x"]
    mine = tmp_path / "mine"
    mine.write_bytes(b"y")
    other = add_offline(home, mine, "mark", lambda done, size: None, print).root
    remove_offline(home, cmd.Remove((other,)))
    assert files(home.path) == ["x"], "another object's end changes nothing"
    remove_offline(home, cmd.Remove((root,)))
    assert files(home.path) == []
    assert mine.exists()


def test_its_bytes_stay_where_another_object_has_them(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    data = b"".join(bytes([number]) * (1 << 20) for number in range(3))
    with PipedFile(home.path, "x") as piped:
        piped.write(data)
        root = add_offline(home, piped.path, "mark", lambda done, size: None, print).root
        piped.keep()
    (tmp_path / "longer").write_bytes(data + b"more")
    longer = add_offline(home, tmp_path / "longer", "mark", lambda done, size: None, print).root
    remove_offline(home, cmd.Remove((root,)))
    store = Store.open(home.path)
    assert all(store.chunks.read_block(cid) is not None for cid in store.chunks.cids())
    assert store.chunks.read_block(raw_cid(data[: 1 << 20])) == data[: 1 << 20]
    assert longer in store.chunks
    store.close()
