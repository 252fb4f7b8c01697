"""What is told when something has become whole: a line, the bell, a notice of the desktop."""

import pytest

from flux_tui.config import NoticeBy
from flux_tui.core.ids import dag_cid
from flux_tui.core.series import events as ev
from flux_tui.core.text.plain import plain
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.watching.object_whole_notices import MAX_DESKTOP, desktop_notice
from flux_tui.ui.watching.watched_node import WatchedNode
from tests.support.dashboard import toasts
from tests.ui.conftest import Live, on_asyncio

FILM, SONG, REPLICA = dag_cid(b"a film"), dag_cid(b"a song"), dag_cid(b"a replica")
PATH = "/home/ada/film.mkv"


class Terminal:
    """What a dashboard would write to its terminal."""

    def __init__(self) -> None:
        self.bells = 0
        self.written: list[str] = []

    def ring(self, _: Dashboard) -> None:
        self.bells += 1

    def write(self, _: Dashboard, sequence: str) -> None:
        self.written.append(sequence)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    found = Terminal()
    monkeypatch.setattr(Dashboard, "bell", lambda app: found.ring(app))
    monkeypatch.setattr(Dashboard, "write_to_terminal", lambda app, sequence: found.write(app, sequence))
    return found


def wanted(name: str = "film.mkv") -> ev.Requested:
    return ev.Requested(cid=FILM, name=name, size=1000, path=PATH)


def whole(path: str | None = PATH) -> ev.ObjectCompleted:
    return ev.ObjectCompleted(root=FILM, size=1000, path=path)


@pytest.mark.parametrize(
    ("by", "bells", "written"), [("none", 0, 0), ("bell", 1, 0), ("osc9", 1, 1), ("osc777", 1, 1)]
)
@on_asyncio
async def test_a_line_with_the_path_and_what_the_setting_asks_for(
    live: Live, terminal: Terminal, by: NoticeBy, bells: int, written: int
) -> None:
    live.append(wanted())
    app = live.dashboard(notice_by=by)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        live.append(whole())
        app.parts.ticker.tick()
        await pilot.pause()
        assert toasts(app) == [f"film.mkv is whole: {PATH} (1000 B)"]
        assert (terminal.bells, len(terminal.written)) == (bells, written)
        app.parts.ticker.tick()
        assert terminal.bells == bells, "once"


@on_asyncio
async def test_what_was_whole_before_is_not_told(live: Live, terminal: Terminal) -> None:
    live.append(wanted(), whole())
    app = live.dashboard(notice_by="osc9")
    async with app.run_test() as pilot:
        await pilot.pause()
        app.parts.ticker.tick()
        assert (toasts(app), terminal.bells, terminal.written) == ([], 0, [])


@on_asyncio
async def test_a_recording_tells_of_nothing(live: Live, terminal: Terminal) -> None:
    live.append(wanted())
    app = Dashboard(WatchedNode(title="r", source=live.node.source), notice_by="osc9")
    async with app.run_test() as pilot:
        await pilot.pause()
        live.append(whole())
        app.parts.ticker.tick()
        await pilot.pause()
        assert (toasts(app), terminal.bells) == ([], 0)


@on_asyncio
async def test_it_is_told_while_the_cursor_is_frozen_elsewhere_and_masked(
    live: Live, terminal: Terminal
) -> None:
    live.append(wanted())
    app = live.dashboard(notice_by="bell")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.parts.nodes.source.go_to(0)
        app.parts.views.toggle_mask()
        live.append(whole())
        app.parts.ticker.tick()
        await pilot.pause()
        assert (toasts(app), terminal.bells) == (["film.mkv is whole: ••• (1000 B)"], 1)


@on_asyncio
async def test_a_replica_for_others_is_not_told_and_many_are_one_line(live: Live, terminal: Terminal) -> None:
    live.append(
        wanted(), ev.Requested(cid=SONG, name="song"), ev.Requested(cid=REPLICA, name="a copy", held=True)
    )
    app = live.dashboard(notice_by="bell")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        live.append(ev.ObjectCompleted(root=REPLICA, size=10, path=None))
        app.parts.ticker.tick()
        assert toasts(app) == []
        live.append(whole(), ev.ObjectCompleted(root=SONG, size=10, path=None))
        app.parts.ticker.tick()
        await pilot.pause()
        assert toasts(app) == ["2 objects are whole, the last: song is whole: in the store (10 B)"]
        assert terminal.bells == 1


@pytest.mark.parametrize("name", ["evil\x1b]0;title\x07", "4;1;50", "a;b\x1b\\c", "x" * 10_000, "\x9c\x07"])
def test_a_hostile_name_cannot_end_the_sequence_or_begin_another(name: str) -> None:
    heads: dict[NoticeBy, str] = {"osc9": "\x1b]9;flux-tui: ", "osc777": "\x1b]777;notify;flux-tui;"}
    for by, head in heads.items():
        found = desktop_notice(by, plain(name))
        assert found.startswith(head)
        assert found.endswith("\x07")
        text = found[len(head) : -1]
        assert text.isprintable()
        assert ";" not in text
        assert len(text) <= MAX_DESKTOP


def test_tmux_passes_it_on() -> None:
    assert desktop_notice("osc9", plain("a"), tmux=True) == "\x1bPtmux;\x1b\x1b]9;flux-tui: a\x07\x1b\\"
