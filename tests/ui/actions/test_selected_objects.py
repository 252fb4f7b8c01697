"""Marking lines, and wanting again what was cancelled."""

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from tests.support.dashboard import toasts
from tests.ui.conftest import Live, on_asyncio, replayed

FILM = dag_cid(b"a film")
LOOSE = [raw_cid(b"loose %d" % number) for number in range(6)]


@pytest.fixture
def live(live: Live) -> Live:
    """A dashboard on a film and six loose chunks that are wanted."""
    live.append(ev.Requested(cid=FILM, name="film.mkv", size=99, path="/there/film.mkv"))
    live.append(*(ev.Requested(cid=cid) for cid in LOOSE))
    return live


def marked(live: Live) -> set[Cid]:
    return {Cid(key) for key in live.app.parts.panels.panel("pending").marked}


@on_asyncio
async def test_a_range_is_marked_from_the_line_marked_last(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2", "g", "X")
        await pilot.pause()
        assert "mark the first line" in toasts(live.app)[-1]
        assert not marked(live)
        await pilot.press("j", "x", "j", "j", "X")
        keys = [Cid(row.key) for row in live.app.parts.panels.panel("pending").rows if not row.title]
        assert marked(live) == set(keys[1:5])


@on_asyncio
async def test_all_that_a_filter_shows_are_marked_and_unmarked(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2", "A")
        assert marked(live) == {FILM, *LOOSE}
        await pilot.press("A")
        assert not marked(live)
        await pilot.press("slash", *"film", "enter", "A")
        assert marked(live) == {FILM}


@on_asyncio
async def test_the_last_cancel_is_undone(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2", "u")
        assert "nothing was cancelled" in toasts(live.app)[-1]
        await pilot.press("A", "c")
        await pilot.pause()
        (cancel,) = live.pushed
        assert isinstance(cancel, cmd.Cancel)
        assert set(cancel.cids) == {FILM, *LOOSE}
        live.append(ev.Cancelled(cids=cancel.cids))
        assert "u wants them again" in toasts(live.app)[-1]
        await pilot.press("u")
        got, many = live.pushed[1:]
        assert isinstance(got, cmd.Get)
        assert (got.root, got.path, got.name, got.size) == (FILM, "/there/film.mkv", "film.mkv", 99)
        assert isinstance(many, cmd.WantMany)
        assert set(many.cids) == set(LOOSE)
        await pilot.press("u")
        assert len(live.pushed) == 3, "once"


@on_asyncio
async def test_marks_are_of_panels_with_wants_only(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        for key in ("X", "A"):
            await pilot.press("5", key)
            assert "mark lines of Pending" in toasts(live.app)[-1]


@on_asyncio
async def test_marks_are_drawn_at_once_though_no_line_changes() -> None:
    """Only lines whose text differs are drawn again. A mark is no text."""
    app = replayed()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app.parts.ticker.tick()
        app.parts.playback.go_to(420)
        await pilot.press("2")
        await pilot.pause()
        panel, mark = app.parts.panels.panel(), app.glyphs.mark

        def drawn() -> int:
            return app.export_screenshot().count(mark)

        rows = sum(not row.title for row in panel.rows)
        assert rows > 1
        await pilot.press("A")
        await pilot.pause()
        assert (len(panel.marked), drawn()) == (rows, rows)
        await pilot.press("A")
        await pilot.pause()
        assert (len(panel.marked), drawn()) == (0, 0)
