"""The JSON for programs (`--json`) and the text for people: fields, sizes, times, one line an entry."""

import json
import time
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.config import parse_size
from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import EVENT_TYPES, WASTES, Entry, Event, Unknown, kind_of
from flux_tui.core.series.fold import apply, derive
from flux_tui.core.series.giving_policy import POLICY
from flux_tui.core.series.state import State
from flux_tui.core.text.as_json import entry_report, state_report
from flux_tui.core.text.describe import describe, entry_line, who
from flux_tui.core.text.names import StateNames, short_addr
from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from tests.core.samples import CID, PEER, sample

KNOWN = [kind for kind in EVENT_TYPES if kind is not Unknown]
AT = 1_700_000_000.25
ME, HOLDER = PeerId(PEER), PeerId(PEER[:-1] + "T")
ROOT, OTHER = CID, Cid(CID[:-1] + "a")


@pytest.fixture(autouse=True)
def _in_utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def folded(*events: Event) -> State:
    """Fold events, a second apart."""
    return derive([Entry(seq, AT + seq, event) for seq, event in enumerate(events, 1)])


STORY: tuple[Event, ...] = (
    ev.NodeStarted(peer_id=ME, addrs=(f"/ip4/192.0.2.1/tcp/1/p2p/{ME}",), version="1.2.3", max_pending=9),
    ev.ObjectAdded(root=OTHER, name="mine", size=10, chunks=1, path="/mine", stored=10, stored_chunks=1),
    ev.Requested(cid=ROOT, name="film.mkv", size=300, path="/film.mkv", by="me"),
    ev.PeerConnected(peer=HOLDER, addr=f"/ip4/192.0.2.2/tcp/2/p2p/{HOLDER}"),
    ev.PushedWant(cids=(ROOT,), peers=(HOLDER,), gossip=True, retry=False, next_push_at=AT + 60),
    ev.ObjectMapped(root=ROOT, size=300, chunks=3, have=0, have_bytes=0),
    ev.Granted(peer=HOLDER, root=ROOT, cids=(ROOT,), deadline=AT + 90),
    ev.ChunkReceived(cid=Cid("bafkone"), size=100, peer=HOLDER, roots=(ROOT,), fills=100),
    ev.ChunkWasted(cid=Cid("bafkone"), size=100, peer=HOLDER, cause="duplicate"),
    ev.ChunksSent(peer=HOLDER, cids=(OTHER,), size=10),
    ev.StatusNo(peer=HOLDER, cids=(ROOT,), reason="busy", has_it=True, retry_after=2.5),
    ev.ErrorOccurred(text="oh no"),
)


# ── state --json ────────────────────────────────────────────────────────────────────────────────


def test_the_contract_of_a_state() -> None:
    """What `flux-tui state --json` promises: these names stay, and more may be added."""
    report = state_report(folded(*STORY))
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    assert (report["seq"], report["at"], report["peer_id"]) == (12, AT + 12, ME)
    mine, film = report["objects"]
    assert {
        "root": OTHER,
        "name": "mine",
        "size": 10,
        "chunks_have": 1,
        "chunks_total": 1,
    }.items() <= mine.items()
    wanted = {"root": ROOT, "name": "film.mkv", "size": 300, "chunks_have": 1, "chunks_total": 3}
    assert wanted.items() <= film.items()
    assert (mine["sent_bytes"], mine["fetchers"]) == (0, [])
    (pending,) = report["pending"]
    expected = {"cid": ROOT, "root": ROOT, "since": AT + 3, "pushes": 1}
    assert expected.items() <= pending.items()
    assert pending["next_push_at"] == AT + 60
    no = {
        "peer": HOLDER,
        "reason": "busy",
        "has_it": True,
        "retry_after": 2.5,
        "until": AT + 13.5,
        "at": AT + 11,
    }
    assert pending["last_no"] == no
    assert report["chunks"] == {"count": 2, "bytes": 110}
    assert report["status"] == {
        HOLDER: {
            "has_it": True,
            "reason": "busy",
            "retry_after": 2.5,
            "until": AT + 13.5,
            "counts": {"busy": 1},
        }
    }
    (peer,) = report["peers"]
    seen = {
        "peer_id": HOLDER,
        "addrs": [f"/ip4/192.0.2.2/tcp/2/p2p/{HOLDER}"],
        "bytes_in": 200,
        "bytes_out": 10,
    }
    assert seen.items() <= peer.items()
    assert (report["received_bytes"], report["unique_bytes"]) == (200, 100)
    assert report["wasted_bytes"] == {"duplicate": 100, **dict.fromkeys(WASTES[1:], 0)}
    assert report["max_pending"] == 9


