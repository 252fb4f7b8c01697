"""The rows of the panels at every width, without a screen."""

import re
import unicodedata
from pathlib import Path

import msgspec
import pytest

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import REASONS, Entry, Event
from flux_tui.core.series.fold import apply, derive
from flux_tui.core.series.next_try import next_try
from flux_tui.core.series.state import State
from flux_tui.core.text.as_json import state_report
from flux_tui.core.text.plain import plain
from flux_tui.core.vocabulary import Speaks, Way
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.cell_width import fit
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.peer_and_no_tables import has_it, no_legend, no_rows, peer_rows
from flux_tui.ui.rows.pending_and_retries import pending_rows, retry_rows
from flux_tui.ui.rows.throughput import header_line, throughput_rows
from flux_tui.ui.rows.view_and_lines import Row, View, cut, entry_line, matching, span, text_of
from flux_tui.ui.series.filter import parse_filter
from flux_tui.ui.series.trends import Trends
from flux_tui.ui.widgets import span_styles
from tests.support.rows import ADA, BOB
from tests.ui.conftest import RECORDING

ENTRIES = SeriesReader.open(RECORDING).read(0, 100_000)
ROOT, CHUNK = dag_cid(b"root"), raw_cid(b"chunk")
ME = PeerId("12D3KooW" + "M" * 44)
START = 1_700_000_000.0


def folded(*events: Event) -> State:
    return derive([Entry(n, START + n, event) for n, event in enumerate(events, 1)])


def view(state: State, width: int = 52, *, now: float | None = None, masked: bool = False) -> View:
    return View(state, state.at if now is None else now, width, Glyphs(unicode=True), masked)


def texts(rows: list[Row]) -> list[str]:
    return [text_of(row.line) for row in rows]


STARTED = ev.NodeStarted(peer_id=ME, addrs=("/x",), version="1", max_pending=1000)
ASKED = ev.Requested(cid=ROOT, name="film.mkv", size=4096)
PUSHED = ev.PushedWant(cids=(ROOT,), peers=(ADA,), gossip=True, retry=False, next_push_at=START + 60)
MAPPED = ev.ObjectMapped(root=ROOT, size=4096, chunks=5, have=1, have_bytes=0)
UP = ev.PeerConnected(peer=ADA, addr="/ip4/192.0.2.7/tcp/4001/p2p/" + ADA)
BUSY = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="busy", has_it=True, retry_after=4.0)
GRANTED = ev.Granted(peer=ADA, root=ROOT, cids=(CHUNK,), deadline=START + 30)
GOT = ev.ChunkReceived(cid=CHUNK, size=2048, peer=ADA, roots=(ROOT,), fills=2048)


@pytest.mark.parametrize("width", [30, 38, 52, 64, 96, 160])
@pytest.mark.parametrize("masked", [False, True])
def test_no_row_is_ever_wider_than_its_panel(width: int, masked: bool) -> None:
    state = State()
    for entry in ENTRIES:
        apply(state, entry)
        if entry.seq % 40 and entry.seq != len(ENTRIES):
            continue
        at = view(state, width, masked=masked)
        rows = [*pending_rows(at), *retry_rows(at), *no_rows(at), *peer_rows(at), *throughput_rows(at)]
        assert rows
        for row in rows:
            if row.key != "head":
                assert len(text_of(row.line)) <= max(width, 44), text_of(row.line)
        assert len({row.key for row in rows if not row.title and row.key != "total"}) > 0
        assert len(text_of(entry_line(entry, at))) <= width


@pytest.mark.parametrize("width", [60, 80, 120, 200])
def test_the_header_leaves_out_what_does_not_fit(width: int) -> None:
    state = derive(ENTRIES[:400])
    text = text_of(header_line(view(state, width), status=span("● live", "good"), frozen_note=""))
    assert len(text) <= width
    assert "● live" in text
    assert "peers" in text
    assert ("dup" in text) == (width >= 120)


