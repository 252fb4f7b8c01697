"""Permissions that cross: executable, private or read-only files stay so, and hostile permissions are not
applied.
"""

import os
import stat
from pathlib import Path

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.content.unixfs_trees import build_folder
from flux_tui.core.ids import raw_cid
from flux_tui.node.node import FluxNode
from flux_tui.store.disk import object_trees
from flux_tui.store.store import Store
from tests.support.blocks import NOTE, ROOT
from tests.support.nodes_here import LOOPBACK, share, until


def bits(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def make(folder: Path) -> dict[str, int]:
    """Make a folder with all kinds of permissions."""
    modes = {"run": 0o755, "key": 0o600, "fixed": 0o444, "empty": 0o755, "large": 0o750, "plain": 0o644}
    (folder / "private").mkdir(parents=True)
    (folder / "private" / "inside").write_bytes(b"inside")
    for name, mode in modes.items():
        data = b"" if name == "empty" else os.urandom(3 << 20) if name == "large" else name.encode()
        (folder / name).write_bytes(data)
        (folder / name).chmod(mode)
    (folder / "link").symlink_to("run")
    (folder / "private").chmod(0o500)
    return modes | {"private": 0o500}


async def test_permissions_cross_and_come_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_trees, "UMASK", 0o022)
    source = tmp_path / "source"
    modes = make(source)
    try:
        async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
            root = await share(a, source)
            b.push_intent(cmd.Get(root, str(tmp_path / "copy"), "x", None, a.addrs, "me"))
            await until(lambda: not b.count_pending())
            for name, mode in modes.items():
                if name != "plain":
                    assert bits(tmp_path / "copy" / name) == mode, name
            assert not bits(tmp_path / "copy" / "plain") & 0o111
            for path in source.rglob("*"):
                if path.is_file():
                    assert (tmp_path / "copy" / path.relative_to(source)).read_bytes() == path.read_bytes()
            (tmp_path / "copy" / "plain").chmod(0o644)
            assert await share(b, tmp_path / "copy") == root, "the copy is the same object"
            # Files in the home belong to the store.
            b.push_intent(cmd.Want(await share(a, source / "key")))
            await until(lambda: not b.count_pending())
            alone = await share(a, source / "run")
            b.push_intent(cmd.Get(alone, str(tmp_path / "alone"), "run", None, a.addrs, "me"))
            await until(lambda: not b.count_pending())
            assert bits(tmp_path / "alone") == 0o755
    finally:
        for folder in (source, tmp_path / "copy"):
            if (folder / "private").exists():
                (folder / "private").chmod(0o700)


@pytest.mark.parametrize("mode", [0o7777, 0o4755, 0o2755, 0o1755])
def test_dangerous_permission_bits_are_not_applied(
    tmp_path: Path, mode: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(object_trees, "UMASK", 0o022)
    store = Store.open(tmp_path / "home")
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")
    store.objects.place_mode(ROOT, "", mode)
    store.objects.place_file(ROOT, "run", 0)
    store.objects.place_mode(ROOT, "run", mode)
    store.objects.finish_tree(ROOT)
    assert bits(tmp_path / "got") & ~0o2000 == 0o755
    assert bits(tmp_path / "got" / "run") == 0o755
    store.close()


@pytest.mark.parametrize("mode", [0o000, 0o111, 0o222, 0o077])
def test_permissions_that_lock_out_the_owner_are_not_applied(tmp_path: Path, mode: int) -> None:
    store = Store.open(tmp_path / "home")
    store.objects.open_tree(ROOT, tmp_path / "got")
    store.objects.place_folder(ROOT, "")
    store.objects.place_mode(ROOT, "", mode)
    store.objects.place_file(ROOT, "file", 0)
    before = bits(next(tmp_path.glob(".got*")) / "file")
    store.objects.place_mode(ROOT, "file", mode)
    store.objects.finish_tree(ROOT)
    assert bits(tmp_path / "got" / "file") == before
    assert bits(tmp_path / "got") & 0o700 == 0o700
    store.close()


def test_the_umask_of_the_user_is_respected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_trees, "UMASK", 0o077)
    store = Store.open(tmp_path / "home")
    store.objects.open_tree(ROOT, tmp_path / "run")
    store.objects.place_file(ROOT, "", 0)
    store.objects.place_mode(ROOT, "", 0o777)
    store.objects.finish_tree(ROOT)
    assert bits(tmp_path / "run") == 0o700
    store.close()


def test_a_private_file_is_private_before_its_content_comes(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    store.objects.open_tree(ROOT, tmp_path / "key")
    store.objects.place_file(ROOT, "", 5)
    store.objects.place_mode(ROOT, "", 0o400)
    (part,) = tmp_path.glob(".key*")
    assert bits(part) == 0o600
    cid = raw_cid(b"bytes")
    store.objects.place_leaves(ROOT, "", [(cid, 0, 5)])
    store.commit([NOTE], [store.objects.land(cid, b"bytes")])
    store.objects.finish_tree(ROOT)
    assert bits(tmp_path / "key") == 0o400
    store.close()


def test_a_fetch_goes_on_after_a_kill_right_after_setting_permissions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store.open(tmp_path / "home")

    def begin(to: Store) -> None:
        to.objects.open_tree(ROOT, tmp_path / "got")
        to.objects.place_folder(ROOT, "")
        to.objects.place_mode(ROOT, "", 0o500)
        to.objects.place_file(ROOT, "fixed", 0)
        to.objects.place_mode(ROOT, "fixed", 0o400)

    begin(store)
    with monkeypatch.context() as patch:
        patch.setattr(object_trees, "rename_new", _die)
        with pytest.raises(KeyboardInterrupt):
            store.objects.finish_tree(ROOT)
    store.close()
    (part,) = tmp_path.glob(".got*")
    assert bits(part / "fixed") == 0o400
    again = Store.open(store.home)
    begin(again)
    assert bits(part / "fixed") == 0o600
    again.objects.finish_tree(ROOT)
    assert (bits(tmp_path / "got"), bits(tmp_path / "got" / "fixed")) == (0o500, 0o400)
    (tmp_path / "got").chmod(0o700)
    again.close()


def _die(*_: object) -> None:
    raise KeyboardInterrupt


def test_an_object_in_the_home_has_usual_permissions(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    folder = build_folder([])
    store.objects.open_tree(folder.cid, store.home / "object")
    store.objects.place_folder(folder.cid, "")
    before = bits(next(store.home.glob(".object*")))
    store.objects.place_mode(folder.cid, "", 0o500)
    store.objects.finish_tree(folder.cid)
    assert bits(store.home / "object") == before
    store.close()
