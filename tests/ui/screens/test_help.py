"""Help begins with what has the focus, and can be searched."""

import pytest

from flux_tui.core.series import events as ev
from flux_tui.core.text import glossary
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.screens.help import HelpScreen
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.plain_text import PlainInput
from tests.support.dashboard import ADA, CHUNK, STORY
from tests.ui.conftest import Live, on_asyncio


def lines(live: Live) -> list[str]:
    screen = live.app.screen
    assert isinstance(screen, HelpScreen)
    return [text_of(row.line).strip() for row in screen.query_one(LinesPanel).rows]


def text(live: Live) -> str:
    return " ".join(" ".join(lines(live)).split())


@pytest.mark.parametrize("number", range(1, len(PANELS) + 1))
@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
@on_asyncio
async def test_help_of_every_panel_says_what_it_shows(live: Live, number: int, size: tuple[int, int]) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press(f"{number}", "question_mark")
        await pilot.pause()
        assert glossary.PANELS[PANELS[number - 1]] in text(live)


@on_asyncio
async def test_help_on_an_entry_begins_with_its_kind_and_reason(live: Live) -> None:
    live.append(*STORY[:5])
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("1", "G", "question_mark")
        await pilot.pause()
        assert lines(live)[0] == "The selected line"
        assert lines(live)[1].startswith("status_no")
        assert text(live).index(glossary.KINDS["status_no"]) < text(live).index(glossary.REASONS["busy"])


@pytest.mark.parametrize(
    ("event", "term", "expected"),
    [
        (ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="moved"), "moved", glossary.LAPSES["moved"]),
        (
            ev.ChunkWasted(cid=CHUNK, size=1, peer=ADA, cause="hedged"), "hedged", glossary.WASTES["hedged"],
        ),
    ],
)  # fmt: skip
@on_asyncio
async def test_help_on_an_entry_explains_its_cause(
    live: Live, event: ev.Event, term: str, expected: str
) -> None:
    live.append(*STORY, event)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("1", "G", "question_mark")
        await pilot.pause()
        assert lines(live)[2].startswith(term)
        assert expected in text(live)


@pytest.mark.parametrize(("key", "reason"), [("2", "busy"), ("3", "busy"), ("5", "busy")])
@on_asyncio
async def test_help_on_a_line_explains_its_reason(live: Live, key: str, reason: str) -> None:
    live.append(*STORY[:5])
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press(key, "question_mark")
        await pilot.pause()
        assert lines(live)[1].startswith(reason)
        for column in glossary.COLUMNS.get(PANELS[int(key) - 1], {}):
            assert column in text(live)


@on_asyncio
async def test_help_is_searched(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("question_mark", "slash", *"duplicate", "space", *"factor")
        await pilot.pause()
        assert any(line.startswith("duplicate factor") for line in lines(live))
        assert not any("Push a want" in line for line in lines(live))
        await pilot.press("enter", "down")
        assert live.app.screen.query_one(LinesPanel).has_focus
        await pilot.press("slash", *"zzz")
        await pilot.pause()
        assert lines(live) == []
        await pilot.press("escape")
        await pilot.pause()
        assert any("Push a want" in line for line in lines(live))
        assert not live.app.screen.query_one(PlainInput).display
        await pilot.press("escape")
        await pilot.pause()
        assert not isinstance(live.app.screen, HelpScreen)
