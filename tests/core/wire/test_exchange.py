"""Messages about peers: what is in them, and their limits."""

import pytest

from flux_tui.core.ids import PeerId
from flux_tui.core.wire.codec import BadFrameError, UnknownKindError, decode_told, encode_told
from flux_tui.core.wire.exchange import (
    MAX_RECORD,
    MAX_RECORDS,
    MAX_STEPS,
    MAX_TOLD,
    Introduction,
    Records,
    Told,
)

PEER = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")


@pytest.mark.parametrize(
    "told",
    [
        Records(records=(b"a record",)),
        Records(records=(bytes(MAX_RECORD),) * MAX_RECORDS),
        Introduction(to=PEER, record=b"a record"),
        Introduction(to=PEER, record=bytes(MAX_RECORD), steps=0),
    ],
)
def test_a_message_about_peers_crosses_the_wire(told: Told) -> None:
    data = encode_told(told)
    assert len(data) <= MAX_TOLD
    assert decode_told(data) == told


@pytest.mark.parametrize(
    "told",
    [
        Records(records=()),
        Records(records=(b"x",) * (MAX_RECORDS + 1)),
        Records(records=(bytes(MAX_RECORD + 1),)),
        Introduction(to=PeerId("me"), record=b"x"),
        Introduction(to=PEER, record=b""),
        Introduction(to=PEER, record=b"x", steps=MAX_STEPS + 1),
    ],
)
def test_a_message_beyond_a_limit_is_refused(told: Told) -> None:
    with pytest.raises(BadFrameError):
        decode_told(encode_told(told))


def test_other_bytes_are_refused_and_later_kinds_passed_over() -> None:
    for data in (b"", b"x", bytes(MAX_TOLD + 1), b"\x90"):
        with pytest.raises(BadFrameError):
            decode_told(data)
    with pytest.raises(UnknownKindError):
        decode_told(b"\x92\xa5later\x01")