def test_pending_says_what_each_want_waits_for() -> None:
    pushed = (STARTED, ASKED, PUSHED)
    assert "no peer is connected" in texts(pending_rows(view(folded(*pushed))))[1]
    assert "nobody has answered yet, next try in" in texts(pending_rows(view(folded(*pushed, UP))))[1]
    refused = folded(*pushed, UP, BUSY)
    assert texts(pending_rows(view(refused)))[1].strip().startswith("◼ busy, next try in 4.0 s"), (
        "why comes first"
    )
    pending = refused.pending[ROOT]
    assert pending.last_no is not None
    until, silence = pending.last_no.until, pending.next_push_at
    assert until is not None
    assert silence is not None
    assert until < silence, "it is told again when it said; all the others later"

    def next_at(now: float) -> float | None:
        one = next_try(refused, pending, now)
        return None if one is None else one.at

    assert [next_at(now) for now in (until - 1, until + 1)] == [until, silence]
    assert [next_at(silence + late) for late in (1, 9)] == [silence, None]
    (row,) = texts(retry_rows(view(refused, 80, now=until - 1)))
    assert "1.0 s" in row
    assert "◼ busy: 12D3…AAAA" in row
    sending = folded(*pushed, UP, MAPPED, GRANTED, GOT)
    first, second = texts(pending_rows(view(sending)))
    assert first.startswith("film.mkv")
    assert " 50%  2/5" in first
    stopped = folded(*pushed, ev.NodeStopped(reason="stopped"))
    assert "no node is running" in texts(pending_rows(view(stopped)))[1]
    waiting = folded(STARTED, ASKED)
    assert "waits for room" in texts(pending_rows(view(waiting)))[1]
    assert "/s" not in second or "from" in second


def test_each_loose_chunk_says_what_it_waits_for() -> None:
    other = raw_cid(b"other")
    asked = [ev.Requested(cid=CHUNK), ev.Requested(cid=other)]
    pushed = ev.PushedWant(
        cids=(CHUNK, other), peers=(ADA,), gossip=False, retry=False, next_push_at=START + 60
    )
    no = ev.StatusNo(peer=ADA, cids=(other,), reason="busy", has_it=True, retry_after=9.0)
    granted = ev.Granted(peer=ADA, root=None, cids=(CHUNK,), deadline=START + 30)
    _, first, second = texts(pending_rows(view(folded(STARTED, UP, *asked, pushed, no, granted), 66)))
    assert first.endswith("push 1  from 12D3…AAAA")
    assert "◼ busy, next try in 8.0 s: 12D3…AAAA" in second


def test_ten_thousand_loose_chunks_are_counted_not_listed() -> None:
    cids = [raw_cid(b"%d" % number) for number in range(2_000)]
    state = folded(STARTED, *(ev.Requested(cid=cid) for cid in cids))
    rows = texts(pending_rows(view(state)))
    assert rows[0] == "2,000 loose chunks, 2,000 wait for room"
    assert rows[-1] == "and 1,900 more"
    assert len(rows) == 102


def test_every_reason_has_its_column_and_countdown() -> None:
    noes = [
        ev.StatusNo(peer=ADA, cids=(ROOT,), reason=reason, has_it=True, retry_after=10.0)
        for reason in REASONS
    ]
    state = folded(STARTED, ASKED, PUSHED, UP, *noes)
    wide = texts(no_rows(view(state, 120)))
    for word in ("rate", "busy", "space", "not held", "denied", "large", "leaving"):
        assert word in wide[0]
    assert wide[1].rstrip().endswith("10 s")
    assert texts(no_rows(view(state, 120, now=state.at + 11)))[1].rstrip().endswith("now")
    assert len(wide[0]) <= 120
    assert no_rows(view(folded(STARTED))) == []


@pytest.mark.parametrize(
    ("way", "speaks", "shown"),
    [
        ("direct", "flux", "direct"),
        ("direct", "bitswap", "bitswap"),
        ("relayed", "bitswap", "relayed"),
        ("direct", "http", "http"),
    ],
)
def test_a_peer_of_another_protocol_is_told_by_it(way: Way, speaks: Speaks, shown: str) -> None:
    up = ev.PeerConnected(peer=ADA, addr="/ip4/127.0.0.1/tcp/1", way=way, speaks=speaks)
    state = folded(STARTED, up)
    _, line = texts(peer_rows(view(state, 160, now=START + 1)))
    assert line.split()[-2:] == [shown, "127.0.0.1:1"]
    assert state_report(state)["peers"][0]["speaks"] == speaks


def test_a_peer_that_refused_in_time_is_not_late() -> None:
    refused = ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="refused")
    state = folded(STARTED, ASKED, PUSHED, UP, GRANTED, BUSY, refused)
    head, line = texts(peer_rows(view(state, 160, now=START + 100)))
    assert "gave" in head
    assert "100%" in line
    assert "late" not in line
    late = ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="deadline")
    _, line = texts(peer_rows(view(folded(STARTED, ASKED, PUSHED, UP, GRANTED, late), 160, now=START + 100)))
    assert "0%" in line
    assert "late" in line


