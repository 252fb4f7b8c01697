"""`flux-tui add --verify` as people use it: real processes, and the root that they print."""

import json
import sqlite3
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from flux_tui.core.ids import raw_cid
from tests.bench.nodes import Node, flux, running


def root_of(home: Path, path: Path, *flags: str) -> str:
    root: str = json.loads(flux("add", "--json", *flags, str(path), home=home).stdout)["root"]
    return root


def rot(home: Path, path: Path, data: bytes) -> None:
    """Change a shared file's bytes behind its stat, as a failing disk does: the home knows the new stat as the old."""
    path.write_bytes(data)
    found = path.stat()
    with sqlite3.connect(home / "flux.db") as db:
        changed = db.execute(
            "UPDATE file SET mtime_ns = ?, ctime_ns = ?, recorded_ns = ? WHERE inode = ? AND size = ?",
            (found.st_mtime_ns, found.st_ctime_ns, time.time_ns() + 10**10, found.st_ino, found.st_size),
        )
    db.close()
    assert changed.rowcount == 1


@pytest.mark.parametrize("with_node", [True, False])
def test_verify_reads_files_that_look_unchanged(tmp_path: Path, with_node: bool) -> None:
    film, before, after = tmp_path / "film", b"x" * 1000, b"y" * 1000
    film.write_bytes(before)
    node = Node(tmp_path / "home")
    with ExitStack() as stack:
        if with_node:
            stack.enter_context(running(node))
        assert root_of(node.home, film) == raw_cid(before)
        rot(node.home, film, after)
        assert root_of(node.home, film) == raw_cid(before), "a file with the same stat is not read again"
        assert root_of(node.home, film, "--verify") == raw_cid(after)
