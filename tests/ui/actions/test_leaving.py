"""Leaving during a download: nobody stops a node by accident that is fetching something."""

import pytest
from msgspec.structs import replace

from flux_tui.core.series import events as ev
from flux_tui.ui.screens.leave import LeaveScreen
from flux_tui.ui.widgets.plain_text import PlainText
from tests.support.dashboard import ROOT, STORY
from tests.ui.conftest import Live, on_asyncio


def started_here(live: Live) -> Live:
    """Make the dashboard one that has started its node."""
    live.node = replace(live.node, ends=lambda: True)
    live.app = live.dashboard()
    return live


@pytest.mark.parametrize(("key", "stays"), [("q", False), ("ctrl+q", False), ("d", True)])
@on_asyncio
async def test_a_download_is_named_before_its_node_stops(live: Live, key: str, stays: bool) -> None:
    started_here(live).append(*STORY)
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("q")
        screen = live.app.screen
        assert isinstance(screen, LeaveScreen)
        assert "%" in str(screen.query_one("#question", PlainText).content)
        await pilot.press("escape")
        assert live.app.screen is not screen
        assert live.app.is_running
        await pilot.press("q", key)
    assert live.app.return_value is stays


@on_asyncio
async def test_nothing_is_asked_if_the_node_goes_on(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("q")
    assert live.app.return_value is False


@on_asyncio
async def test_nothing_is_asked_if_nothing_is_fetched(live: Live) -> None:
    started_here(live).append(*STORY, ev.Cancelled(cids=(ROOT,)))
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("q")
    assert live.app.return_value is False