YES = ev.DelayedYes(peer=ADA, cids=(ROOT,), eta=0.0, queue_bytes=0)
LIMITED = ev.StatusNo(peer=ADA, cids=(CHUNK,), reason="rate_limited", has_it=True, retry_after=2.0)
REFUSED = ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="refused")
GONE = (
    ev.PeerConnected(peer=BOB, addr="/ip4/192.0.2.8/tcp/4001/p2p/" + BOB),
    ev.PeerDisconnected(peer=ADA, why="nothing came from it for 20 s"),
)


def test_a_holder_that_is_gone_is_the_reason_and_not_what_it_said_before() -> None:
    pushed = (STARTED, ASKED, PUSHED, UP, MAPPED, YES, GRANTED, LIMITED, REFUSED)
    gone = folded(*pushed, *GONE)
    assert texts(pending_rows(view(gone)))[1].strip() == "its holder is gone, next try in 49 s: 12D3…AAAA"
    assert " its holder is gone: 12D3…AAAA" in texts(retry_rows(view(gone, 80)))[0]
    lapsed = ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="disconnected")
    soon = ev.RetrySet(cids=(ROOT,), next_push_at=START + 20, cause="lapsed", peer=ADA)
    again = folded(*pushed, GRANTED, *GONE, lapsed, soon)
    for line in (texts(pending_rows(view(again)))[1], texts(retry_rows(view(again)))[0]):
        assert "gone" in line
        assert "rate" not in line


def test_a_late_holder_is_called_late_until_something_comes() -> None:
    extended = ev.LeaseExtended(peer=ADA, cids=(CHUNK,), deadline=START + 60)
    late = folded(STARTED, ASKED, PUSHED, UP, MAPPED, YES, GRANTED, extended)
    assert texts(pending_rows(view(late)))[1].endswith("late: 12D3…AAAA")
    assert texts(peer_rows(view(late, 66)))[1].rstrip().endswith("late")
    came = folded(STARTED, ASKED, PUSHED, UP, MAPPED, YES, GRANTED, extended, GOT)
    assert texts(peer_rows(view(came, 66)))[1].rstrip().endswith("good")


def test_a_narrow_header_counts_all_that_is_wanted() -> None:
    others = ev.Requested(cid=CHUNK, name=None, size=None)
    dormant = ev.WentDormant(cids=(ROOT,))
    state = folded(STARTED, ASKED, PUSHED, UP, others, dormant)
    line = header_line(view(state, 60), status=span("live", "good"), frozen_note="")
    assert "2 pending" in text_of(line)


def test_no_peer_has_a_countdown_for_a_cancelled_want() -> None:
    wanted = (STARTED, ASKED, PUSHED, UP, BUSY)
    for seconds, words in ((1, "3.0 s"), (9, "now")):
        assert texts(no_rows(view(folded(*wanted), 60, now=START + 5 + seconds)))[1].rstrip().endswith(words)
        for end in (ev.ObjectCompleted(root=ROOT, size=4096, path=None), ev.Cancelled(cids=(ROOT,))):
            line = texts(no_rows(view(folded(*wanted, end), 60, now=START + 5 + seconds)))[1]
            assert not line.rstrip().endswith(words)
            assert "1" in line, "what was said stands"
    hold = ev.HoldRequested(root=ROOT, size=4096, replicas=2)
    full = ev.StatusNo(
        peer=ADA, cids=(ROOT,), reason="low_space", has_it=False, retry_after=4.0, about="hold"
    )
    assert texts(no_rows(view(folded(STARTED, UP, hold, full), 60)))[1].rstrip().endswith("4.0 s")


