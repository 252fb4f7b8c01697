"""Facts are computed from the series and from nothing else; conditions; captions."""

import re
import time
from pathlib import Path

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.demo.facts.fact_kinds import FACTS, same_bytes
from flux_tui.demo.facts.fact_syntax import (
    BadFactError,
    fill,
    grown_in,
    parse_condition,
    parse_fact,
    parse_term,
    words,
)
from flux_tui.demo.facts.scene import Made, Watch
from flux_tui.store.store import Store

ADA, BOB = PeerId("12D3KooWAda"), PeerId("12D3KooWBob")
CIDS = tuple(raw_cid(bytes([n])) for n in range(4))
ROOT = CIDS[3]


class OneNode:
    """A scene with one node and one file."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = Watch(folder / "flux.db")
        self.contents = {"heap": Made(folder, CIDS[:3], 30), "film": Made(folder / "film", (ROOT,), 4)}
        self.everyone = ("you",)
        self.names = {ADA: "ada", BOB: "bob"}

    def watch(self, node: str) -> Watch:
        return self.watched

    def alive(self, node: str) -> bool:
        return True

    def latency(self, node: str) -> float:
        return 0.005

    def port(self, node: str) -> int:
        return 4001

    def value(self, text: str) -> float:
        return parse_term(text).value(self, self.watched)

    def write(self, *events: tuple[float, ev.Event]) -> None:
        store = Store.open(self.folder)
        store.commit(list(events), [])
        store.close()
        self.watched.poll()


@pytest.fixture
def scene(tmp_path: Path) -> OneNode:
    return OneNode(tmp_path)


def test_all_facts_exist_before_anything_happened(scene: OneNode) -> None:
    scene.watched.poll()
    about = {
        "kind": ":chunk_received",
        "kinds": ":requested..chunk_received",
        "content": ":film",
        "node": ":you",
    }
    for name, kind in FACTS.items():
        assert scene.value(name + about.get(kind.about, "")) >= 0
    assert scene.value("span:requested / span:requested") == 0


def test_facts_follow_the_series(scene: OneNode) -> None:
    scene.write(
        (1.0, ev.NodeStarted(peer_id=PeerId("12D3KooWMe"), addrs=(), version="1", max_pending=2)),
        (2.0, ev.PeerConnected(peer=ADA, addr="a")),
        (3.0, ev.Requested(cid=CIDS[0])),
        (3.0, ev.Requested(cid=CIDS[1])),
        (3.0, ev.Requested(cid=CIDS[2])),
        (3.5, ev.PushedWant(cids=CIDS[:2], peers=(ADA,), gossip=False, retry=False, next_push_at=9.0)),
        (4.0, ev.StatusNo(peer=ADA, cids=CIDS[:2], reason="busy", has_it=True, retry_after=1.0)),
        (4.5, ev.StatusNo(peer=BOB, cids=CIDS[:1], reason="denied", has_it=True, retry_after=None)),
        (5.0, ev.ChunkReceived(cid=CIDS[0], size=10, peer=ADA)),
    )
    values = {
        "connected": 1, "pending": 2, "peak_pending": 3, "pushed": 1, "peak_pushed": 2, "waiting": 1,
        "peak_waiting": 3, "noes": 2, "noes:busy": 1, "noes:low_space": 0, "refusers": 2, "chunks": 1,
        "refetched": 0, "received": 10, "senders": 1, "count:requested": 3, "entries": 9, "number:heap": 3,
        "span:requested..chunk_received": 2.0, "span:requested": 0.0, "dup": 1.0, "running": 1, "max_pending": 2,
        "you.latency": 0.005,
    }  # fmt: skip
    assert {name: scene.value(name) for name in values} == values
    scene.write((6.0, ev.ChunkReceived(cid=CIDS[0], size=10, peer=ADA)))
    assert scene.value("refetched") == 1
    assert scene.value("chunks") == 1


def test_whole_compares_the_file_not_only_the_entry(scene: OneNode) -> None:
    (scene.folder / "film").write_bytes(b"film")
    got = scene.folder / "got"
    got.write_bytes(b"fil")
    scene.write(
        (1.0, ev.Requested(cid=ROOT, name="film", path=str(got))),
        (2.0, ev.ObjectCompleted(root=ROOT, size=4, path=str(got))),
    )
    assert scene.value("progress:film") == 1
    assert scene.value("whole:film") == 0
    got.write_bytes(b"film")
    assert scene.value("whole:film") == 1
    assert scene.value("replicas:film") == 1
    assert not same_bytes(got, scene.folder / "missing")


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("entries = 0", True), ("entries >= 1", False), ("entries < 1", True), ("entries != 0", False),
        ("progress:film <= 40%", True), ("received < 1MiB", True), ("number:heap = number:heap", True),
        ("dup = 1", True), ("span:requested / span:requested > 0.5", False),
    ],
)  # fmt: skip
def test_conditions(text: str, holds: bool, scene: OneNode) -> None:
    assert parse_condition(text).holds(scene, scene.watched) is holds


def test_growth_is_counted_from_the_start_of_a_step(scene: OneNode) -> None:
    grown = parse_condition("entries +>= 1")
    scene.write((1.0, ev.Requested(cid=CIDS[0])))
    assert grown.holds(scene, scene.watched, before=0.0)
    assert not grown.holds(scene, scene.watched, before=1.0)
    scene.write((2.0, ev.Requested(cid=CIDS[1])))
    assert grown.holds(scene, scene.watched, before=1.0)


@pytest.mark.parametrize("text", ["", "entries", "entries > ", "entries >> 1", "1 = entries", "x = 1"])
def test_invalid_conditions(text: str) -> None:
    with pytest.raises(BadFactError):
        parse_condition(text)


@pytest.mark.parametrize(
    ("fact", "value", "shown"),
    [
        ("entries", 12345, "12,345"), ("progress:x", 0.421, "42%"), ("received", 3 << 20, "3.0 MiB"),
        ("span:requested", 0.005, "5 ms"), ("span:requested", 1.234, "1.23 s"), ("span:requested", 21.66, "21.7 s"),
        ("dup", 1.0, "1.000"), ("span:requested / span:requested", 213.4, "213"),
    ],
)  # fmt: skip
def test_facts_in_words(fact: str, value: float, shown: str) -> None:
    assert words(parse_term(fact), value) == shown


def test_a_caption_is_filled(scene: OneNode) -> None:
    assert fill("{number:heap} of {size:heap}, {entries}", scene, scene.watched) == "3 of 30 B, 0"


def test_every_fact_can_be_parsed(scene: OneNode) -> None:
    assert parse_fact("ada.noes:busy") == ("ada", "noes", "busy")


def test_growth_in_a_caption_is_counted_from_the_start_of_a_step(scene: OneNode) -> None:
    assert grown_in("{+entries} of {entries}, {+lapsed:you}") == ["entries", "lapsed:you"]
    scene.write((1.0, ev.Requested(cid=CIDS[0])), (2.0, ev.Requested(cid=CIDS[1])))
    assert fill("{+entries} of {entries}", scene, scene.watched, {"entries": 1.0}) == "1 of 2"


def test_what_comes_next_is_said_as_the_dashboard_says_it(scene: OneNode) -> None:
    assert fill("{next:film}", scene, scene.watched) == "Nothing is pending."
    scene.write(
        (1.0, ev.NodeStarted(peer_id=PeerId("12D3KooWMe"), addrs=(), version="1", max_pending=2)),
        (2.0, ev.PeerConnected(peer=ADA, addr="a")),
        (3.0, ev.Requested(cid=ROOT, name="film")),
        (3.5, ev.PushedWant(cids=(ROOT,), peers=(ADA,), gossip=False, retry=False, next_push_at=9.0)),
        (4.0, ev.DelayedYes(peer=ADA, cids=(ROOT,), eta=0.0, queue_bytes=0)),
        (4.5, ev.Granted(peer=ADA, root=ROOT, cids=(ROOT,), deadline=90.0)),
    )
    assert fill("{next:film}", scene, scene.watched).startswith("Next: 1 chunk is due from ada.")


def test_refusals_say_who_why_and_when(scene: OneNode) -> None:
    assert fill("{refusals}", scene, scene.watched) == "nobody"
    now = time.time()
    scene.write(
        (now, ev.Requested(cid=CIDS[0])),
        (now, ev.StatusNo(peer=ADA, cids=CIDS[:1], reason="busy", has_it=True, retry_after=3600.0)),
        (now, ev.StatusNo(peer=BOB, cids=CIDS[:1], reason="denied", has_it=True, retry_after=None)),
    )
    said = fill("{refusals}", scene, scene.watched)
    assert re.fullmatch(r"ada busy, again in \d+:\d\d(:\d\d)?; bob denied, never again", said), said


def test_a_refusal_whose_wait_is_over_may_be_asked_now(scene: OneNode) -> None:
    scene.write(
        (1.0, ev.Requested(cid=CIDS[0])),
        (1.0, ev.StatusNo(peer=ADA, cids=CIDS[:1], reason="busy", has_it=True, retry_after=1.0)),
        (1.0, ev.StatusNo(peer=BOB, cids=CIDS[:1], reason="not_held", has_it=False, retry_after=None)),
    )
    assert fill("{refusals}", scene, scene.watched) == "ada busy, may be asked now; bob not_held"
    scene.write((3.0, ev.DelayedYes(peer=ADA, cids=CIDS[:1], eta=0.0, queue_bytes=0)))
    assert fill("{refusals}", scene, scene.watched) == "bob not_held"


def test_refusals_that_hold_come_first_and_those_taken_back_are_left_out(scene: OneNode) -> None:
    """Under load most refusers of a storm have said yes since. The caption tells of now."""
    carl, dora = PeerId("12D3KooWCarl"), PeerId("12D3KooWDora")
    scene.names |= {carl: "carl", dora: "dora"}
    now = time.time()
    scene.write(
        (now - 9, ev.Requested(cid=CIDS[0])),
        *((now - 9, no(ADA, "rate_limited", 1.0)) for _ in range(5)),
        (now - 8, ev.DelayedYes(peer=ADA, cids=CIDS[:1], eta=0.0, queue_bytes=0)),
        *((now - 8, no(BOB, "busy", 1.0)) for _ in range(5)),
        (now, no(carl, "busy", 3600.0)),
        (now, no(dora, "denied", None)),
    )
    said = fill("{refusals}", scene, scene.watched)
    assert re.fullmatch(r"carl busy, again in [\d:]+; dora denied, never again", said), said
    assert scene.value("refusing") == 2
    assert scene.value("noes") == 12


def no(peer: PeerId, reason: ev.Reason, retry_after: float | None) -> ev.StatusNo:
    return ev.StatusNo(peer=peer, cids=CIDS[:1], reason=reason, has_it=True, retry_after=retry_after)


def test_a_fact_in_words_is_no_number() -> None:
    for text in ("next:film = 1", "refusals > 0"):
        with pytest.raises(BadFactError, match="is no fact"):
            parse_condition(text)


def test_a_wait_that_would_read_as_no_time_may_be_asked_now(
    scene: OneNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    scene.write(
        (1.0, ev.Requested(cid=CIDS[0])),
        (1.0, ev.StatusNo(peer=ADA, cids=CIDS[:1], reason="busy", has_it=True, retry_after=1.0)),
    )
    monkeypatch.setattr(time, "time", lambda: 1.96)
    assert fill("{refusals}", scene, scene.watched) == "ada busy, may be asked now"
    monkeypatch.setattr(time, "time", lambda: 1.5)
    assert fill("{refusals}", scene, scene.watched) == "ada busy, again in 0.5 s"