def test_further_fields_of_a_state() -> None:
    report = state_report(folded(*STORY))
    assert report["addrs"] == [f"/ip4/192.0.2.1/tcp/1/p2p/{ME}"]
    assert (report["running"], report["version"]) == (True, "1.2.3")
    assert report["leases"] == [{"cid": ROOT, "peer": HOLDER, "root": ROOT, "deadline": AT + 90}]
    assert (report["sent_bytes"], report["duplicate_factor"]) == (10, 2.0)
    assert (report["errors"], report["last_error"]) == (1, "oh no")
    mine, film = report["objects"]
    assert (mine["complete"], mine["origin"], film["complete"], film["origin"]) == (
        True,
        "added",
        False,
        "wanted",
    )
    assert film["progress"] == pytest.approx(1 / 3, abs=1e-6)


def test_an_empty_state_has_the_same_fields() -> None:
    empty, full = state_report(State()), state_report(folded(*STORY))
    assert empty.keys() == full.keys()
    assert (empty["seq"], empty["peer_id"], empty["objects"], empty["pending"]) == (0, None, [], [])
    assert empty["wasted_bytes"].keys() == full["wasted_bytes"].keys()
    assert empty["duplicate_factor"] == 1.0
    json.dumps(empty, allow_nan=False)


@pytest.mark.parametrize("kind", KNOWN)
def test_the_state_after_any_event_can_be_written_as_json(kind: type[Any]) -> None:
    state = folded(*STORY, sample(kind))
    assert state_report(state)["seq"] == 13
    assert state_report(state).keys() == state_report(State()).keys()
    json.dumps(state_report(state), allow_nan=False)


# ── series --json ───────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KNOWN)
def test_the_json_of_an_entry_has_all_its_fields(kind: type[Any]) -> None:
    event = sample(kind)
    report = entry_report(Entry(7, AT, event))
    own = {field.name for field in msgspec.structs.fields(kind)}
    assert not own & {"seq", "at", "event"}, "no field of an event is hidden by these"
    assert report.keys() == {"seq", "at", "event"} | own
    assert (report["seq"], report["at"], report["event"]) == (7, AT, kind_of(event))
    told = json.loads(json.dumps(report, allow_nan=False))
    assert {name: told[name] for name in own} == json.loads(
        msgspec.json.encode(msgspec.structs.asdict(event))
    )


@pytest.mark.parametrize(
    "body",
    [msgspec.msgpack.encode(["teleported", 1]), b"\xc1", b"\x93\xacnode_stopped\xa1x" + b"\x91" * 9999],
)
def test_the_json_of_an_unreadable_entry_says_so(body: bytes) -> None:
    """The entry may be from a newer version, damaged, or nested too deeply."""
    event = ev.decode_event(body)
    assert isinstance(event, Unknown)
    report = entry_report(Entry(7, AT, event))
    assert report == {"seq": 7, "at": AT, "event": event.kind, "unknown": True}
    assert event.kind in ("teleported", "unreadable")
    assert event.kind in entry_line(Entry(7, AT, event))
    state = State()
    apply(state, Entry(1, AT, event))
    json.dumps(state_report(state))


# ── sizes and times ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("size", "words"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1536, "1.5 KiB"),
        (102_400, "100 KiB"),
        (1 << 20, "1.0 MiB"),
        (3 << 29, "1.5 GiB"),
        (1 << 40, "1.0 TiB"),
        (1 << 50, "1.0 PiB"),
        (1 << 63, "8192 PiB"),
        (1234.5, "1.2 KiB"),
    ],
)
def test_human_sizes(size: float, words: str) -> None:
    assert human_size(size) == words


@given(st.integers(0, (1 << 50) - 1))
def test_a_human_size_is_short_and_nearly_right(size: int) -> None:
    words = human_size(size)
    assert len(words) <= 8
    assert abs(parse_size(words) - size) <= size * 0.05


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (-5, "0.0 s"),
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (59.4, "59 s"),
        (60, "1:00"),
        (185, "3:05"),
        (3599, "59:59"),
        (3599.9, "1:00:00"),
        (7269, "2:01:09"),
        (360_000, "100:00:00"),
    ],
)
def test_human_seconds(seconds: float, words: str) -> None:
    assert human_seconds(seconds) == words


def test_counted() -> None:
    assert counted(0, "chunk") == "0 chunks"
    assert counted(1, "chunk") == "1 chunk"
    assert counted(1204, "chunk") == "1,204 chunks"
    assert (counted(1, "entry", "entries"), counted(2, "entry", "entries")) == ("1 entry", "2 entries")


@pytest.mark.parametrize(
    ("addr", "words"),
    [
        (f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}", "192.0.2.7:4001"),
        (f"/ip6/2001:db8::1/tcp/4001/p2p/{PEER}", "[2001:db8::1]:4001"),
        (f"/dns4/example.net/tcp/1/p2p/{PEER}", "example.net:1"),
        ("/ip4/127.0.0.1/tcp/2", "127.0.0.1:2"),
        (f"/ip4/192.0.2.7/udp/4001/quic-v1/p2p/{PEER}", "/ip4/192.0.2.7/udp/4001/quic-v1"),
        ("nonsense", "nonsense"),
    ],
)
def test_short_addresses(addr: str, words: str) -> None:
    assert short_addr(addr) == words


