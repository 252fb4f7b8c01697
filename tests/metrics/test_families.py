"""The metrics of a state: what they say, what they cost, and that Prometheus's own parser takes the text."""

import json
import math
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive, extend
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.state import State
from flux_tui.home import Home
from flux_tui.metrics.exposition import for_scrape, openmetrics, prometheus_text
from flux_tui.metrics.families import OTHERS, PEERS, Family, state_families
from flux_tui.metrics.machine_figures import LiveFigures, LoopLag, disk_families, live_families
from tests.core.samples import sample

GRAFANA = Path(__file__).parents[2] / "assets" / "grafana.json"
PEER, CIDS = PeerId("12D3KooWone"), [raw_cid(b"%d" % number) for number in range(4)]
LIVE = LiveFigures(uploads=2, upload_queue_bytes=10, uncommitted_entries=3, stalled=False)


def series(*events: Event) -> State:
    return derive(Entry(number, 1000.0 + number, event) for number, event in enumerate(events, 1))


def values(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Return what Prometheus would store, by name and labels."""
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in parse_openmetrics(text)  # type: ignore[no-untyped-call]
        for one in family.samples
    }


def value(families: list[Family], name: str, **labels: str) -> float:
    return values(openmetrics(families).decode())[f"flux_tui_{name}", frozenset(labels.items())]


def test_they_say_what_the_state_says() -> None:
    state = series(
        ev.NodeStarted(peer_id=PEER, addrs=(), version="0.2.0", max_pending=1),
        ev.PeerConnected(peer=PEER, addr=""),
        ev.Requested(cid=CIDS[0]),
        ev.Requested(cid=CIDS[1]),
        ev.PushedWant(cids=(CIDS[0],), peers=(PEER,), gossip=False, retry=True, next_push_at=1060.0),
        ev.StatusNo(peer=PEER, cids=(CIDS[0],), reason="busy", has_it=True, retry_after=1.0),
        ev.Granted(peer=PEER, root=None, cids=(CIDS[0], CIDS[2]), deadline=1010.0),
        ev.ChunkReceived(cid=CIDS[0], size=100, peer=PEER),
        ev.ChunkWasted(cid=CIDS[0], size=50, peer=PEER, cause="hedged"),
        ev.ChunksSent(peer=PEER, cids=(CIDS[3],), size=70),
        ev.AnsweredNo(peer=PEER, cids=(CIDS[3],), reason="denied", has_it=True, retry_after=None),
        ev.PolicyChanged(policy=Policy(quota=5000)),
    )
    found = state_families(state, 1020.0, running=True)
    assert value(found, "up") == 1
    assert value(found, "received_bytes_total") == 150
    assert value(found, "unique_bytes_total") == 100
    assert value(found, "wasted_bytes_total", cause="hedged") == 50
    assert value(found, "sent_bytes_total") == 70
    assert value(found, "duplicate_factor") == 1.5
    assert value(found, "noes_total", direction="in", reason="busy") == 1
    assert value(found, "noes_total", direction="out", reason="denied") == 1
    assert value(found, "noes_total", direction="out", reason="busy") == 0
    assert value(found, "pending", place="queued") == 1
    assert value(found, "pending", place="in_network") == 0, "the chunk that was pushed came"
    assert value(found, "retries_total") == 1
    assert value(found, "leases") == value(found, "overdue_leases") == 1
    assert value(found, "peers", way="direct") == 1
    assert value(found, "quota_bytes") == 5000
    assert value(found, "entries_total") == 12
    assert value(found, "last_entry_age_seconds") == 8
    assert value(found, "node_info", version="0.2.0", peer_id=PEER) == 1
    dead = state_families(state, 1020.0, running=False)
    assert (value(dead, "up"), value(dead, "peers", way="direct")) == (0, 0), "a killed node has no peers"


def test_the_parsers_of_prometheus_take_every_state(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.database.write_bytes(b"x" * 100)
    for state in (State(), sample(State)):
        found = [
            *state_families(state, 1020.0, running=True), *disk_families(home, 1 << 20), *live_families(LIVE, 0.5)
        ]  # fmt: skip
        names = [family.name for family in found]
        assert len(set(names)) == len(names)
        taken = values(openmetrics(found).decode())
        samples = sum(len(family.samples) for family in found)
        assert len(taken) == samples
        assert all(math.isfinite(number) for number in taken.values())
        assert taken["flux_tui_database_bytes", frozenset()] == 100
        older = [one for family in parse_text(prometheus_text(found).decode()) for one in family.samples]
        assert len(older) == samples
        accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        for header, parse, kind in (
            (accept, parse_openmetrics, "application/openmetrics-text"),
            ("", parse_text, "text/plain"),
        ):
            body, content_type = for_scrape(found, header)
            assert content_type.startswith(kind)
            scraped = [one.name for family in parse(body.decode()) for one in family.samples]
            assert "process_resident_memory_bytes" in scraped


def test_text_of_others_cannot_break_a_line() -> None:
    evil = 'a"} 1\n# EOF\nflux_tui_up{x="'
    state = series(
        ev.NodeStarted(peer_id=PeerId(evil), addrs=(), version=evil * 100, max_pending=1),
        ev.ChunksSent(peer=PeerId(evil), cids=(CIDS[0],), size=7),
    )
    taken = values(openmetrics(state_families(state, 0.0, running=True)).decode())
    assert taken["flux_tui_peer_sent_bytes", frozenset({("peer", evil)})] == 7
    assert taken["flux_tui_up", frozenset()] == 1
    assert all(len(text) <= 200 for _, labels in taken for _, text in labels)


def test_the_number_of_samples_does_not_grow_with_peers() -> None:
    def sent(number: int) -> list[Event]:
        return [ev.ChunksSent(peer=PeerId(f"peer{n}"), cids=(CIDS[0],), size=n + 1) for n in range(number)]

    few, many = series(*sent(PEERS + 1)), series(*sent(500))
    samples = [
        sum(len(family.samples) for family in state_families(state, 0.0, running=True))
        for state in (few, many)
    ]
    assert samples[0] == samples[1]
    found = state_families(many, 0.0, running=True)
    assert value(found, "peer_sent_bytes", peer="peer499") == 500
    rest = sum(n + 1 for n in range(500 - PEERS))
    assert value(found, "peer_sent_bytes", peer=OTHERS) == rest


def test_counters_never_go_back_while_peers_are_forgotten() -> None:
    state, seen = State(), []
    entries = (
        Entry(n, 1000.0, ev.StatusNo(peer=PeerId(f"p{n}"), cids=(CIDS[0],), reason="busy", has_it=True,
                                     retry_after=None)) for n in range(1, 3000)
    )  # fmt: skip
    for entry in entries:
        extend(state, [entry])
        if entry.seq % 500 == 0:
            found = state_families(state, 0.0, running=True)
            seen.append([one.value for family in found if family.kind == "counter" for one in family.samples])
    assert all(a <= b for before, after in pairwise(seen) for a, b in zip(before, after, strict=True))


def test_what_cannot_be_measured_is_left_out(tmp_path: Path) -> None:
    assert list(disk_families(Home(tmp_path / "nowhere"), 0)) == []


def test_the_lag_is_the_worst_of_a_minute() -> None:
    lag = LoopLag()
    assert lag.worst == 0
    lag.note(0.5)
    lag.note(-0.1)
    assert lag.worst == 0.5
    for _ in range(60):
        lag.note(0.1)
    assert lag.worst == 0.1


def test_the_dashboard_of_grafana_asks_only_for_what_there_is(tmp_path: Path) -> None:
    home = Home(tmp_path)
    home.database.write_bytes(b"x")
    found = [
        *state_families(State(), 0.0, running=True), *disk_families(home, 0), *live_families(LIVE, 0.0)
    ]  # fmt: skip
    there = {family.name + ("_total" if family.kind == "counter" else "") for family in found}
    there |= {"flux_tui_node_info"}
    board: dict[str, Any] = json.loads(GRAFANA.read_text())
    asked = [
        target["expr"] for panel in board["panels"] if panel["type"] != "row" for target in panel["targets"]
    ]
    named = {name for expression in asked for name in re.findall(r"\bflux_tui_\w+", expression)}
    assert named <= there
    for needed in (
        "noes",
        "pending",
        "retries",
        "leases",
        "peers",
        "duplicate_factor",
        "queue",
        "disk",
        "lag",
    ):
        assert any(needed in name for name in named), f"no panel shows {needed}"
    ids = [panel["id"] for panel in board["panels"]]
    assert len(set(ids)) == len(ids)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in board["panels"])
