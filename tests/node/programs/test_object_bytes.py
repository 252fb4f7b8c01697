"""`read` and `read_pieces`: the bytes of files in folders, and the errors, with the CID of what lacks."""

import os
from pathlib import Path

import pytest

from flux_tui import Add, FluxError, NotHereError, ReadError, Want
from flux_tui.node.programs import object_bytes
from flux_tui.testing import nodes

MIB = 1 << 20


async def test_files_in_folders_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(object_bytes, "WINDOW", 2 * MIB)
    tree = tmp_path / "tree"
    (tree / "in").mkdir(parents=True)
    big = os.urandom(5 * MIB + 7)
    (tree / "in" / "big").write_bytes(big)
    (tree / "empty").write_bytes(b"")
    (tree / "link").symlink_to("empty")
    async with nodes(1, tmp_path) as (node,):
        root = (await node.outcome(Add(tree))).root
        assert await node.read(root, "in/big") == big
        assert await node.read(root, "empty") == b""
        pieces = [piece async for piece in node.read_pieces(root, "/in//big/")]
        assert b"".join(pieces) == big
        assert max(map(len, pieces)) == MIB
        left = node.read_pieces(root, "in/big")
        first = await anext(left)  # and the program breaks off here
        assert first + await left.whole() == big
        for path, said in (
            ("in", "is a folder"),
            ("", "is a folder"),
            ("link", "is a symbolic link"),
            ("in/none", "there is no 'none'"),
            ("empty/x", "is a file"),
        ):
            with pytest.raises(ReadError, match=said) as found:
                await node.read(root, path)
            assert isinstance(found.value, FluxError)


async def test_what_lacks_is_named(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(os.urandom(3 * MIB))
    async with nodes(2, tmp_path) as (a, b):
        root = (await a.outcome(Add(tmp_path / "f"))).root
        with pytest.raises(NotHereError) as error:
            await b.read(root)
        assert error.value.cid == root
        await b.outcome(Want(root))
        assert await b.read(root) == (tmp_path / "f").read_bytes()
