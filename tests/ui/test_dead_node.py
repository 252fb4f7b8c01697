"""A node that is gone: what a person types is kept as text, and never runs as keys of the panels."""

import pytest
from textual.pilot import Pilot

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.home import NoNodeError
from flux_tui.ui.screens.add import AddScreen
from flux_tui.ui.screens.want import WantScreen
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText
from tests.support.dashboard import STORY
from tests.ui.conftest import Live, on_asyncio

TYPED = "q d S D 2 z m"
"""Each of these keys does something in a panel."""


def dies(live: Live) -> None:
    live.node_alive = False
    live.refuse = NoNodeError("no node runs on this home")
    live.app.parts.liveness.check_again()
    live.app.parts.ticker.tick()


async def type_keys(pilot: Pilot[bool], text: str) -> None:
    await pilot.press(*("space" if character == " " else character for character in text))


def nothing_ran(live: Live) -> None:
    parts = live.app.parts
    assert live.app.is_running
    assert not live.pushed
    assert (parts.panels.current, parts.panels.zoomed, parts.views.masked) == ("series", False, False)


@pytest.mark.parametrize("key", ["w", "a"])
@on_asyncio
async def test_windows_take_what_is_typed_on_a_dead_node(live: Live, key: str) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        dies(live)
        await type_keys(pilot, key + TYPED)
        screen = live.app.screen
        assert isinstance(screen, WantScreen if key == "w" else AddScreen)
        assert screen.query_one(PlainInput).value == TYPED
        await pilot.press("backspace", "x")
        assert (
            "esc, then R starts it again" in str(screen.query_one("#error", PlainText).content) or key == "a"
        )
        nothing_ran(live)


@on_asyncio
async def test_a_want_typed_while_the_node_dies_is_kept_and_sent_later(live: Live) -> None:
    live.append(*STORY)
    cid = raw_cid(b"another")
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        await type_keys(pilot, cid[:9])
        dies(live)
        await type_keys(pilot, cid[9:])
        await pilot.press("enter")
        await pilot.pause()
        screen = live.app.screen
        assert isinstance(screen, WantScreen)
        assert "no node runs on this home" in str(screen.query_one("#error", PlainText).content)
        assert screen.query_one(PlainInput).value == cid
        nothing_ran(live)
        live.refuse, live.node_alive = None, True
        await pilot.press("enter")
        await pilot.pause()
        assert not isinstance(live.app.screen, WantScreen)
        (pushed,) = live.pushed
        assert isinstance(pushed, cmd.Want)
        assert pushed.cid == cid


@pytest.mark.parametrize("key", ["colon", "H", "slash"])
@on_asyncio
async def test_the_prompt_keeps_the_focus_when_the_node_dies(live: Live, key: str) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        if key == "H":
            dies(live)  # it opens on a dead node too
        await pilot.press(key)
        await pilot.press("x")
        dies(live)
        await pilot.pause()
        await type_keys(pilot, TYPED)
        assert live.app.parts.prompt.field.value.endswith(f"x{TYPED}")
        nothing_ran(live)


@on_asyncio
async def test_a_command_for_a_dead_node_stays_in_the_prompt(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("colon")
        dies(live)
        await type_keys(pilot, "stop")
        await pilot.press("enter", *TYPED.replace(" ", ""))
        await pilot.pause()
        assert live.app.parts.prompt.field.value == "stop" + TYPED.replace(" ", "")
        nothing_ran(live)