def test_retries_count_down_to_the_soonest() -> None:
    state = folded(STARTED, ASKED, PUSHED, UP, BUSY, ev.RetrySet(
        cids=(ROOT,), next_push_at=START + 9, cause="retry_after", peer=ADA))  # fmt: skip
    (line,) = texts(retry_rows(view(state, 80)))
    assert "3.0 s" in line
    assert "push 2" in line
    assert "◼ busy: 12D3…AAAA" in line
    assert not retry_rows(view(state, 80, now=START + 100)), "it was put off, or nobody is there to do it"
    (line,) = texts(retry_rows(view(state, 80, now=START + 10)))
    assert " now " in line
    denied = ev.StatusNo(peer=BOB, cids=(ROOT,), reason="denied", has_it=True, retry_after=None)
    both = folded(STARTED, ASKED, PUSHED, UP, BUSY, ev.RetrySet(
        cids=(ROOT,), next_push_at=START + 9, cause="retry_after", peer=ADA), denied)  # fmt: skip
    (line,) = texts(retry_rows(view(both, 80)))
    assert "◼ busy: 12D3…AAAA" in line, "not the last NO, but the one that is waited for"
    assert not retry_rows(view(folded(STARTED, ASKED, PUSHED, UP, GRANTED), 80, now=START + 70))
    sent = folded(STARTED, ev.Requested(cid=CHUNK), ev.PushedWant(
        cids=(CHUNK,), peers=(ADA,), gossip=False, retry=False, next_push_at=START + 9,
    ), ev.Granted(peer=ADA, root=None, cids=(CHUNK,), deadline=START + 30))  # fmt: skip
    assert retry_rows(view(sent, 80))
    assert not retry_rows(view(sent, 80, now=START + 10)), "what is on its way is not pushed again"


@pytest.mark.parametrize("width", [44, 48, 60, 80])
def test_reasons_are_words_wherever_three_of_them_fit(width: int) -> None:
    noes = [ev.StatusNo(peer=ADA, cids=(ROOT,), reason=reason, has_it=True, retry_after=4.0)
            for reason in ("busy", "rate_limited", "denied")]  # fmt: skip
    state = folded(STARTED, *noes)
    head, line = texts(no_rows(view(state, width)))
    legend = text_of(no_legend(view(state, width)))
    assert max(map(len, (head, line, legend))) <= width
    assert ("⊘ denied" in head) == (not legend) == (width >= 48)
    assert "◔" in head
    more = folded(STARTED, *noes, *noes, ev.StatusNo(
        peer=ADA, cids=(ROOT,), reason="not_held", has_it=False, retry_after=None))  # fmt: skip
    head, _ = texts(no_rows(view(more, 48)))
    assert "◼ busy" in head
    assert "∅" in head
    assert "not held" not in head, "what is rare is a sign where there is no room for all words"
    assert text_of(no_legend(view(more, 48))) == "∅ not held  ⊘ denied", "and its word stands in the border"


@pytest.mark.parametrize("width", [30, 36, 41, 47, 52, 60, 76, 110])
def test_a_retry_keeps_its_reason_whole_at_any_width(width: int) -> None:
    asked = ev.PushedWant(cids=(ROOT,), peers=(ADA,), gossip=True, retry=False, next_push_at=START + 60)
    no = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="rate_limited", has_it=True, retry_after=4.0)
    (row,) = texts(retry_rows(view(folded(STARTED, UP, ASKED, asked, no), width)))
    assert len(row) <= width
    assert ("◔ rate" in row) == (width >= 36), row
    assert ("◔ rate_limited" in row) == (width >= 60), row
    assert ("push" in row) == (width >= 76), row


def test_a_no_says_why_and_when_to_come_back_before_it_is_cut() -> None:
    no = ev.StatusNo(peer=ADA, cids=(ROOT, CHUNK), reason="rate_limited", has_it=True, retry_after=4.0)
    shown = {
        width: text_of(entry_line(Entry(1, START, no), view(folded(STARTED, ASKED), width)))
        for width in (56, 66, 76, 100)
    }
    assert "rate_limited" in shown[56]
    assert "rate_limited 4.0 s" in shown[66], "of a terminal of 120 columns"
    assert "rate_limited, again in 4.0 s: " in shown[76], "of one of 80"
    assert shown[100].endswith("again in 4.0 s: has film.mkv and 1 more")


def test_a_peer_that_denies_us_is_not_called_quiet() -> None:
    denied = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="denied", has_it=True, retry_after=None)
    assert texts(peer_rows(view(folded(STARTED, UP, ASKED, denied), 66)))[1].rstrip().endswith("⊘ denied")
    lacks = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="not_held", has_it=False, retry_after=None)
    later = folded(STARTED, UP, ASKED, denied, BUSY)
    assert texts(peer_rows(view(later, 66, now=later.at + 9)))[1].rstrip().endswith("quiet"), (
        "it may be asked again"
    )
    both = folded(STARTED, UP, ASKED, denied, lacks)
    assert texts(peer_rows(view(both, 66)))[1].rstrip().endswith("⊘ denied"), "it says so of what it has only"
    assert texts(peer_rows(view(folded(STARTED, UP, ASKED, lacks), 66)))[1].rstrip().endswith("quiet")


