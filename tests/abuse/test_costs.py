"""What one bad input costs a node: processor time and memory at their peak, each with a bound.

Run as a program (`python -m tests.abuse.test_costs`), it prints the figures.
"""

import time
import tracemalloc
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from flux_tui.core.content import protobufs
from flux_tui.core.content.car import encode_header, encode_section, varint
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid, cid_bytes, raw_cid
from flux_tui.gateway.http_answers import HttpError
from flux_tui.gateway.http_ranges import parse_range
from flux_tui.gateway.http_requests import MAX_TARGET, read_target
from flux_tui.net.bitswap.messages import MAX_MESSAGE, BadMessageError, decode
from flux_tui.node.disk.car_reader import walk_car
from flux_tui.node.disk.chunker import AddError
from tests.support.objects import LEAF, Blocks, doubled, many

MIB = 1 << 20
MOST_SECONDS, MOST_BYTES = 1.0, 16 * MIB
"""Of one bad input, on the slowest machine that runs the tests."""
WANT = b"\x0a\x26\x0a\x24" + cid_bytes(LEAF)


def _field(number: int, body: bytes) -> bytes:
    return bytes((number << 3 | 2,)) + varint(len(body)) + body


def _message(body: bytes) -> Callable[[], None]:
    assert len(body) <= MAX_MESSAGE

    def run() -> None:
        with pytest.raises(BadMessageError):
            decode(body)

    return run


def _car(head: bytes, blocks: Blocks, end: bytes = b"") -> Callable[[], None]:
    def run() -> None:
        with TemporaryDirectory() as folder:
            path = Path(folder, "x.car")
            with path.open("wb") as file:
                file.write(head)
                for cid, data in blocks.items():
                    file.write(encode_section(cid, len(data)) + data)
                file.write(end)
            with pytest.raises(AddError):
                for _ in walk_car(path, lambda _: None, lambda: False):
                    pass

    return run


def _node(data: bytes) -> Callable[[], None]:
    def run() -> None:
        with pytest.raises(BadBlockError):
            protobufs.decode_node(data)

    return run


def _target(target: str, accept: str = "") -> Callable[[], None]:
    def run() -> None:
        with suppress(HttpError):
            read_target(target, accept)

    return run


def _bomb() -> tuple[Cid, Blocks]:
    blocks: Blocks = {LEAF: b"four"}
    return doubled(blocks, many(blocks, LEAF, 100), 60), blocks


BOMB, BOMB_BLOCKS = _bomb()
LINK = _field(2, _field(1, cid_bytes(LEAF)))
INPUTS: dict[str, Callable[[], None]] = {
    "a wantlist of 2 million empty entries": _message(_field(1, b"\x0a\x00" * (2 * MIB - 8))),
    "a wantlist of 100,000 entries": _message(_field(1, WANT * 100_000)),
    "a message of 2 million unknown fields": _message(b"\x78\x00" * (2 * MIB)),
    "a message of 2 million empty blocks": _message(b"\x1a\x00" * (2 * MIB)),
    "a block of 4 MiB": _message(_field(3, _field(2, bytes(4 * MIB - 16)))),
    "a node of 50,000 links": _node(LINK * 50_000),
    "a node of a million unknown fields": _node(_field(1, b"\x48\x00" * MIB)),
    "a CAR that describes 10 exabytes": _car(encode_header([BOMB]), BOMB_BLOCKS),
    "a CAR whose block is said to have 8 EiB": _car(encode_header([LEAF]), {}, b"\xff" * 8 + b"\x7f"),
    "a CAR whose header is said to have 1 GiB": _car(varint(1 << 30) + b"\xa2\x65roots", {}),
    "a CAR with 700 roots": _car(encode_header([raw_cid(b"%d" % n) for n in range(700)]), {}),
    "a CAR with 20,000 blocks of nobody": _car(
        encode_header([BOMB]), {raw_cid(b"%d" % n): b"%d" % n for n in range(20_000)}
    ),
    "a target of 8 KiB of names": _target(f"/ipfs/{LEAF}/" + "x/" * (MAX_TARGET // 2)),
    "a target of 8 KiB of escapes": _target(f"/ipfs/{LEAF}/" + "%2e" * (MAX_TARGET // 3 - 30)),
    "a query of 4,000 fields": _target(f"/ipfs/{LEAF}?" + "&".join(["a"] * 4000)),
    "an Accept of 16 KiB": _target(f"/ipfs/{LEAF}", "a/b;q=1," * 2048),
    "a Range of 16 KiB": lambda: (parse_range("bytes=" + "0-1," * 4096, 100), None)[1],
    "a Range of 16 KiB of digits": lambda: (parse_range("bytes=" + "9" * 16_384 + "-", 100), None)[1],
}


def cost(run: Callable[[], None]) -> tuple[float, int]:
    """Return the processor seconds of one run, and the most bytes that another one had at a time.

    It runs twice, and the shorter one counts: on a busy machine a second of a processor is not always worth the same.
    """
    seconds = min(_seconds_of(run), _seconds_of(run))
    tracemalloc.start()
    try:
        run()
        return seconds, tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def _seconds_of(run: Callable[[], None]) -> float:
    began = time.process_time()
    run()
    return time.process_time() - began


@pytest.mark.parametrize("name", INPUTS)
def test_a_bad_input_costs_little(name: str) -> None:
    seconds, peak = cost(INPUTS[name])
    assert seconds < MOST_SECONDS
    assert peak < MOST_BYTES


if __name__ == "__main__":
    print(f"bounds: {MOST_SECONDS} s, {MOST_BYTES // MIB} MiB")
    for _name, _run in INPUTS.items():
        _taken, _peak = cost(_run)
        print(f"{_name:44} {1000 * _taken:7.1f} ms {_peak / MIB:7.2f} MiB")
