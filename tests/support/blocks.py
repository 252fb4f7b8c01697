"""Chunks, and a store that has them."""

import random
import time
from pathlib import Path

from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.disk.file_io import FileStat
from flux_tui.store.store import Leaf, Store

MIB = 1 << 20


ROOT = dag_cid(b"root")


NOTE = (1.0, ev.NodeStopped(reason="x"))


def chunk(number: int, size: int = MIB) -> tuple[Cid, bytes]:
    data = random.Random(number).randbytes(size)
    return raw_cid(data), data


def shared(store: Store, path: Path, data: bytes, cid: Cid, recorded_ns: int | None = None) -> None:
    path.write_bytes(data)
    stat = FileStat.of(path.stat(), recorded_ns or time.time_ns() + 10**10)
    rows = store.share_file(store.share_tree(path), "", stat, [Leaf(cid, 0, len(data))])
    store.commit([NOTE], rows)