def test_a_filter_finds_whole_ids_and_reasons_and_keeps_rows_together() -> None:
    other = ev.Requested(cid=CHUNK, name="talk.pdf", size=1)
    state = folded(STARTED, UP, ASKED, MAPPED, PUSHED, BUSY, other,
                   ev.ObjectMapped(root=CHUNK, size=1, chunks=1, have=0, have_bytes=0))  # fmt: skip

    def found(rows: list[Row], text: str, *, masked: bool = False) -> list[str]:
        return [row.key for row in matching(rows, parse_filter(text), masked=masked) if row.key != "head"]

    noes = no_rows(view(state, 48))
    assert found(noes, "reason:busy") == found(noes, "busy") == [ADA]
    assert found(noes, "denied") == []
    assert found(noes, f"peer:{ADA}") == [ADA]
    assert found(noes, str(ADA), masked=True) == [], "what is hidden is not found either"
    peers = peer_rows(view(state, 66))
    assert found(peers, "reason:busy") == [ADA], "as it stands"
    assert found(retry_rows(view(state, 30)), "busy") == [ROOT], "however it is cut"
    pending = pending_rows(view(state, 66))
    assert found(pending, "film") == [ROOT, f"{ROOT}/why"]
    assert found(pending, "next") == [ROOT, f"{ROOT}/why"], "by what it waits for, too"
    assert found(pending, "!film") == [CHUNK, f"{CHUNK}/why"]
    assert str(parse_filter("Busy !peer:12D3 kind:x")) == "busy !peer:12d3 kind:x"


def test_the_rate_stays_in_its_place_between_two_grants() -> None:
    trends = Trends()
    much = msgspec.structs.replace(GOT, size=1 << 20, fills=1 << 20)
    trends.extend([Entry(n, START + n, much) for n in range(20)])
    asked = msgspec.structs.replace(ASKED, size=1 << 30)
    limited = msgspec.structs.replace(BUSY, reason="rate_limited", retry_after=15.0)
    mapped = msgspec.structs.replace(MAPPED, size=1 << 30)
    sent = (STARTED, UP, asked, mapped, PUSHED, much, much)

    def line(*events: Event, width: int = 66) -> str:
        now = view(folded(*sent, *events), width, now=START + 20)._replace(trends=trends)
        return texts(pending_rows(now))[1]

    assert line(GRANTED).startswith(told := "  ↓ 1.0 MiB/s  eta 17:02  ")
    assert line(GRANTED).endswith("from 12D3…AAAA")
    assert line(limited) == told + "◔ rate, next try in 3.0 s: 12D3…AAAA"
    for width in (47, 52, 60):
        shown = line(msgspec.structs.replace(limited, retry_after=99.0), width=width)
        assert shown.startswith(told)
        assert "◔ rate" in shown
        assert not shown.endswith("…")


def test_a_want_under_way_is_pushed_only_if_nothing_comes() -> None:
    lapsed = ev.RetrySet(cids=(ROOT,), next_push_at=START + 30, cause="lapsed")
    alone = folded(STARTED, UP, ASKED, PUSHED, lapsed)
    assert texts(retry_rows(view(alone, 80)))[0].endswith("nobody is left to send it")
    sent = folded(STARTED, UP, ASKED, PUSHED, lapsed, GRANTED)
    assert texts(retry_rows(view(sent, 80)))[0].endswith("if nothing comes by then")
    assert texts(retry_rows(view(sent, 48)))[0].rstrip().endswith("if nothing comes")


@pytest.mark.parametrize("width", [47, 58, 76, 110])
def test_the_columns_of_noes_keep_their_places_as_counts_grow(width: int) -> None:
    noes: list[Event] = [
        ev.StatusNo(peer=ADA, cids=(ROOT,), reason=reason, has_it=True, retry_after=4.0)
        for reason in ("rate_limited", "busy", "not_held", "denied")
    ]  # fmt: skip
    heads = {
        texts(no_rows(view(folded(STARTED, *noes, *more), width)))[0]
        for more in ([], noes * 30, noes[2:] * 200, noes[1:2] * 500)
    }
    assert len(heads) == 1


