"""The menu: what it shows at each size, and what its keys do."""

import pytest
from textual import events

from flux_tui.core.text.plain import plain
from flux_tui.demo.scenario import load, names
from flux_tui.demo.scenario_menu import TITLE, WORDS
from flux_tui.ui.choice_menu import Menu, MenuEntry
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import PlainText
from tests.ui.conftest import on_asyncio

ENTRIES = [MenuEntry(name, load(name).about, load(name).lasts) for name in names()]


def lines(menu: Menu) -> list[str]:
    return [text_of(row.line) for row in menu.query_one(LinesPanel).rows]


def more(menu: Menu) -> str:
    return str(menu.query_one("#more", PlainText).content)


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
@on_asyncio
async def test_it_says_what_a_person_will_see_and_how_long(size: tuple[int, int]) -> None:
    menu = Menu(TITLE, WORDS, ENTRIES)
    async with menu.run_test(size=size) as pilot:
        await pilot.pause()
        shown = lines(menu)
        assert [line.split()[0] for line in shown] == list(names())
        assert all(line.endswith(" min") for line in shown)
        if size[0] >= 80:
            assert ENTRIES[0].about in shown[0]
        words = str(menu.query_one("#words", PlainText).content)
        assert all(term in words for term in ("push", "append", "derive", "NO"))
        assert ENTRIES[0].about in " ".join(more(menu).split()), "the whole line, where it is cut above"
        panel = menu.query_one(LinesPanel)
        assert panel.size.height >= min(len(ENTRIES), size[1] - 14)


@on_asyncio
async def test_enter_plays_what_is_selected() -> None:
    menu = Menu(TITLE, WORDS, ENTRIES, done={"hello"})
    async with menu.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "✓ hello" in lines(menu)[0]
        await pilot.press("down", "down", "up")
        await pilot.pause()
        assert ENTRIES[1].about in more(menu)
        await pilot.press("left", "enter")
    assert menu.return_value == ENTRIES[1].name


@on_asyncio
async def test_keys_that_come_at_once_act_in_their_order() -> None:
    menu = Menu(TITLE, WORDS, ENTRIES)
    async with menu.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        for key in ("down", "down", "enter"):
            menu.post_message(events.Key(key, None))
        await pilot.pause()
    assert menu.return_value == ENTRIES[2].name


@pytest.mark.parametrize("key", ["q", "escape", "ctrl+c"])
@on_asyncio
async def test_a_person_leaves(key: str) -> None:
    menu = Menu(TITLE, WORDS, ENTRIES)
    async with menu.run_test(size=(80, 24)) as pilot:
        await pilot.press(key)
    assert menu.return_value is None


@on_asyncio
async def test_what_went_wrong_is_said_in_place() -> None:
    menu = Menu(
        plain("Title"), (), ENTRIES, selected="storm", note="storm did not finish: the node you failed"
    )
    async with menu.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert more(menu).startswith("storm did not finish")
        await pilot.press("enter")
    assert menu.return_value == "storm"
