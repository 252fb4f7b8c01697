"""Inspect while the dashboard is live: it follows, and nobody loses their place."""

import pytest
from textual.pilot import Pilot

from flux_tui.core.series import events as ev
from flux_tui.core.series.address_book import ToldAddrs
from flux_tui.core.text import glossary
from flux_tui.ui.rows.terms_in_focus import fact_terms
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.screens.help import HelpScreen
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.widgets.lines_panel import LinesPanel
from tests.support.dashboard import ADA, CHUNK, ROOT, STORY
from tests.ui.conftest import Live, on_asyncio

OTHER = ev.StatusNo(peer=ADA, cids=(ROOT,), reason="rate_limited", has_it=True, retry_after=9.0)


def why_text(screen: InspectScreen) -> str:
    return " ".join(fact.text for fact in screen._facts[:4])


async def inspected(live: Live, pilot: Pilot[bool], *keys: str) -> InspectScreen:
    """Press keys that open Inspect, and return its window."""
    await pilot.pause()
    await pilot.press(*keys)
    await pilot.pause()
    screen = live.app.screen
    assert isinstance(screen, InspectScreen)
    return screen


@on_asyncio
async def test_inspect_follows_a_live_node_and_keeps_its_place(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await inspected(live, pilot, "2", "enter")
        await screen.workers.wait_for_complete()
        touching, facts = screen.query_one("#touching", LinesPanel), screen.query_one("#facts", LinesPanel)
        before = [row.key for row in touching.rows]
        await pilot.press("k", "tab", "down")
        selected, fact = touching.selected, facts.selected
        assert "1 chunk" not in why_text(screen)
        live.append(ev.LeaseLapsed(peer=ADA, cids=(CHUNK,), cause="deadline"), OTHER, seconds=3)
        live.app.parts.ticker.tick()
        screen._follow()
        await pilot.pause()
        assert [row.key for row in touching.rows] == [*before, "9", "10"]
        assert (touching.selected, facts.selected) == (selected, fact)
        assert "rate_limited" in why_text(screen)
        assert "as it is" in str(screen.query_one(".window").border_subtitle)
        live.now += 2  # no entry: only the countdown goes on
        screen._follow()
        assert "(7.0 s)" in why_text(screen)


@on_asyncio
async def test_inspect_stays_as_it_was_while_frozen(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await inspected(live, pilot, "space", "2", "enter")
        await screen.workers.wait_for_complete()
        told = why_text(screen)
        rows = [row.key for row in screen.query_one("#touching", LinesPanel).rows]
        live.append(OTHER, seconds=3)
        live.app.parts.ticker.tick()
        screen._follow()
        assert why_text(screen) == told
        assert [row.key for row in screen.query_one("#touching", LinesPanel).rows] == rows
        assert "as it was" in str(screen.query_one(".window").border_subtitle)


@on_asyncio
async def test_inspect_says_so_when_the_node_dies(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(80, 24)) as pilot:
        screen = await inspected(live, pilot, "2", "enter")
        live.node_alive = False
        live.app.parts.liveness.check_again()
        live.now += 1
        screen._follow()
        assert "No node runs here." in why_text(screen)


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
@on_asyncio
async def test_nothing_of_the_answer_is_cut(live: Live, size: tuple[int, int]) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=size) as pilot:
        screen = await inspected(live, pilot, "2", "enter")
        facts = screen.query_one("#facts", LinesPanel)
        text = " ".join("".join(part for part, _ in row.line).strip() for row in facts.rows)
        assert " ".join(screen._facts[1].text.split()) in " ".join(text.split())


async def explained(pilot: Pilot[bool], key: str = "question_mark") -> list[str]:
    """Press the key for help, and return the lines of the help."""
    await pilot.press(key)
    await pilot.pause()
    screen = pilot.app.screen
    assert isinstance(screen, HelpScreen)
    return [text_of(row.line).strip() for row in screen.query_one(LinesPanel).rows]


@pytest.mark.parametrize("key", ["question_mark", "f1"])
@on_asyncio
async def test_help_in_inspect_explains_the_selected_line(live: Live, key: str) -> None:
    live.append(*STORY[:5])
    async with live.app.run_test(size=(120, 40)) as pilot:
        screen = await inspected(live, pilot, "2", "enter")
        await screen.workers.wait_for_complete()
        touching, facts = screen.query_one("#touching", LinesPanel), screen.query_one("#facts", LinesPanel)
        touching.select("5")
        lines = await explained(pilot, key)
        assert lines[0] == "The selected line"
        assert lines[1].startswith("status_no")
        assert " ".join(glossary.WINDOWS["inspect"][1].split()[:4]) in " ".join(lines)
        await pilot.press("escape")
        assert pilot.app.screen is screen
        await pilot.press("tab")
        at = next(number for number, fact in enumerate(screen._facts) if fact.cells)
        facts.select(str(at))
        lines = await explained(pilot, key)
        assert lines[1].startswith("waits")
        assert any(line.startswith("busy") for line in lines[:6])


@on_asyncio
async def test_every_line_about_an_object_and_a_peer_is_explained(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        for panel in ("2", "5"):
            screen = await inspected(live, pilot, panel, "enter")
            for fact in screen._facts:
                assert fact_terms(fact) or not fact.name, fact
            await pilot.press("escape")


@on_asyncio
async def test_help_explains_a_window_in_which_a_person_types(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for key, window in (("w", "want"), ("a", "add")):
            await pilot.press(key)
            await pilot.pause()
            title, text = glossary.WINDOWS[window]
            lines = await explained(pilot, "f1")
            assert lines[0] == title
            assert text[:40] in lines[1]
            await pilot.press("escape", "escape")
            await pilot.pause()


@on_asyncio
async def test_told_addresses_are_shown_one_by_one(live: Live) -> None:
    addrs = ("/ip4/192.0.2.7/tcp/4001", "/ip4/192.0.2.8/tcp/4001")
    told = ev.AddrsTold(peer=ADA, told=(ToldAddrs(ADA, addrs, 1),), reach=1)
    live.append(*STORY, told)
    async with live.app.run_test(size=(120, 40)) as pilot:
        screen = await inspected(live, pilot, "1", "G", "enter")
        facts = {fact.whole: fact for fact in screen._facts}
        assert [fact.name for whole, fact in facts.items() if whole in addrs] == ["dialled at", ""]
        assert not any("ToldAddrs" in fact.text for fact in screen._facts)
