"""What `get` says while it waits, and what `cancel` and `state` say about pending wants."""

import io
import re
from pathlib import Path

import pytest
from rich.cells import cell_len
from rich.console import Console

from flux_tui.cli import state_tables
from flux_tui.cli.no_progress_words import Dials, unheard, waiting_for
from flux_tui.cli.progress import Progress
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import PeerId, dag_cid, raw_cid, short
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive
from flux_tui.core.series.state import State
from flux_tui.home import Home
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.pending_and_retries import pending_rows
from flux_tui.ui.rows.view_and_lines import View, text_of
from tests.bench.nodes import LISTEN, flux, running, state, wait_for
from tests.bench.nodes import Node as BenchNode
from tests.core.samples import PEER

ROOT, LEAF = dag_cid(b"root"), raw_cid(b"leaf")
HOLDER = PeerId(PEER)
ADDR = f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}"
TICKET = Ticket(ROOT, "film.mkv", 100, (ADDR,))
FULL = "the disk is full: /x/film.mkv cannot be written; free some space, nothing is lost"
ASKED: tuple[Event, ...] = (
    ev.PeerConnected(peer=HOLDER, addr=ADDR),
    ev.Requested(cid=ROOT, name="film.mkv", path="/x/film.mkv", size=100),
    ev.PushedWant(cids=(ROOT,), peers=(HOLDER,), gossip=False, retry=False, next_push_at=1060.0),
)
GRANTED = ev.Granted(peer=HOLDER, root=ROOT, cids=(LEAF,), deadline=1010.0)


def after(*events: Event) -> State:
    return derive(Entry(number, 1000.0, event) for number, event in enumerate(events, 1))


def test_a_full_disk() -> None:
    state = after(
        *ASKED,
        GRANTED,
        ev.ErrorOccurred(text=FULL, cid=ROOT, path="/x/film.mkv"),
        ev.LeaseLapsed(peer=HOLDER, cids=(LEAF,), cause="unwritten"),
        ev.RetrySet(cids=(ROOT,), next_push_at=1010.0, cause="unwritten"),
    )
    assert waiting_for(state, TICKET, 1002.0) == "it could not be written here, next try in 8.0 s"


def test_an_address_that_cannot_be_dialled() -> None:
    dials = Dials(TICKET)
    state = after(*ASKED[1:])
    assert waiting_for(state, TICKET, 1000.0, dials.failed) == "no peer is connected yet"
    text = f"{ADDR} cannot be reached: nobody listens there (connection refused)"
    other = ADDR.replace("4001", "40011")
    dials.see(Entry(1, 1.0, ev.ErrorOccurred(text=text.replace(ADDR, other), addr=other)))
    assert dials.failed is None, "another address"
    dials.see(Entry(1, 1.0, ev.ErrorOccurred(text=text, addr=ADDR)))
    assert waiting_for(state, TICKET, 1000.0, dials.failed) == (
        "nobody listens there (connection refused) · 192.0.2.7:4001; dialled again within 30 s"
    )
    dials.see(Entry(2, 1.0, ev.PeerConnected(peer=HOLDER, addr=ADDR)))
    assert dials.failed is None


def test_an_address_of_another_program_is_told() -> None:
    """`--join` names an IPFS node, and `--bitswap` was forgotten."""
    why = "answers, but does not speak flux; if it is an IPFS node, --bitswap speaks with it"
    tried = (ev.TriedAddr("/ip4/192.0.2.9/tcp/1", ""), ev.TriedAddr(ADDR, why))
    state = after(*ASKED[1:], ev.HeardNobody(tried=tried))
    told = waiting_for(state, Ticket(ROOT), 1000.0)
    assert told == f"no peer is connected: 192.0.2.7:4001 {why}"
    assert unheard(after(*ASKED[1:], ev.HeardNobody(tried=tried), ASKED[0])) == ""
    assert unheard(after(*ASKED[1:])) == ""


def test_a_holder_that_lacks_a_part_that_it_offered() -> None:
    no = ev.StatusNo(peer=HOLDER, cids=(LEAF,), reason="not_held", has_it=False, retry_after=None)
    lapsed = ev.LeaseLapsed(peer=HOLDER, cids=(LEAF,), cause="refused")
    state = after(*ASKED, GRANTED, no, lapsed)
    assert waiting_for(state, TICKET, 1056.0) == f"not_held, next try in 4.0 s: {short(HOLDER)}"
    last = state.pending[ROOT].last_no
    assert last is not None
    assert (last.peer, last.reason) == (HOLDER, "not_held")
    other = PeerId(PEER[:-1] + "x")
    state = after(
        *ASKED, GRANTED, ev.StatusNo(peer=other, cids=(LEAF,), reason="busy", has_it=True, retry_after=1.0)
    )
    assert state.pending[ROOT].last_no is None, "nobody asked it for this"


def test_what_nobody_has() -> None:
    """Every peer that is asked refuses: none of them is the one that holds it up."""
    other = PeerId(PEER[:-1] + "x")
    noes = [
        ev.StatusNo(peer=peer, cids=(ROOT,), reason="not_held", has_it=False, retry_after=None)
        for peer in (HOLDER, other)
    ]
    started = ev.NodeStarted(peer_id=PeerId(PEER), addrs=(ADDR,), version="1", max_pending=7)
    state = after(started, *ASKED, ev.PeerConnected(peer=other, addr=ADDR), *noes)
    assert waiting_for(state, TICKET, 1056.0) == "not_held, next try in 4.0 s: 2 peers"
    _, line = [text_of(row.line) for row in pending_rows(View(state, 1056.0, 80, Glyphs(unicode=True)))]
    assert line.strip() == "∅ not_held, next try in 4.0 s: 2 peers"