# ── one line an entry ───────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("kind", KNOWN)
def test_an_entry_of_any_kind_is_one_line(kind: type[Any]) -> None:
    event = sample(kind)
    line = entry_line(Entry(1234, AT, event))
    number, clock, told, *rest = line.split()
    assert (number, clock, told) == ("1234", "22:13:20.250", kind_of(event))
    assert line.endswith(describe(event))
    assert line.isprintable()
    if "peer" in {field.name for field in msgspec.structs.fields(kind)} and who(event) is not None:
        assert rest[0] == short(PEER), "who it is about comes first"
    # A policy with every limit set is as long as there are limits.
    assert len(line) < (34 + 14 * len(POLICY) if kind is ev.PolicyChanged else 160)


def test_the_columns_of_entries_are_aligned() -> None:
    lines = [entry_line(Entry(10**n, AT, sample(kind))) for n, kind in enumerate(KNOWN[:8])]
    assert {line.index("22:13:20.250") for line in lines} == {10}
    assert {line.index(kind_of(sample(kind))) for line, kind in zip(lines, KNOWN, strict=False)} == {24}


@pytest.mark.parametrize(
    ("event", "words"),
    [
        (STORY[0], "listens at 1 address, as 12D3…xkWT"),
        (STORY[1], "mine 10 B in 1 chunk, root bafk…cea"),
        (STORY[2], "film.mkv → /film.mkv"),
        (STORY[3], "at 192.0.2.2:2"),
        (STORY[4], "film.mkv to 12D3…kWAT and the swarm"),
        (STORY[10], "busy, again in 2.5 s: has film.mkv"),
        (STORY[6], "may send 1 chunk of film.mkv"),
        (STORY[8], "duplicate: 100 B, bafk…one"),
        (ev.StatusNo(peer=HOLDER, cids=(ROOT, OTHER), reason="denied", has_it=False, retry_after=None, text="no"),
         "denied: has not film.mkv and 1 more, waiting will not help (no)"),
        (ev.PushedWant(cids=(OTHER,), peers=(), gossip=False, retry=True, next_push_at=AT),
         "mine to nobody yet, again"),
        (ev.LeaseLapsed(peer=HOLDER, cids=(ROOT, OTHER), cause="deadline"), "did not come in time: 2 chunks"),
        (ev.DelayedYes(peer=HOLDER, cids=(ROOT,), eta=0.5, queue_bytes=1, have=2),
         "has 2 chunks of film.mkv, can send in 0.5 s"),
        (ev.ObjectCompleted(root=ROOT, size=300, path="/film.mkv"), "film.mkv is whole, 300 B at /film.mkv"),
    ],
)  # fmt: skip
def test_the_words_of_entries(event: Event, words: str) -> None:
    names = StateNames(folded(*STORY))
    words = (
        words.replace("12D3…xkWT", short(ME))
        .replace("12D3…kWAT", short(HOLDER))
        .replace("bafk…cea", short(OTHER))
    )
    assert describe(event, names) == words.replace("bafk…one", short("bafkone"))


STEERING = "a\x1b[31mred\x07\nnext\r\x9b2J\u202etxt\u2028\ud800é日👩‍👩‍👧"


def test_text_of_others_does_not_control_a_terminal() -> None:
    """Names and words come from peers. They may not bring colours, line breaks or text direction marks."""
    shown = r"a\x1b[31mred\x07\nnext\r\x9b2J\u202etxt\u2028\ud800é日👩\u200d👩\u200d👧"
    assert plain(STEERING) == shown
    names = StateNames(folded(ev.Requested(cid=ROOT, name=STEERING)))
    for event in (
        ev.Requested(cid=ROOT, name=STEERING, path=STEERING),
        ev.ErrorReceived(peer=HOLDER, text=STEERING),
        ev.HaveReceived(peer=HOLDER, root=ROOT, name=STEERING, size=1),
        ev.StatusNo(peer=HOLDER, cids=(ROOT,), reason="busy", has_it=True, retry_after=1, text=STEERING),
        ev.PeerFaulted(peer=HOLDER, fault=STEERING, text=STEERING),
        ev.PushedHave(root=ROOT, name=None, size=1),
        ev.ObjectAdded(root=ROOT, name=STEERING, size=1, chunks=1, path=STEERING),
        Unknown(kind=STEERING, body=b""),
    ):
        line = entry_line(Entry(1, AT, event), names)
        assert r"\x1b[31mred" in line
        assert not set(line) & set("\x1b\x07\n\r\x9b\u202e\u2028\ud800")
