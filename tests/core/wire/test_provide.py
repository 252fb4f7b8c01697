"""The message about the roots that its sender has: what is in it, and its limits."""

import msgpack
import pytest

from flux_tui.core.wire import codec
from flux_tui.core.wire.provide import (
    MAX_KEY,
    MAX_KEYS,
    MAX_PROVIDE,
    MAX_PROVIDER_ADDR,
    MAX_PROVIDER_ADDRS,
    Provided,
)


def test_what_is_encoded_is_decoded() -> None:
    provided = Provided(keys=(b"\x12\x20" + b"k" * 32,), addrs=(b"\x04\x7f\x00\x00\x01",))
    assert codec.decode_provided(codec.encode_provided(provided)) == provided


def test_the_largest_message_is_within_the_limit() -> None:
    largest = Provided(
        keys=tuple(b"%064d" % number for number in range(MAX_KEYS)),
        addrs=(b"a" * MAX_PROVIDER_ADDR,) * MAX_PROVIDER_ADDRS,
    )
    data = codec.encode_provided(largest)
    assert len(data) <= MAX_PROVIDE
    assert codec.decode_provided(data) == largest


@pytest.mark.parametrize(
    "value",
    [
        ["provide", [], []],
        ["provide", [b"key"], []],
        ["provide", ["text"], []],
        ["provide", [b"k" * (MAX_KEY + 1)], []],
        ["provide", [b"%034d" % number for number in range(MAX_KEYS + 1)], []],
        ["provide", [b"%034d" % 1], [b"a"] * (MAX_PROVIDER_ADDRS + 1)],
        ["provide", [b"%034d" % 1], [b"a" * (MAX_PROVIDER_ADDR + 1)]],
        ["provide", [b"%034d" % 1]],
        [],
        7,
    ],
)
def test_anything_else_is_refused(value: object) -> None:
    with pytest.raises(codec.BadFrameError):
        codec.decode_provided(msgpack.packb(value))


def test_too_long_a_message_is_refused_before_it_is_decoded() -> None:
    with pytest.raises(codec.BadFrameError, match="the limit is"):
        codec.decode_provided(bytes(MAX_PROVIDE + 1))


def test_a_message_of_a_later_version_is_told_apart() -> None:
    with pytest.raises(codec.UnknownKindError):
        codec.decode_provided(msgpack.packb(["provide_all", 1]))
