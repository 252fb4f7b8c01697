"""The key that stops sharing asks first, and says what it does."""

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import dag_cid
from flux_tui.core.series import events as ev
from flux_tui.ui.screens.confirm import ConfirmScreen
from flux_tui.ui.widgets.plain_text import PlainText
from flux_tui.ui.widgets.prompt import PromptInput
from tests.support.dashboard import ADA, ME, ROOT, STORY, toasts
from tests.ui.conftest import Live, on_asyncio

SHARED = dag_cid(b"shared")
UP = ev.NodeStarted(peer_id=ME, addrs=(f"/ip4/127.0.0.1/tcp/1/p2p/{ADA}",), version="1", max_pending=9)
ADDED = ev.ObjectAdded(root=SHARED, name="film\x1b[31m", size=10, chunks=1, path="/there/film")


@on_asyncio
async def test_the_remove_key_asks_first(live: Live) -> None:
    live.append(UP, ADDED)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for key in ("n", "escape", "enter"):
            await pilot.press("D")
            assert isinstance(live.app.screen, ConfirmScreen)
            await pilot.press(key)
            assert not isinstance(live.app.screen, ConfirmScreen)
        assert live.pushed == []
        await pilot.press("D")
        said = [str(line.content) for line in live.app.screen.query(PlainText)]
        assert said[0] == "Stop sharing film\\x1b[31m?"
        assert "/there/film stays as it is." in said
        await pilot.press("y")
        await pilot.pause()
    (removed,) = live.pushed
    assert isinstance(removed, cmd.Remove)
    assert removed.cids == (SHARED,)


@on_asyncio
async def test_the_remove_key_names_the_right_key_for_an_unshared_object(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("2", "D")
        assert "film.mkv is not whole yet: c cancels it" in toasts(live.app)[-1]
        live.append(ev.KeepReceived(peer=ADA, root=SHARED, size=5, name="kept"))
        live.append(ev.Requested(cid=SHARED, name="kept", held=True))
        live.append(ev.ObjectCompleted(root=SHARED, size=5, path="/held"))
        live.app.parts.ticker.tick()
        await pilot.press("1", "G", "D")
        assert "`:release kept`" in toasts(live.app)[-1]
    assert live.pushed == []
    assert ROOT in live.app.parts.nodes.state.objects


@on_asyncio
async def test_the_remove_key_cancels_a_running_add(live: Live) -> None:
    live.append(UP, ev.AddProgressed(path="/there/large", bytes_done=1, size=9, by="a"))
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("D")
        assert isinstance(live.app.screen, ConfirmScreen)
        await pilot.press("y")
        await pilot.pause()
    (taken,) = live.pushed
    assert isinstance(taken, cmd.CancelAdd)
    assert (taken.path, taken.mark) == ("/there/large", None)


@pytest.mark.parametrize("key", ["D", ":"])
@on_asyncio
async def test_rm_on_the_command_line_removes_an_object(live: Live, key: str) -> None:
    live.append(ADDED, UP)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(key, *("rm " if key == ":" else ""))
        assert live.app.query_one(PromptInput).value == "rm "
        await pilot.press(*SHARED, "enter")
        await pilot.pause()
    (removed,) = live.pushed
    assert isinstance(removed, cmd.Remove)
    assert removed.cids == (SHARED,)
