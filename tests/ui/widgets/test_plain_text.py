"""Text of others never controls the terminal, in any panel, window, prompt or notice."""

import asyncio
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.segment import Segment
from textual.app import App, ComposeResult
from textual.color import Color
from textual.pilot import Pilot
from textual.widgets import Static

from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import EVENT_TYPES, Event, Unknown
from flux_tui.core.series.events.named_ids import cids_of, peers_of
from flux_tui.core.text.plain import plain
from flux_tui.store.store import Store
from flux_tui.ui.dashboard.app import GUARD
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.inspect.facts import Subject, facts_of
from flux_tui.ui.rows.view_and_lines import View, entry_line, text_of
from flux_tui.ui.screens.add import AddScreen
from flux_tui.ui.screens.want import WantScreen
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group
from flux_tui.ui.watching.captions import Caption
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.plain_text import ControlFilter
from tests.core.samples import CID, PEER, sample
from tests.support.dashboard import toasts
from tests.ui.conftest import Live, on_asyncio
from tests.ui.terminal import Terminal

STEERS = "a\x1b]0;OWNED\x07[bold]\x9b2J\u202egpj\u200b\u2028\x7fz"
SHOWN = r"a\x1b]0;OWNED\x07[bold]\x9b2J\u202egpj\u200b\u2028\x7fz"
OTHER = PeerId(PEER[:-1] + "T")
ROOT = raw_cid(b"an object")


@pytest.fixture
def unguarded(monkeypatch: pytest.MonkeyPatch) -> None:
    """Remove the guard under all widgets, so that each widget has to show plain text by itself."""
    monkeypatch.setattr(ControlFilter, "apply", lambda self, segments, background: segments)


def odd(kind: Any, **given: Any) -> Any:
    """Return an event with control characters in every text field."""
    found = sample(kind)
    for name, value in msgspec.structs.asdict(found).items():
        if value == "words":
            given.setdefault(name, STEERS)
        elif value == ("words",):
            given.setdefault(name, (STEERS,))
    return msgspec.structs.replace(found, **given)


def everything() -> list[Event]:
    """Return one event of each kind, then events that fill the panels with such names."""
    found: list[Event] = [
        ev.NodeStarted(peer_id=PeerId(PEER), addrs=(STEERS,), version=STEERS, max_pending=9)
    ]
    found += [odd(kind) for kind in EVENT_TYPES if kind not in (Unknown, ev.NodeStarted, ev.NodeStopped)]
    found.append(Unknown(kind=STEERS, body=b""))
    found += [
        ev.PeerConnected(peer=OTHER, addr=STEERS),
        ev.Requested(cid=ROOT, name=STEERS, size=9_000_000, path=STEERS),
        ev.ObjectMapped(root=ROOT, size=9_000_000, chunks=9, have=0, have_bytes=0),
        ev.PushedWant(cids=(ROOT,), peers=(OTHER,), gossip=True, retry=False, next_push_at=1_700_000_100.0),
        ev.StatusNo(peer=OTHER, cids=(ROOT,), reason="busy", has_it=True, retry_after=60.0, text=STEERS),
        ev.HoldRequested(root=ROOT, name=STEERS, size=9, replicas=2),
        odd(ev.KeepReceived, peer=OTHER, root=CID),
    ]
    return found


def drawn(app: App[Any]) -> str:
    """Return all text on the screen."""
    return "\n".join(strip.text for strip in app.screen._compositor.render_strips())


async def checked(pilot: Pilot[Any]) -> str:
    """Return the text on the screen, after a check that all of it can be shown."""
    await pilot.pause()
    await pilot.pause()
    text = drawn(pilot.app)
    for line in text.splitlines():
        assert line.isprintable(), ascii(line)
    return text


@pytest.mark.parametrize("size", [(60, 20), (200, 60)])
@on_asyncio
async def test_panels_and_windows_show_no_control_characters(
    live: Live, unguarded: None, size: tuple[int, int]
) -> None:
    live.append(*everything())
    async with live.app.run_test(size=size) as pilot:
        seen = await checked(pilot)
        for number, name in enumerate(PANELS, 1):
            await pilot.press(str(number), "z")
            seen += await checked(pilot)
            await pilot.press("g", "enter")
            seen += await checked(pilot)
            await pilot.press("escape", "escape", "z", "escape")
            live.app.parts.panels.go_to(name)
        assert SHOWN[:8] in seen


def test_every_entry_is_plain_as_a_line_and_in_inspect(live: Live) -> None:
    events = everything()
    live.append(*events)
    source = Source(lambda: live.series)
    while source.loading or not source.last_seq:
        source.poll()
    view = View(source.state, live.now, 400, Glyphs(unicode=True))
    for seq in range(1, len(events) + 1):
        entry = source.entry(seq)
        assert entry is not None
        subjects = [Subject("entry", str(seq), Group(seq, seq, 1))]
        subjects += [Subject("cid", cid) for cid in cids_of(entry.event)]
        subjects += [Subject("peer", peer) for peer in peers_of(entry.event)]
        lines = [text_of(entry_line(entry, view))]
        for subject in subjects:
            title, facts = facts_of(subject, source, view)
            lines += [title, *(fact.text for fact in facts)]
        for line in lines:
            assert line.isprintable(), ascii(line)


