"""The vectors equal what this version writes and reads, byte by byte, and every kind of message has one."""

import json
from typing import Any, get_args

import msgpack
import msgspec
import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID

from flux_tui.core.api import inputs as inp
from flux_tui.core.content.ticket import Ticket, format_ticket, parse_ticket
from flux_tui.core.custom.outbox import name_of
from flux_tui.core.fetching.downloads.peer_bitmaps import bitmap, blocks_in
from flux_tui.core.ids import raw_cid
from flux_tui.core.wire import codec, messages
from tests.support.script import Script
from tests.vectors.__main__ import FILES, FOLDER, from_json, to_json


def vectors(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads((FOLDER / f"{name}.json").read_text())
    return found


@pytest.mark.parametrize("name", FILES)
def test_the_vector_files_equal_the_output_of_the_command(name: str) -> None:
    assert vectors(name) == json.loads(json.dumps(FILES[name]()))


def test_every_kind_of_message_has_a_vector() -> None:
    """A new kind of message needs a vector: add it in tests/vectors/__main__.py, and run the command there."""
    tags = {str(kind.__struct_config__.tag) for kind in messages.MESSAGE_TYPES} - {"intent"}
    assert {vector["kind"] for vector in vectors("frames")} == tags
    bodies = {str(kind.__struct_config__.tag) for kind in get_args(messages.IntentBody)}
    assert {vector["kind"] for vector in vectors("intents")} == bodies


@pytest.mark.parametrize("vector", vectors("frames"), ids=lambda vector: vector["kind"])
def test_frames(vector: dict[str, Any]) -> None:
    frame, payload = bytes.fromhex(vector["frame"]), bytes.fromhex(vector["payload"])
    # Decode by hand, as another language would.
    header = msgpack.packb(from_json(vector["array"]))
    assert (
        frame == b"\x01" + len(header).to_bytes(3, "big") + len(payload).to_bytes(4, "big") + header + payload
    )
    # Decode with our codec.
    lengths = codec.decode_prefix(frame[:8])
    assert lengths == (len(header), len(payload))
    message = codec.decode_header(frame[8 : 8 + lengths.header])
    assert codec.encode_frame(message, lengths.payload) + payload == frame
    # Fields that a newer peer adds at the end are ignored. Optional fields may be left out.
    array = from_json(vector["array"])
    assert codec.decode_header(msgpack.packb([*array, "from a later version"])) == message


def test_optional_fields_may_be_left_out() -> None:
    for vector in vectors("frames"):
        if vector["kind"] == "status_yes_but_later" and vector["array"][4:] == [None] * 4:
            full = codec.decode_header(bytes.fromhex(vector["frame"])[8:])
            assert codec.decode_header(msgpack.packb(from_json(vector["array"][:4]))) == full
            break
    else:
        raise AssertionError("no vector has only optional fields at its end")


@pytest.mark.parametrize("vector", vectors("intents"), ids=lambda vector: vector["kind"])
def test_intents(vector: dict[str, Any]) -> None:
    signed, signature = bytes.fromhex(vector["signed"]), bytes.fromhex(vector["signature"])
    assert msgpack.packb(from_json(vector["array"])) == signed
    key = create_new_key_pair(bytes.fromhex(vector["key_seed"]))
    assert str(ID.from_pubkey(key.public_key)) == vector["origin"]
    assert key.private_key.sign(signed) == signature
    origin = ID.from_base58(vector["origin"]).extract_public_key()
    assert origin is not None
    assert origin.verify(signed, signature)
    gossip = bytes.fromhex(vector["gossip"])
    sealed = codec.decode_sealed(gossip)
    assert (sealed.signed, sealed.signature) == (signed, signature)
    assert codec.encode_sealed(sealed) == gossip == msgpack.packb(["intent", signed, signature])
    assert codec.encode_frame(sealed).hex() == vector["frame"]
    intent = codec.decode_intent(signed)
    assert intent.origin == vector["origin"]
    assert codec.encode_intent(intent) == signed


@pytest.mark.parametrize("vector", vectors("refused"), ids=lambda vector: vector["why"])
def test_refused(vector: dict[str, str]) -> None:
    frame = bytes.fromhex(vector["frame"])

    def read() -> None:
        lengths = codec.decode_prefix(frame[:8])
        codec.decode_header(frame[8 : 8 + lengths.header])

    with pytest.raises(codec.BadFrameError):
        read()


@pytest.mark.parametrize("vector", vectors("skipped"), ids=lambda vector: vector["why"])
def test_skipped(vector: dict[str, str]) -> None:
    frame = bytes.fromhex(vector["frame"])
    lengths = codec.decode_prefix(frame[:8])
    assert len(frame) == 8 + lengths.header + lengths.payload
    with pytest.raises(codec.UnknownKindError) as caught:
        codec.decode_header(frame[8 : 8 + lengths.header])
    assert caught.value.kind == vector["kind"]


@pytest.mark.parametrize("vector", vectors("tickets"), ids=lambda vector: str(vector["name"]))
def test_tickets(vector: dict[str, Any]) -> None:
    ticket = Ticket(vector["root"], vector["name"], vector["size"], tuple(vector["addrs"]))
    assert parse_ticket(vector["ticket"]) == ticket
    assert format_ticket(ticket) == vector["ticket"]


@pytest.mark.parametrize("vector", vectors("accepted"), ids=lambda vector: vector["why"])
def test_headers_that_have_to_be_accepted(vector: dict[str, Any]) -> None:
    message = codec.decode_header(bytes.fromhex(vector["header"]))
    plain = json.loads(json.dumps(to_json(msgspec.to_builtins(message, builtin_types=(bytes,)))))
    assert plain == vector["means"]


@pytest.mark.parametrize("vector", vectors("parts"))
def test_parts(vector: dict[str, Any]) -> None:
    order = sorted(vector["blocks"])  # as text
    part = bytes.fromhex(vector["part"])
    assert len(part) == (len(order) + 7) // 8
    named = [cid for number, cid in enumerate(order) if part[number >> 3] >> (number & 7) & 1]
    assert named == vector["have"]
    assert bitmap(order, vector["have"]) == part
    assert blocks_in(part, order, order) == vector["have"]


@pytest.mark.parametrize("vector", vectors("customs"), ids=lambda vector: vector["kind"])
def test_names_of_customs(vector: dict[str, Any]) -> None:
    payload = bytes.fromhex(vector["payload"]["hex"])
    assert raw_cid(vector["kind"].encode() + bytes(1) + payload) == vector["name"]
    assert name_of(messages.Custom(kind=vector["kind"], payload=payload)) == vector["name"]


@pytest.mark.parametrize("vector", vectors("addrs"), ids=lambda vector: vector["addr"])
def test_addresses_of_an_origin(vector: dict[str, Any]) -> None:
    script = Script()
    script.machine.dialling.returned(vector["origin"], (vector["addr"],))
    _, effects = script.give(inp.Tick())
    assert [effect.addr for effect in effects] == ([vector["dialled"]] if vector["dialled"] else [])
