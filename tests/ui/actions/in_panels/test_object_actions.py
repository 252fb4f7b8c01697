"""The Objects panel by its keys: tabs, the selected object, and what can be done with it."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.index.object_files_reader import ObjectFile, ObjectFiles
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.screens.confirm import ConfirmScreen
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.watching import objects_feed
from flux_tui.ui.widgets.objects_panel import ObjectsPanel
from tests.support.dashboard import shown, toasts
from tests.support.rows import ADA
from tests.ui.conftest import Live, on_asyncio

FILM, SONG, SHARED = dag_cid(b"a film"), dag_cid(b"a song"), dag_cid(b"shared")
STORY = (
    ev.NodeStarted(peer_id=ADA, addrs=(), version="1", max_pending=10),
    ev.ObjectAdded(root=SHARED, name="photos", size=1000, chunks=4, path="/home/photos"),
    ev.Requested(cid=SONG, name="song.ogg", size=1000, path="/song.ogg"),
    ev.Requested(cid=FILM, name="film.mkv", size=1000, path="/film.mkv"),
    ev.ChunkReceived(cid=FILM, size=100, peer=ADA, roots=(FILM,), fills=100),
    ev.ObjectMapped(root=FILM, size=1000, chunks=8, have=1, have_bytes=100),
    ev.Granted(peer=ADA, root=FILM, cids=(raw_cid(b"1"), raw_cid(b"2")), deadline=1e10),
)


def objects(app: Dashboard) -> list[str]:
    return [line.strip() for line in shown(app, "objects")]


def selected(app: Dashboard) -> str | None:
    return app.query_one("#objects", ObjectsPanel).selected


def window(app: Dashboard) -> type[object]:
    return type(app.screen)


@on_asyncio
async def test_it_opens_at_the_selected_object_and_unfolds_the_selected_one(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2", "down", "8")
        await pilot.pause()
        assert selected(live.app) == FILM
        heading, film, *under = objects(live.app)
        assert heading.startswith("[wanted 2]  here 1   shared 1")
        assert film.startswith("film.mkv")
        assert under[0] == "to /film.mkv"
        assert under[1] == "A███a▓▓▓▓▓▓▓" + "░" * 20
        assert under[-1].startswith("song.ogg")
        await pilot.press("down")
        assert selected(live.app) == SONG
        _, film, song, *under = objects(live.app)
        assert film.startswith("film.mkv")
        assert song.startswith("song.ogg")
        assert under[0] == "to /song.ogg", "at once, without waiting for the next tick"
        await pilot.press("up", "up")
        assert selected(live.app) == FILM


@on_asyncio
async def test_keys_go_from_tab_to_tab(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("O")
        await pilot.pause()
        assert objects(live.app)[0].startswith("[wanted 2]")
        seen = []
        for key in ("right", "O", "l", "right", "left", "Q", "h"):
            await pilot.press(key)
            seen.append(next(part for part in objects(live.app)[0].split("[")[1:]).split("]")[0])
        assert seen == [
            "here 1",
            "shared 1",
            "kept for others 0",
            "wanted 2",
            "kept for others 0",
            "shared 1",
            "here 1",
        ]
        assert selected(live.app) == SHARED
        await pilot.click("#objects", offset=(20, 1))
        assert "[shared 1]" not in objects(live.app)[0]
        await pilot.click("#objects", offset=(objects(live.app)[0].index("shared") + 4, 1))
        assert "[shared 1]" in objects(live.app)[0]
        await pilot.press("left")
        await pilot.pause()
        assert objects(live.app)[2] == "at /home/photos"


@on_asyncio
async def test_what_can_be_done_with_the_selected_object(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    copied: list[str] = []
    monkeypatch.setattr(Dashboard, "copy_to_clipboard", lambda _, text: copied.append(text))
    live.append(*STORY)
    app = live.dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("8")
        await pilot.pause()
        assert selected(app) == FILM
        await pilot.press("y", "Y", "r", "c")
        assert copied[0] == FILM
        assert copied[1].startswith("flux1")
        retry, cancel = live.pushed
        assert isinstance(retry, cmd.Retry)
        assert isinstance(cancel, cmd.Cancel)
        assert (retry.cids, cancel.cids) == ((FILM,), (FILM,))
        await pilot.press("enter")
        assert window(app) is InspectScreen
        await pilot.press("escape", "7")
        await pilot.pause()
        assert app.parts.panels.current == "flow"
        assert "film.mkv" in str(app.query_one("#flow").border_title)
        await pilot.press("8", "right", "D")
        assert window(app) is ConfirmScreen
        await pilot.press("escape", "H")
        assert app.parts.prompt.kind == "command"


@on_asyncio
async def test_what_becomes_whole_stays_in_sight(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.press("8")
        await pilot.pause()
        live.append(ev.ObjectCompleted(root=FILM, size=1000, path="/film.mkv"))
        live.app.parts.ticker.tick()
        assert objects(live.app)[0].startswith("wanted 1  [here 2]")
        assert selected(live.app) == FILM
        assert any(line.startswith("at /film.mkv") for line in objects(live.app))


@on_asyncio
async def test_files_are_unfolded_and_can_be_scrolled_through(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = ObjectFiles(tuple(ObjectFile(f"img-{n:02}", 100, n) for n in range(60)), 60)
    monkeypatch.setattr(objects_feed, "_look_up", lambda *_: files)
    node = replace(live.node, index=Path("/index"))
    live.append(*STORY)
    app = Dashboard(node, clock=lambda: live.now)
    async with app.run_test(size=(120, 30)) as pilot:
        await pilot.press("8")
        await pilot.pause()
        assert sum(line.startswith("img-") for line in objects(app)) == 8
        await pilot.press("f")
        assert sum(line.startswith("img-") for line in objects(app)) == 60
        assert toasts(app) == ["all files of a folder"]
        await pilot.press("down", "y")
        assert selected(app) == f"{FILM}/file/0"
        assert toasts(app)[0].startswith(f"copied {FILM}"), "a file has the object's CID"
        await pilot.press("c")
        assert live.pushed == [cmd.Cancel((FILM,), live.pushed[0].by)]
        await pilot.press("end")
        await pilot.pause()
        panel = app.query_one("#objects", ObjectsPanel)
        assert selected(app) == SONG
        assert panel.rows[int(panel.scroll_offset.y)].key == SONG, "the selected line comes first"


@on_asyncio
async def test_the_lines_under_the_selected_one_are_scrolled_to(live: Live) -> None:
    songs = [dag_cid(b"song %d" % number) for number in range(30)]
    live.append(
        *(
            ev.Requested(cid=root, name=f"song {n}", size=10, path=f"/song {n}")
            for n, root in enumerate(songs)
        )
    )
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.press("8")
        await pilot.pause()
        panel = live.app.query_one("#objects", ObjectsPanel)
        for _ in range(29):
            await pilot.press("down")
        await pilot.pause()
        assert panel.selected == songs[0]
        last = panel.scroll_offset.y + panel.size.height - 1
        assert panel.rows[int(last)].key == f"{songs[0]}/0"
        await pilot.press("home")
        await pilot.pause()
        assert (panel.selected, panel.scroll_offset.y) == (songs[-1], 0)