def test_an_eta_is_shown_only_for_a_meaningful_rate() -> None:
    much = ev.ChunkReceived(cid=CHUNK, size=1 << 20, peer=ADA, roots=(ROOT,), fills=1 << 20)
    large = msgspec.structs.replace(ASKED, size=100 << 20)
    mapped = msgspec.structs.replace(MAPPED, size=100 << 20)
    events = (STARTED, UP, large, mapped, PUSHED, GRANTED, much, GRANTED)

    def shown(came: dict[int, int], now: int) -> str:
        trends = Trends()
        trends.extend([Entry(9, START + at, much) for at, times in came.items() for _ in range(times)])
        at = view(folded(*events), 66, now=START + now)._replace(trends=trends)
        return " ".join(texts(pending_rows(at)))

    assert "eta" not in shown({4: 1}, 5), "of one chunk"
    assert "eta 1:39" in shown(dict.fromkeys(range(2, 30), 1), 30), "a chunk a second"
    assert "eta" not in shown({4: 40}, 9), "a burst says nothing of when the rest comes"
    assert "eta" not in shown({4: 40, 40: 1}, 41), "nor does one chunk long after it"
    seldom = shown(dict.fromkeys(range(4, 120, 17), 1), 121)
    assert "eta 28:17" in seldom or "eta 33:00" in seldom, "one chunk every 17 s is even, in a minute"


def test_the_has_column_uses_all_that_a_peer_said_and_sent() -> None:
    def told(*events: Event) -> str:
        return has_it(folded(STARTED, UP, ASKED, *events).peers[ADA])[0]

    def no(reason: ev.Reason, *, has: bool) -> ev.StatusNo:
        return ev.StatusNo(peer=ADA, cids=(ROOT,), reason=reason, has_it=has, retry_after=1.0)

    assert told() == "?"
    assert told(no("not_held", has=False)) == "no"
    assert told(no("rate_limited", has=True)) == "yes"
    assert told(no("rate_limited", has=True), no("not_held", has=False)) == "part"
    assert told(no("not_held", has=False), GRANTED, GOT) == "part"
    assert told(GRANTED, GOT, no("low_space", has=False)) == "yes"


def test_peers_shows_addresses_and_kept_promises() -> None:
    state = folded(STARTED, ASKED, UP, GRANTED, GOT)
    head, line = texts(peer_rows(view(state, 100)))
    assert "address" in head
    assert "192.0.2.7:4001" in line
    assert "2.0 KiB" in line
    assert "100%" in line


def test_masked_shows_no_id_no_address_and_no_path() -> None:
    asked = ev.Requested(cid=ROOT, name="film.mkv", path="/home/ada/film.mkv")
    failed = ev.ErrorOccurred(text=f"/ip4/192.0.2.7/tcp/1/p2p/{ADA} cannot be reached")
    events: tuple[Event, ...] = (STARTED, asked, UP, MAPPED, GRANTED, GOT, BUSY, failed)
    state = folded(*events)
    at = view(state, 200, masked=True)
    lines = [text_of(entry_line(Entry(n, START + n, event), at)) for n, event in enumerate(events, 1)]
    lines += texts([*pending_rows(at), *no_rows(at), *retry_rows(at), *peer_rows(at)])
    lines.append(text_of(header_line(at, status=span("● live", "good"), frozen_note="")))
    for line in lines:
        for secret in (ADA, ADA[-4:], ME[-4:], "192.0.2.7", ROOT[-3:], CHUNK[-3:], "/home/ada"):
            assert secret not in line, line
    assert any("film.mkv" in line for line in lines), "names are what an audience may see"


def test_cutting_and_fitting() -> None:
    assert text_of(cut([span("abc", "text"), span("def", "dim")], 6)) == "abcdef"
    assert text_of(cut([span("abc", "text"), span("def", "dim")], 5)) == "abcd…"
    assert text_of(cut([span("abcdef", "text")], 1)) == "…"
    assert fit(plain("abc"), 5) == "abc  "
    assert len(fit(plain("a-rather-long-name.mkv"), 10)) == 10


def test_ascii_terminals_get_ascii() -> None:
    state = derive(ENTRIES)
    plain = View(state, state.at, 120, Glyphs(unicode=False))
    for row in (*no_rows(plain), *retry_rows(plain), *throughput_rows(plain)):
        allowed = text_of(row.line).replace("…", "")
        assert allowed.isascii(), allowed


