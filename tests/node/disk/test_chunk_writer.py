"""Small chunks are written together, and the machine hears of them in the order in which they came."""

from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any, cast

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.node.disk import chunk_writer
from flux_tui.node.disk.chunk_writer import ChunkWriter
from flux_tui.store.store import Landed, NoRoomError, StoreError

PEER = PeerId("peer")
FULL = b"finds no room"


class _Engine:
    """Keeps what it is fed with."""

    def __init__(self) -> None:
        self.store = SimpleNamespace(objects=self)
        self.fed: list[tuple[inp.Input, list[Cid]]] = []

    def feed(self, given: inp.Input, rows: Sequence[Landed] = ()) -> None:
        self.fed.append((given, [row.cid for row in rows]))

    def land_small(self, chunks: Sequence[tuple[Cid, bytes]]) -> list[Landed | StoreError]:
        return [NoRoomError("no") if data == FULL else Landed(cid, len(data)) for cid, data in chunks]


async def test_the_outcomes_are_told_in_order(monkeypatch: Any) -> None:
    monkeypatch.setattr(chunk_writer, "TOGETHER", 5)
    engine = _Engine()
    writer = ChunkWriter(cast("Any", engine))
    node = dag_cid(b"a node")
    for cid, data in (
        (raw_cid(b"a"), b"a"),
        (node, b"a node"),
        (raw_cid(FULL), FULL),
        (raw_cid(b"other bytes"), b"these bytes"),
        (raw_cid(b"b"), b"b"),
    ):
        await writer.take(PEER, cid, [data[:2], data[2:]])
    first = (inp.ChunkLanded(PEER, raw_cid(b"a"), 1), inp.ChunkLanded(PEER, node, 6, b"a node"))
    assert engine.fed == [
        (inp.ChunksLanded(first), [raw_cid(b"a"), node]),
        (inp.LandFailed(PEER, raw_cid(FULL), len(FULL), "no; free some space, nothing is lost"), []),
        (inp.ChunkCorrupt(PEER, raw_cid(b"other bytes"), 11), []),
        (inp.ChunksLanded((inp.ChunkLanded(PEER, raw_cid(b"b"), 1),)), [raw_cid(b"b")]),
    ]