def test_a_want_that_waits_for_a_peer_has_no_countdown(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(state_tables, "Console", lambda **options: Console(width=200, **options))
    state_tables.print_state(after(*ASKED[1:]), 1000.0)
    out = capsys.readouterr().out
    assert "0 peers connected" in out
    assert "with the first peer" in out
    assert "in 1:00" not in out
    state_tables.print_state(after(*ASKED), 1000.0)
    out = capsys.readouterr().out
    assert "1 peer connected" in out
    assert "in 1:00" in out


def test_state_shows_the_addresses_of_a_running_node(capsys: pytest.CaptureFixture[str]) -> None:
    """The guide of the dashboard says the same."""
    started = ev.NodeStarted(peer_id=PeerId(PEER), addrs=(ADDR,), version="1", max_pending=7)
    state_tables.print_state(after(started), 1000.0)
    assert f"\n{ADDR}\n" in capsys.readouterr().out
    state_tables.print_state(after(started, ev.NodeStopped(reason="asked")), 1000.0)
    assert ADDR not in capsys.readouterr().out


def test_cancelling_by_ticket_and_cancelling_something_not_pending(tmp_path: Path) -> None:
    node = BenchNode(tmp_path / "a")
    with running(node):
        flux("want", ROOT, home=node.home)
        told = flux("cancel", format_ticket(Ticket(ROOT, "film.mkv", 100)), LEAF, home=node.home, check=False)
        assert (told.returncode, told.stdout) == (1, "")
        assert told.stderr == (
            f"pushed 1 cancel\nflux-tui: not pending, so there is nothing to cancel: {LEAF}\n"
        )
        wait_for(lambda: not state(node.home)["pending"], seconds=20)
        told = flux("cancel", ROOT, home=node.home, check=False)
        assert told.returncode == 1
        assert state(node.home)["last_error"] is None, "what was mistyped is nobody else's business"


def test_an_unusable_output_path_is_reported_at_once(tmp_path: Path) -> None:
    home = tmp_path / "home"
    ticket = format_ticket(Ticket(ROOT, "film.mkv", 100))
    try:
        told = flux("get", ticket, "-o", "/proc/film.mkv", *LISTEN, home=home, check=False)
        assert (told.returncode, told.stdout) == (1, "")
        assert re.fullmatch(
            r"flux-tui: nothing can be put into /proc: .*", told.stderr.strip().splitlines()[-1]
        )
        assert state(home)["pending"] == []
    finally:
        if Home(home).running():
            flux("stop", home=home)


def test_get_shows_no_eta_after_a_burst_and_ignores_bytes_from_before() -> None:
    bar = Progress("film.mkv", quiet=True, clock=lambda: 0.0)
    size = 100 << 20
    assert bar.flow(50 << 20, size, 0.0) == ("0 B/s", "")
    assert bar.flow(60 << 20, size, 1.2)[1] == "", "ten MiB at once"
    for second in range(2, 40):
        rate, eta = bar.flow(60 << 20, size, second + 0.2)
        assert eta == "", "of a burst, nobody can say when the rest comes"
    assert rate == "0 B/s", "and what came is not what comes"
    bar = Progress("film.mkv", quiet=True, clock=lambda: 0.0)
    for second in range(40):
        rate, eta = bar.flow((50 + second) << 20, size, second + 0.2)
    assert (rate, eta) == ("1.0 MiB/s", "eta 11 s")


@pytest.mark.parametrize("width", [60, 80, 120])
@pytest.mark.parametrize("name", ["film.mkv", "日本語の映画とても長い名前.mkv"])
def test_get_shows_the_percentage_and_the_reason_at_any_width(
    width: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    terminal = Console(file=shown, width=width, force_terminal=True, color_system=None)
    monkeypatch.setattr("flux_tui.cli.progress.console", lambda **_: terminal)
    bar = Progress(name)
    bar._fancy = True
    bar.update(9 << 20, 24 << 20, "rate_limited, next try in 1.5 s: 12D3…ntwp")
    terminal.print(bar._bar.get_renderable())
    (line,) = shown.getvalue().splitlines()
    assert " 38 % " in line
    assert "rate_limited, next try in 1.5 s" in line
    assert cell_len(line.rstrip()) <= width


def test_a_reason_is_only_told_while_it_holds() -> None:
    limited = ev.StatusNo(peer=HOLDER, cids=(LEAF,), reason="rate_limited", has_it=True, retry_after=90.0)
    yes = ev.DelayedYes(peer=HOLDER, cids=(ROOT,), eta=0.0, queue_bytes=0, name="film.mkv", size=100)
    refused = (yes, GRANTED, limited, ev.LeaseLapsed(peer=HOLDER, cids=(LEAF,), cause="refused"))
    state = after(*ASKED, *refused)
    assert waiting_for(state, TICKET, 1056.0) == "rate_limited, next try in 4.0 s", (
        "a push to all comes sooner"
    )
    gone = (ev.PeerDisconnected(peer=HOLDER, why="gone"), ev.PeerConnected(peer=PeerId("other"), addr=ADDR))
    state = after(*ASKED, *refused, *gone)
    assert waiting_for(state, TICKET, 1056.0) == f"gone, next try in 4.0 s: {short(HOLDER)}"
    lapsed = ev.RetrySet(cids=(ROOT,), next_push_at=1058.0, cause="lapsed", peer=HOLDER)
    state = after(*ASKED, *refused, *gone, lapsed)
    assert waiting_for(state, TICKET, 1056.0) == f"gone, next try in 2.0 s: {short(HOLDER)}"