def test_a_hold_row_names_keepers_and_refusers() -> None:
    asked = ev.HoldRequested(root=ROOT, replicas=2, size=4096, name="film.mkv")
    pushed = ev.PushedHold(root=ROOT, lacking=2, peers=(ADA, BOB), gossip=True, next_push_at=START + 60)
    keeps = (ev.PushedKeep(peer=ADA, root=ROOT, deadline=START + 30),
             ev.ReplicaHeld(peer=ADA, root=ROOT, how="whole"))  # fmt: skip
    no = ev.StatusNo(peer=BOB, cids=(ROOT,), reason="low_space", has_it=False, retry_after=None, about="hold")
    first, second = texts(pending_rows(view(folded(STARTED, UP, asked, pushed), 80)))
    assert "0/2 replicas" in first
    assert "nobody has answered yet, next try in" in second
    first, second = texts(pending_rows(view(folded(STARTED, UP, asked, pushed, *keeps, no), 80)))
    assert first.startswith("film.mkv") or "bafy" in first
    assert "1/2 replicas" in first
    assert "kept by 12D3…AAAA" in second
    assert "▣ low_space: 12D3…BBBB" in second
    larger = ev.StatusNo(
        peer=ADA, cids=(ROOT,), reason="too_large", has_it=False, retry_after=None, about="hold"
    )
    for width in (48, 54, 80):
        _, second = texts(pending_rows(view(folded(STARTED, UP, asked, pushed, larger, no), width)))
        assert re.search("large.*, .*space.*, next try in 54 s$", second), (
            "the time is not cut off: " + second
        )
    both = (*keeps, ev.PushedKeep(peer=BOB, root=ROOT, deadline=START + 30),
            ev.ReplicaHeld(peer=BOB, root=ROOT, how="whole"))  # fmt: skip
    first, second = texts(pending_rows(view(folded(STARTED, UP, asked, pushed, *both), 80)))
    assert "2/2 replicas" in first
    assert "next try" not in second
    kept = ev.KeepReceived(peer=ADA, root=ROOT, size=2048, name="film.mkv")
    (line,) = texts(pending_rows(view(folded(STARTED, UP, kept), 80)))
    assert line == "1 replica kept for others, 2.0 KiB"


def test_every_role_has_a_rule_in_the_stylesheet() -> None:
    sheet = (Path(span_styles.__file__).parents[1] / "dashboard" / "styles" / "app.tcss").read_text()
    assert set(re.findall(r"^\.role--(\w+)", sheet, re.MULTILINE)) == set(span_styles.ROLES)


def test_the_header_and_throughput_show_the_same_rate() -> None:
    state = folded(STARTED, ASKED, UP, GRANTED, GOT)

    def told(now: float) -> tuple[str, str, str]:
        seen = view(state, 200, now=now)
        header = text_of(header_line(seen, status=span("live", "good"), frozen_note=""))
        (charts,) = (text for text in texts(throughput_rows(seen)) if text.startswith("↓ in"))
        rate, spark = re.search(r"↓ (\S+ \S+/s)([ ▁-█]*)↑", header).groups()  # type: ignore[union-attr]
        return rate, " ".join(charts.split()[2:4]), spark.strip()

    for after in (0.4, 1.3, 2.7):
        header, throughput, spark = told(int(state.at) + after)
        assert header == throughput
        assert header != "0 B/s"
        assert spark
    assert told(state.at + 60) == ("0 B/s", "0 B/s", "")


def stands(*events: Event, after: float = 0.0) -> str:
    """Return the standing of the first peer in Peers."""
    state = folded(STARTED, ASKED, PUSHED, UP, *events)
    return texts(peer_rows(view(state, 66, now=state.at + after)))[1]


def test_a_fault_fades_with_the_time_of_the_series() -> None:
    fault = ev.PeerFaulted(peer=ADA, fault="unasked_chunk", text="it sent what was not granted")
    assert "at fault" in stands(fault)
    assert "at fault" in stands(fault, after=50)
    assert "at fault" not in stands(fault, after=70), "one is forgiven after a minute"
    assert "at fault" in stands(*[fault] * 8, after=70), "a habit is not"
    assert "at fault" not in stands(*[fault] * 2000, after=500), "but that, too, in the end"


