"""The sentences of an explanation."""

from datetime import datetime

import pytest

from flux_tui.core.ids import dag_cid, short
from flux_tui.core.series.next_try import Try
from flux_tui.core.series.state import ObjectState, Pending, State
from flux_tui.core.series.want_explanation import PeerLine, Why
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.why import NOT_RUNNING, PeerWords, WhyWords, why_words
from tests.sim.swarm import peer_name

FILM = dag_cid(b"a film")
PEER, OTHER = peer_name(1), peer_name(2)
NOON = 1_795_953_600.0
LINE = PeerLine(
    peer=PEER, standing="ready", has="all", blocks=None, lacks=0, said="yes", said_at=NOON, reason=None, until=None,
    text="", asked_at=NOON, granted=0, came=0, bytes_in=0, came_at=None, on_way=0, deadline=None, seen_at=NOON,
)  # fmt: skip


def words(
    *lines: PeerLine, pending: Pending | None = None, then: Try | None = None, running: bool = True
) -> WhyWords:
    found = ObjectState(
        root=FILM,
        origin="wanted",
        since=NOON,
        name="film.mkv",
        size=100,
        chunks_have=3,
        chunks_total=9,
        have_bytes=25,
    )
    state = State(objects={FILM: found})
    told = Why(
        FILM, pending or Pending(cid=FILM, since=NOON, in_network=True), found, list(lines), then,
        sum(line.on_way for line in lines), NOON,
    )  # fmt: skip
    return why_words(told, StateNames(state), NOON + 8, running=running)


def about(line: PeerLine) -> PeerWords:
    (found,) = words(line).peers
    return found


def clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")


def test_the_title_tells_progress_and_silence() -> None:
    assert words().title == "film.mkv  25% · 3 of 9 chunks · nothing for 8.0 s"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (LINE._replace(standing="sends", on_way=6, deadline=NOON + 9.8), "6 chunks on the way, due in 1.8 s"),
        (LINE._replace(standing="sends", on_way=1, deadline=NOON), "1 chunk on the way, overdue"),
        (LINE, "may be granted chunks now"),
        (LINE._replace(standing="unwritten"), "granted nothing while it cannot be written here"),
        (LINE._replace(standing="silent"), f"asked at {clock(NOON)}, no answer yet"),
        (LINE._replace(standing="unasked"), "connected, not asked yet"),
        (LINE._replace(standing="gone"), f"gone since {clock(NOON)}"),
        (LINE._replace(standing="denies", reason="denied"), "denies this node"),
        (LINE._replace(standing="denies", reason="shutting_down"), "shutting_down"),
        (LINE._replace(standing="has_none", has="none"), f"said not_held at {clock(NOON)}"),
        (
            LINE._replace(standing="has_none", has="none", reason="busy", until=NOON + 12),
            f"said busy at {clock(NOON)}, left alone until {clock(NOON + 12)} (4.0 s)",
        ),
        (LINE._replace(standing="lacks", lacks=2), "did not have 2 chunks that it was granted"),
        (
            LINE._replace(standing="lacks", lacks=2, text="it\x1b changed"),
            'its copy is not whole any more: "it\\x1b changed"',
        ),
        (
            LINE._replace(standing="waits", reason="busy", until=NOON + 10),
            f"busy, until {clock(NOON + 10)} (2.0 s)",
        ),
        (
            LINE._replace(standing="late", until=NOON + 10),
            f"did not send in time, left alone until {clock(NOON + 10)} (2.0 s)",
        ),
    ],
)
def test_what_a_peer_says(line: PeerLine, expected: str) -> None:
    assert about(line).says == expected


def test_what_a_peer_has_and_sent() -> None:
    assert about(LINE).has == "has all"
    assert about(LINE._replace(standing="gone")).has == "had all"
    assert about(LINE._replace(has="part", blocks=4)).has == "has 4 chunks"
    assert about(LINE._replace(lacks=1)).has == "said it has all"
    assert about(LINE._replace(has=None)).has == "not known"
    assert about(LINE).did == "granted nothing"
    assert (
        about(LINE._replace(granted=16, came=12, bytes_in=12 << 20)).did == "granted 16, sent 12 (12.0 MiB)"
    )
    assert about(LINE._replace(granted=16)).did == "granted 16, sent none"


def test_what_comes_next() -> None:
    grant = Try(NOON + 10, "grant", "retry_after", PEER, "busy", NOON)
    push = Try(NOON + 68, "push", "silence")
    sends = LINE._replace(standing="sends", on_way=2)
    queued = Pending(cid=FILM, since=NOON)
    assert words(LINE, then=grant).next == [
        f"Next: {short(PEER)} is granted chunks in 2.0 s, at {clock(NOON + 10)} (6 chunks to get)."
    ]
    assert words(sends, sends._replace(peer=OTHER), then=push).next == [
        f"Next: 4 chunks are due from {short(PEER)} and {short(OTHER)}.",
        "Then: more chunks are granted as these come (2 chunks to get). If nothing comes in time, all peers are"
        " asked again.",
    ]
    assert words(pending=queued).next == ["Next: it waits for a place among the wants in the network."]
    assert words(LINE).next == [
        "Next: nothing is planned. It goes on when a peer comes that has it, or says that it has it."
    ]
    gone = LINE._replace(standing="gone")
    back = f"If {short(PEER)} comes back, it is asked within 2 s."
    here = LINE._replace(peer=OTHER, standing="has_none", has="none")
    assert words(here, gone, then=push).next == [
        f"Next: the want is pushed to all again in 1:00, at {clock(NOON + 68)}.",
        back,
    ]
    assert len(words(here, gone._replace(has="none"), then=push).next) == 1
    promised = Pending(cid=FILM, since=NOON, in_network=True, yes=[PEER])
    assert words(here, gone, pending=promised, then=push).next[1:] == [
        f"If {short(PEER)} comes back, it is granted chunks at once."
    ]
    assert words(then=grant, running=False).next == [NOT_RUNNING]


def test_an_unwritten_want_says_so() -> None:
    pending = Pending(cid=FILM, since=NOON, in_network=True, cause="unwritten", trouble="the disk is full")
    again = Try(NOON + 10, "push", "unwritten")
    assert words(LINE, pending=pending, then=again).next == [
        "It cannot be written here: the disk is full.",
        f"Next: this node tries again to write it in 2.0 s, at {clock(NOON + 10)}.",
    ]


def test_with_nobody_connected_the_first_peer_is_asked() -> None:
    push = Try(NOON + 68, "push", "silence")
    first = "Next: no peer is connected. The first one that connects is asked within 2 s."
    assert words(then=push).next == [first]
    assert words(LINE._replace(standing="gone", has="none"), then=push).next == [first]


def test_a_peer_that_has_just_connected_is_asked() -> None:
    ask = Try(NOON + 9.5, "ask", "silence", PEER)
    assert words(LINE._replace(standing="unasked"), then=ask).next == [
        f"Next: {short(PEER)}, just connected, is asked in 1.5 s, at {clock(NOON + 9.5)}."
    ]


def test_what_follows_the_last_chunks() -> None:
    push = Try(NOON + 68, "push", "silence")
    assert words(LINE._replace(standing="sends", on_way=6), then=push).next[1] == (
        "Then: it is whole. If nothing comes in time, all peers are asked again."
    )
