"""A test as the author of a program would write one: two nodes in memory, a file goes from one to the other."""

from pathlib import Path

from flux_tui import Add, Want
from flux_tui.testing import nodes


async def test_fetch(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"x" * 3_000_000)
    async with nodes(2, tmp_path) as (a, b):
        root = (await a.outcome(Add(tmp_path / "f"))).root
        await b.outcome(Want(root))
        assert await b.read(root) == b"x" * 3_000_000