def test_a_peer_that_takes_back_an_offer_is_not_good() -> None:
    yes = ev.DelayedYes(peer=ADA, cids=(ROOT,), eta=0.0, queue_bytes=0)
    gone = ev.StatusNo(peer=ADA, cids=(CHUNK,), reason="not_held", has_it=False, retry_after=None)
    lapsed = ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="refused")
    took_back = (GRANTED, gone, lapsed)
    assert "∅ changed" in stands(yes, *took_back * 3)
    assert "∅ changed" in stands(yes, *took_back * 3, GOT), "one chunk does not make up for three"
    assert "good" in stands(yes, *took_back, GOT, GOT)
    lacks = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="not_held", has_it=False, retry_after=None)
    assert "changed" not in stands(lacks), "it never said that it has it"


def test_a_disconnected_peer_has_no_rate_and_no_countdown() -> None:
    much = msgspec.structs.replace(GOT, size=1 << 20)
    trends = Trends()
    trends.extend([Entry(n, START + 8, much) for n in range(9)])
    down = ev.PeerDisconnected(peer=ADA, why="closed")
    for gone in (False, True):
        state = folded(STARTED, ASKED, MAPPED, PUSHED, UP, BUSY, GOT, *([down] if gone else []))
        now = view(state, 110, now=START + 9.5)._replace(trends=trends)
        assert ("MiB/s" in texts(peer_rows(now))[1]) == (not gone)
        assert ("MiB/s" in texts(pending_rows(now))[1]) == (not gone)
        assert texts(no_rows(now))[1].rstrip().endswith("gone" if gone else "0.5 s")
        header = text_of(header_line(now, status=("● live", "good"), frozen_note=""))  # type: ignore[arg-type]
        assert ("↓ 0 B/s" in header) == gone


def test_a_dialling_error_gives_the_reason_before_the_address() -> None:
    addr = f"/ip4/192.0.2.7/tcp/4001/p2p/{ADA}"
    place = "/home/ada/a long name"
    for event, about, told in (
        (
            ev.ErrorOccurred(text=f"{addr} cannot be reached: nobody listens there (refused)", addr=addr),
            addr,
            "nobody listens there",
        ),
        (ev.ErrorOccurred(text=f"{addr} does not answer", addr=addr), addr, "does not answer"),
        (
            ev.ErrorOccurred(text=f"{place} cannot be read: you have no right to", path=place),
            place,
            "cannot be read",
        ),
    ):
        line = entry_line(Entry(1, START, event), view(folded(STARTED), 56))
        assert told in text_of(line)
        whole = text_of(entry_line(Entry(1, START, event), view(folded(), 999)))
        assert about in whole, "nothing is left out where there is room"
        masked = view(folded(), 999, masked=True)
        hidden = text_of(entry_line(Entry(1, START, event), masked))
        assert about not in hidden
        assert "192.0.2.7" not in hidden


WIDE = [
    "日本語の映画ファイル.mkv",
    "🎬🎬🎬 movie.mkv",
    "e\u0301t\u0301u\u0301de.mkv",
    "𝄞 score 한국어 파일.pdf",
]


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("width", [30, 44, 52, 66, 96, 160])
def test_widths_are_counted_in_cells(name: str, width: int) -> None:
    asked = msgspec.structs.replace(ASKED, name=name)
    state = folded(STARTED, UP, asked, MAPPED, PUSHED, BUSY, GRANTED, GOT)
    called = {ADA: "日本語のノード", BOB: "e\u0301ve"}
    now = view(state, width)._replace(called=called)
    for row in [*pending_rows(now), *retry_rows(now), *no_rows(now), *peer_rows(now)]:
        assert cell_width.width(text_of(row.line)) <= max(width, 44), row
    for entry in (asked, GOT, BUSY, GRANTED):
        assert cell_width.width(text_of(entry_line(Entry(1, START, entry), now))) <= width
    ascii_now = view(folded(STARTED, UP, ASKED, MAPPED, PUSHED, BUSY, GRANTED, GOT), width)
    for build in (no_rows, peer_rows):
        there, here = (build(one)[1].line for one in (ascii_now, now))
        assert cell_width.width(text_of(there)) == cell_width.width(text_of(here)), (
            "columns stand where they stood"
        )


@pytest.mark.parametrize("name", WIDE)
def test_a_name_is_cut_between_characters(name: str) -> None:
    whole = plain(name)
    for width in range(1, cell_width.width(whole) + 3):
        fitted = fit(whole, width)
        assert cell_width.width(fitted) == width
        kept, _, end = fitted.rstrip().partition("…")
        if "…" in fitted:
            assert whole.startswith(kept)
            assert whole.endswith(end)
            assert not end or not unicodedata.combining(end[0])