@on_asyncio
async def test_notices_titles_and_trouble(live: Live, unguarded: None) -> None:
    live.append(*everything())
    live.node = WatchedNode(
        title=STEERS, source=Source(lambda: live.series), push=live._push, trouble=lambda: STEERS,
        names={OTHER: STEERS},
    )  # fmt: skip
    live.app = live.dashboard()
    async with live.app.run_test(size=(120, 40)) as pilot:
        live.app.notify(f"[red]{STEERS}[/red]", title=STEERS)
        await checked(pilot)
        assert toasts(live.app) == [f"[red]{SHOWN}[/red]"], "no markup, and nothing is lost"
        live.app.parts.panels.go_to("pending")
        live.app.parts.acting.filtering.set(STEERS)
        live.app.parts.panels.go_to("series")
        live.app.parts.acting.filtering.set(f"{{0}} kind:{STEERS}{{}}")
        await checked(pilot)
        for key in ("y", "Y", "c", "r", "2", "g", "c", "H"):
            await pilot.press(key)
            await checked(pilot)


@on_asyncio
async def test_prompts(live: Live, unguarded: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = "a\x1b]0;OWNED\x07[bold]"
    (tmp_path / name).mkdir()
    (tmp_path / name / "[").touch()
    (tmp_path / f"b{name}").touch()
    monkeypatch.chdir(tmp_path / name)
    ticket = format_ticket(Ticket(ROOT, STEERS, 5, (f"{STEERS}/p2p/{PEER}".replace("a\x1b", "/a\x1b"),)))
    live.append(*everything())
    async with live.app.run_test(size=(120, 40)) as pilot:
        live.app.push_screen(WantScreen(live.app.parts.nodes.state, tmp_path / name, lambda: "mark"))
        await checked(pilot)
        live.app.screen.query_one("#what").value = f"{ticket} {STEERS} "  # type: ignore[attr-defined]
        assert "OWNED" in await checked(pilot)
        await pilot.press("enter")
        await checked(pilot)
        await pilot.press("escape")
        live.app.push_screen(AddScreen(tmp_path))
        await checked(pilot)
        field = live.app.screen.query_one("#path")
        field.value = f"{tmp_path}/ba"  # type: ignore[attr-defined]
        await pilot.press("tab")
        assert field.value == f"{tmp_path}/b{name}", "what is completed is exact"  # type: ignore[attr-defined]
        assert r"ba�]0;OWNED�[bold]" in await checked(pilot)
        field.value = f"/{STEERS}"  # type: ignore[attr-defined]
        await pilot.press("enter")
        assert f"/{SHOWN}" in await checked(pilot)
        await pilot.press("down", "down", "down", "enter")
        await checked(pilot)
        await pilot.press("escape", ":")
        for line in (
            f"add {tmp_path}/",
            f"get {STEERS}",
            f"theme {STEERS}",
            STEERS,
            f"join {STEERS}",
            f"cancel {STEERS}",
        ):
            live.app.parts.prompt.field.value = line
            await pilot.press("tab", "tab")
            await checked(pilot)
            await pilot.press("enter")
            await checked(pilot)


class Narrated:
    caption = Caption(STEERS, 1, 2, paused=True)

    def move(self, by: int) -> None: ...

    def toggle_pause(self) -> None: ...


@on_asyncio
async def test_captions(live: Live, unguarded: None) -> None:
    app = live.dashboard(narrator=Narrated())
    async with app.run_test(size=(120, 40)) as pilot:
        assert SHOWN in await checked(pilot)


class Forgetful(App[None]):
    def compose(self) -> ComposeResult:
        yield Static("one\x1b]0;OWNED\x07 two\x9b\u202e", markup=False)

    def get_line_filters(self) -> list[Any]:
        return [GUARD]


@on_asyncio
async def test_the_guard_replaces_control_characters_that_a_widget_lets_through() -> None:
    app = Forgetful()
    async with app.run_test(size=(40, 5)) as pilot:
        text = await checked(pilot)
        assert "one�]0;OWNED two��" in text, "Rich takes out the bell itself"
        assert {len(line) for line in text.splitlines()} == {40}


def test_a_line_keeps_its_width_under_the_guard() -> None:
    line = [Segment("│a\x1b\u200b日"), Segment("  "), Segment("│")]
    kept = GUARD.apply(line, Color(0, 0, 0))
    assert sum(segment.cell_length for segment in kept) == sum(segment.cell_length for segment in line)
    same = [Segment("plain"), Segment(" · 日本")]
    assert GUARD.apply(same, Color(0, 0, 0)) is same


@on_asyncio
async def test_the_report_of_a_crash_is_plain(live: Live, tmp_path: Path) -> None:
    log = tmp_path / "crash.log"
    app = live.dashboard(crash_log=log)

    def fail() -> None:
        raise ValueError(STEERS)

    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.call_later(fail)
        while app.is_running and not app._exit:  # noqa: ASYNC110 - from outside
            await asyncio.sleep(0.01)
    assert f"ValueError: {SHOWN}" in log.read_text()
    assert app.return_code == 1


def test_a_hostile_recording_is_plain_in_a_real_terminal(tmp_path: Path) -> None:
    home = tmp_path / STEERS.replace("/", "")
    home.mkdir()
    store = Store.open(home)
    store.commit([(1_700_000_000.0, event) for event in everything()])
    store.close()
    terminal = Terminal(["-m", "flux_tui", "replay", str(home / "flux.db")], (120, 40))
    try:
        terminal.wait_text("entries")
        mark = len(terminal.written)
        terminal.press("\r")
        terminal.wait_text("touches it", mark)
        terminal.press("qq")
        status, _ = terminal.wait_end()
        assert status == 0
        written = bytes(terminal.written)
        assert b"OWNED" in written
        for raw in (
            b"\x1b]0;OWNED",
            "\u202e".encode(),
            "\x9b".encode(),
            "\u200b".encode(),
            "\u2028".encode(),
        ):
            assert raw not in written
    finally:
        terminal.close()


def test_a_row_shows_the_letters_of_a_name() -> None:
    assert plain(STEERS) == SHOWN
