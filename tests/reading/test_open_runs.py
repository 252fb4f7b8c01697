"""A file of an object, read in order as runs of open files: what arrives now, what is whole, what was changed."""

import os
import random
from collections.abc import Iterator
from contextlib import aclosing, closing, contextmanager
from pathlib import Path

import pytest
import trio

from flux_tui.core.content.unixfs_trees import BadBlockError, FileBuilder
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.home import Home
from flux_tui.reading.home_blocks import HomeBlocks
from flux_tui.reading.open_runs import LEAVES_AHEAD, OpenRun, OpenRuns, Piece
from flux_tui.regular_files import open_to_read
from flux_tui.store.disk import file_io
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.store import Landed, Store
from tests.support.blocks import NOTE
from tests.support.objects import Blocks, file_node

CHUNK = 4096
DATA = random.Random(1).randbytes(10 * CHUNK + 7)
LEAVES = [DATA[at : at + CHUNK] for at in range(0, len(DATA), CHUNK)]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    home = Home(tmp_path / "home")
    home.prepare()
    with closing(Store.open(home.path)) as store:
        yield store


def land(store: Store, *blocks: bytes, cid: Cid | None = None) -> None:
    """Write and commit blocks that arrived."""
    rows: list[Landed] = [store.objects.land(cid or raw_cid(data), data) for data in blocks]
    store.commit([NOTE], rows)


def begin(store: Store, path: Path) -> Cid:
    """Begin to fetch the file DATA to `path`. Its inner node is here."""
    builder = FileBuilder(CHUNK, 174)
    nodes: dict[Cid, bytes] = {}
    for leaf in LEAVES:
        nodes.update(builder.add_leaf(raw_cid(leaf), len(leaf)))
    built = builder.finish()
    nodes.update(built.blocks)
    for cid, data in nodes.items():
        land(store, data, cid=cid)
    path.parent.mkdir(exist_ok=True)
    store.objects.open_tree(built.cid, path)
    store.objects.place_file(built.cid, "", len(DATA))
    places = [(raw_cid(leaf), at * CHUNK, len(leaf)) for at, leaf in enumerate(LEAVES)]
    assert len(store.objects.place_leaves(built.cid, "", places).missing) == len(LEAVES)
    return built.cid


def bytes_of(piece: Piece) -> bytes:
    if not isinstance(piece, OpenRun):
        return bytes(piece)
    assert piece.is_unchanged()
    return os.pread(piece.descriptor, piece.size, piece.offset)


async def pieces_of(runs: OpenRuns, cid: Cid) -> list[tuple[bool, bytes]]:
    """Return all pieces of a file: whether each is a run, and its bytes."""
    async with aclosing(runs.read(cid)) as pieces:
        return [(isinstance(piece, OpenRun), bytes_of(piece)) async for piece in pieces]


def opened(home: Path) -> HomeBlocks:
    """Return blocks whose reader is open from now on."""
    blocks = HomeBlocks(Home(home), lambda: None, want=lambda _: None)
    assert blocks.read_now((raw_cid(b"nobody has this"),)) == {}
    return blocks


@contextmanager
def arriving(store: Store, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[OpenRuns, Cid]]:
    """Begin to fetch DATA into the home while a node seems to run. Its first three leaves are here."""
    monkeypatch.setattr(Home, "running", lambda _: 1)
    with closing(opened(home)) as blocks, closing(OpenRuns(blocks)) as runs:
        root = begin(store, home / KEPT / "object")
        land(store, *LEAVES[:3])
        yield runs, root


