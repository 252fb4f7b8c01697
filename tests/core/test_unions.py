"""Every union is closed: each member passes its codec, the fold, the reports and the views."""

import json
from typing import Any

import msgspec
import pytest

from flux_tui.core.api import commands
from flux_tui.core.series import events
from flux_tui.core.series.events import (
    EVENT_KINDS,
    EVENT_TYPES,
    Entry,
    Unknown,
    decode_event,
    encode_event,
    kind_of,
)
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.core.text.as_json import entry_report
from flux_tui.core.text.describe import describe, entry_line
from flux_tui.core.wire import codec, messages
from flux_tui.ui.rows.glyphs import KINDS, Glyphs
from flux_tui.ui.rows.view_and_lines import View, text_of
from flux_tui.ui.rows.view_and_lines import entry_line as view_line
from tests.core.samples import sample

KNOWN = [kind for kind in EVENT_TYPES if kind is not Unknown]


@pytest.mark.parametrize("kind", KNOWN)
def test_every_event_is_stored_folded_and_described(kind: type[Any]) -> None:
    event = sample(kind)
    assert decode_event(encode_event(event)) == event
    state = State()
    apply(state, Entry(1, 1.0, event))
    assert state.seq == 1
    assert describe(event)
    report = entry_report(Entry(1, 1.0, event))
    assert report["event"] == kind_of(event)
    json.dumps(report)
    assert kind_of(event) in entry_line(Entry(1, 1.0, event))
    line = text_of(view_line(Entry(1, 1.0, event), View(state, 1.0, 100, Glyphs(unicode=True))))
    assert kind_of(event) in line


def test_every_event_class_is_in_the_union() -> None:
    families = (
        events.FetchingBase,
        events.ServingBase,
        events.ContentBase,
        events.NodeBase,
        events.ReplicationBase,
    )
    classes = {kind for family in families for kind in family.__subclasses__()}
    assert classes == set(KNOWN)


def test_every_kind_has_a_sign_of_one_column() -> None:
    assert set(KINDS) == set(EVENT_KINDS)
    assert all(
        len(sign.glyph) == 1 and len(sign.plain) == 1 and sign.plain.isascii() for sign in KINDS.values()
    )


def test_an_event_of_the_future_is_shown_and_kept() -> None:
    body = msgspec.msgpack.encode(["teleported", 1, {"a": 2}])
    event = decode_event(body)
    assert event == Unknown(kind="teleported", body=body)
    assert encode_event(event) == body
    assert kind_of(event) == "teleported"
    state = State()
    apply(state, Entry(1, 1.0, event))
    assert entry_report(Entry(1, 1.0, event))["event"] == "teleported"
    assert "newer version" in describe(event)


def test_a_field_of_a_newer_version_is_ignored() -> None:
    event = sample(events.StatusNo)
    longer = [*msgspec.msgpack.decode(encode_event(event)), "something new"]
    assert decode_event(msgspec.msgpack.encode(longer)) == event


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\xff" * 9, msgspec.msgpack.encode({"a": 1})])
def test_an_unreadable_body_is_still_an_entry(body: bytes) -> None:
    assert kind_of(decode_event(body)) == "unreadable"


@pytest.mark.parametrize("kind", messages.MESSAGE_TYPES)
def test_every_message_crosses_the_wire(kind: type[Any]) -> None:
    message = sample(kind)
    frame = codec.encode_frame(message, 5)
    prefix = codec.decode_prefix(frame)
    assert prefix == (len(frame) - codec.PREFIX_BYTES, 5)
    assert codec.decode_header(frame[codec.PREFIX_BYTES :]) == message


@pytest.mark.parametrize("kind", commands.COMMAND_TYPES)
def test_every_command_goes_through_the_socket(kind: type[Any]) -> None:
    command = sample(kind)
    assert commands.decode_command(commands.encode_command(command)) == command
    with pytest.raises(commands.BadCommandError):
        commands.decode_command(commands.encode_command(command)[:-1])