async def test_what_arrives_is_a_run_at_once_and_in_order(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setattr(Home, "running", lambda _: 1)
    with closing(opened(home)) as blocks, closing(OpenRuns(blocks)) as runs:
        root = begin(store, home / KEPT / "object")
        land(store, *LEAVES[:3], *LEAVES[4:6])
        async with aclosing(runs.read(root)) as pieces:
            first = await anext(pieces)
            assert isinstance(first, OpenRun)
            assert first.is_kept
            assert bytes_of(first) == b"".join(LEAVES[:3])
            with trio.move_on_after(0.1) as waited:
                await anext(pieces)
            assert waited.cancelled_caught, "the fourth leaf is not here"


async def test_the_rest_comes_after_the_wait(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    with arriving(store, home, monkeypatch) as (runs, root):
        found: list[bytes] = []
        came = trio.Event()
        async with trio.open_nursery() as nursery:

            async def read() -> None:
                async with aclosing(runs.read(root)) as pieces:
                    async for piece in pieces:
                        found.append(bytes_of(piece))
                        came.set()

            nursery.start_soon(read)
            await came.wait()
            land(store, *LEAVES[3:])
            store.objects.finish_tree(root)  # it is renamed while it is read
        assert b"".join(found) == DATA


async def test_what_programs_read_while_it_arrives_is_in_memory(store: Store, tmp_path: Path) -> None:
    """Its bytes are written to the page cache, so that its reader does not wait for the disk."""
    path = tmp_path / "home" / KEPT / "object"
    root = begin(store, path)
    land(store, *LEAVES)
    with closing(open_to_read(store.objects.finish_tree(root).path)) as file:
        assert file_io.read_at(file.fileno(), 0, len(DATA), wait=False) == DATA


async def test_a_file_that_was_begun_before_is_verified(store: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    root = begin(store, home / KEPT / "object")
    land(store, *LEAVES)
    with closing(opened(home)) as blocks, closing(OpenRuns(blocks)) as runs:
        assert await pieces_of(runs, root) == [(False, leaf) for leaf in LEAVES]


async def test_an_unfinished_file_that_somebody_removed_gives_no_zeros(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    with arriving(store, home, monkeypatch) as (runs, root):
        async with aclosing(runs.read(root)) as pieces:
            assert bytes_of(await anext(pieces)) == b"".join(LEAVES[:3])
            (part,) = (home / KEPT).iterdir()
            part.rename(part.with_name("moved"))  # the run's file stays open
            part.write_bytes(DATA)
            land(store, *LEAVES[3:])
            assert b"".join([bytes_of(piece) async for piece in pieces]) == b"".join(LEAVES[3:])


async def test_a_file_of_the_users_that_arrives_is_verified(store: Store, tmp_path: Path) -> None:
    with closing(opened(tmp_path / "home")) as blocks, closing(OpenRuns(blocks)) as runs:
        root = begin(store, tmp_path / "mine")
        land(store, *LEAVES)
        assert await pieces_of(runs, root) == [(False, leaf) for leaf in LEAVES]


async def test_a_whole_file_of_the_users_is_a_run_that_may_change(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_io.FileStat, "proves", lambda *_: True)  # as some time later
    root = begin(store, tmp_path / "mine")
    land(store, *LEAVES)
    path = store.objects.finish_tree(root).path
    with closing(opened(tmp_path / "home")) as blocks, closing(OpenRuns(blocks)) as runs:
        async with aclosing(runs.read(root)) as pieces:
            piece = await anext(pieces)
            assert isinstance(piece, OpenRun)
            assert (piece.path, piece.is_kept, piece.size) == (path, False, len(DATA))


async def test_a_leaf_of_another_size_than_its_node_says(store: Store, tmp_path: Path) -> None:
    home = tmp_path / "home"
    builder = FileBuilder(CHUNK, 174)
    builder.add_leaf(raw_cid(LEAVES[0]), CHUNK - 1)
    builder.add_leaf(raw_cid(LEAVES[1]), CHUNK)
    lying = builder.finish()
    with closing(opened(home)) as blocks, closing(OpenRuns(blocks)) as runs:
        begin(store, home / KEPT / "object")
        land(store, *LEAVES)
        for cid, data in dict(lying.blocks).items():
            land(store, data, cid=cid)
        with pytest.raises(BadBlockError, match="has 4,096 bytes, and should have 4,095"):
            await pieces_of(runs, lying.cid)


async def test_a_long_file_is_looked_up_in_parts(store: Store, tmp_path: Path) -> None:
    home, leaf = tmp_path / "home", LEAVES[0]
    count = 3 * LEAVES_AHEAD
    builder = FileBuilder(CHUNK, 174)
    nodes: dict[Cid, bytes] = {}
    for _ in range(count):
        nodes.update(builder.add_leaf(raw_cid(leaf), CHUNK))
    built = builder.finish()
    for cid, data in {**nodes, **dict(built.blocks)}.items():
        land(store, data, cid=cid)
    with closing(opened(home)) as blocks, closing(OpenRuns(blocks)) as runs:
        begin(store, home / KEPT / "object")
        land(store, *LEAVES)
        assert b"".join(data for _, data in await pieces_of(runs, built.cid)) == leaf * count


async def test_content_inside_nodes_comes_as_soon_as_its_node_is_here(store: Store, tmp_path: Path) -> None:
    blocks: Blocks = {}
    parts = [file_node(blocks, data=b"first"), file_node(blocks, data=b"second")]
    root = file_node(blocks, (parts[0], 5), (parts[1], 6))
    late = blocks.pop(parts[1])
    for cid, data in blocks.items():
        land(store, data, cid=cid)
    with closing(HomeBlocks(Home(tmp_path / "home"))) as here, closing(OpenRuns(here)) as runs:
        async with aclosing(runs.read(root)) as pieces:
            assert await anext(pieces) == b"first"
            land(store, late, cid=parts[1])
            assert await anext(pieces) == b"second"
