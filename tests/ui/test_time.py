"""Playing, the strip of time under the mouse, and the ways to show times."""

import time

import pytest

from flux_tui.core.series import events as ev
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets.line_strips import LineStrip
from flux_tui.ui.widgets.panel_layout import BESIDE
from flux_tui.ui.widgets.series_panel import SeriesPanel
from tests.support.dashboard import ADA, STORY, header, shown
from tests.ui.conftest import RECORDING, Live, on_asyncio


class Clock:
    """A wall clock that a test sets."""

    def __init__(self) -> None:
        self.now = 5_000.0

    def __call__(self) -> float:
        return self.now


def recording(clock: Clock) -> Dashboard:
    return Dashboard(WatchedNode(title="swarm.flux", source=Source.of_file(RECORDING)), clock=clock)


@pytest.mark.parametrize("speed", [1, 10, 100])
@on_asyncio
async def test_a_recording_plays_as_it_happened_and_faster(speed: int) -> None:
    clock = Clock()
    app = recording(clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("t", *"#200", "enter", *["S"] * (speed > 1), *["S"] * (speed > 10), "P")
        start = app.parts.nodes.source.state.at
        assert f"playing {speed}×" in header(app)
        assert str(app.parts.panels.panel("series").border_title).endswith(" · playing")
        clock.now += 0.5
        app.parts.ticker.tick()
        last = app.parts.nodes.source.entry(app.parts.nodes.source.last_seq)
        assert last is not None
        goal = min(start + speed * 0.5, last.at)
        assert app.parts.nodes.source.cursor == app.parts.nodes.source.seq_at(goal)
        if goal < last.at:
            assert app.parts.playback.now == pytest.approx(goal)
            assert f"playing {speed}×" in header(app)
            clock.now += 0.25
            app.parts.ticker.tick()
            assert app.parts.playback.now == pytest.approx(goal + speed * 0.25)
            await pilot.press("space")
        assert app.parts.playback.speed is None
        assert app.parts.nodes.source.frozen == (goal < last.at), (
            "at its end, it is as it was when it was opened"
        )
        cursor = app.parts.nodes.source.cursor
        clock.now += 10
        app.parts.ticker.tick()
        assert app.parts.nodes.source.cursor == cursor, "it was stopped"


@on_asyncio
async def test_at_its_end_a_recording_begins_again_and_stepping_stops_it() -> None:
    clock = Clock()
    app = recording(clock)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("P")
        assert app.parts.nodes.source.cursor == 1
        clock.now += 0.5
        app.parts.ticker.tick()
        await pilot.press("]")
        assert app.parts.playback.speed is None
        await pilot.press(":", *"speed 100", "enter", "P")
        clock.now += 1_000
        app.parts.ticker.tick()
        assert app.parts.playback.speed is None
        assert app.parts.nodes.source.cursor == app.parts.nodes.source.last_seq


@on_asyncio
async def test_playing_a_live_series_catches_up_with_the_present(live: Live) -> None:
    for event in STORY:
        live.append(event, seconds=1.0)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("P")
        assert live.app.parts.playback.speed is None, "there is nothing after now"
        await pilot.press("t", *"#2", "enter", "P")
        live.now += 3.0
        live.app.parts.ticker.tick()
        assert live.app.parts.nodes.source.cursor == 5
        live.now += 10.0
        live.app.parts.ticker.tick()
        assert not live.app.parts.nodes.source.frozen
        assert "● live" in header(live.app)


@on_asyncio
async def test_a_click_in_the_strip_moves_the_cursor_and_keys_change_its_stretch() -> None:
    app = recording(Clock())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        first, last = (
            app.parts.nodes.source.entry(1),
            app.parts.nodes.source.entry(app.parts.nodes.source.last_seq),
        )
        assert first is not None
        assert last is not None
        await pilot.click("#timeline", offset=(60, 0))
        assert app.parts.nodes.source.frozen
        share = (app.parts.nodes.source.state.at - first.at) / (last.at - first.at)
        assert 0.3 < share < 0.7
        strip = app.query_one("#timeline", LineStrip)
        assert text_of(strip._line).startswith(" all ")
        await pilot.press("+", "+")
        assert text_of(strip._line).startswith(" 6 h ")
        await pilot.press("-")
        assert text_of(strip._line).startswith(" 24 h ")


def connections(live: Live, count: int, apart: float = 1.0) -> None:
    """Return entries, each some seconds after the one before."""
    for _ in range(count):
        live.append(ev.PeerConnected(peer=ADA, addr=""), seconds=apart)


@on_asyncio
async def test_leaps_of_a_minute_and_of_ten_seconds(live: Live) -> None:
    connections(live, 200)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("(")
        assert live.app.parts.nodes.source.cursor == 140
        await pilot.press("{")
        assert live.app.parts.nodes.source.cursor == 130
        await pilot.press("}", ")")
        assert live.app.parts.nodes.source.cursor == 200


@on_asyncio
async def test_leaps_cross_a_quiet_stretch(live: Live) -> None:
    """A leap used to begin at the entry before the quiet stretch again."""
    connections(live, 6, apart=45.0)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        live.app.parts.playback.go_to_typed("#1")
        await pilot.press(*["}"] * 4)
        assert live.app.parts.nodes.source.cursor == 1
        await pilot.press("}")
        assert live.app.parts.nodes.source.cursor == 2
        await pilot.press(*["}"] * 50)
        assert live.app.parts.nodes.source.cursor == 6
        await pilot.press("{")
        assert live.app.parts.nodes.source.cursor < 6, "and no further than there is something to see"


@on_asyncio
async def test_goto_accepts_a_clock_time_after_the_cursor(live: Live) -> None:
    connections(live, 200)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        entry = live.app.parts.nodes.source.entry(190)
        assert entry is not None
        live.app.parts.playback.go_to_typed("#1")
        live.app.parts.playback.go_to_typed(time.strftime("%H:%M:%S", time.localtime(entry.at)))
        assert live.app.parts.nodes.source.cursor == 190


@on_asyncio
async def test_a_filter_keeps_the_place(live: Live) -> None:
    connections(live, 50)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        panel = live.app.query_one(SeriesPanel)
        await pilot.press(*"fkkkk")
        assert (panel.selected, panel.following) == ("46", False)
        await pilot.press("/", *"kind:peer_connected", "enter", "escape")
        await pilot.pause()
        assert (panel.selected, panel.following) == ("46", False)
        await pilot.press("G")
        assert panel.following


@on_asyncio
async def test_times_by_the_clock_since_the_start_and_between_entries(live: Live) -> None:
    for event in STORY:
        live.append(event, seconds=1.25)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert shown(live.app, "series")[2].startswith("22:13:23.750")
        await pilot.press("T")
        assert shown(live.app, "series")[2].startswith("   +0:02.500")
        await pilot.press("T")
        assert shown(live.app, "series")[2].startswith("      +1.250")
        await pilot.press("T")
        assert shown(live.app, "series")[2].startswith("22:13:23.750")


@on_asyncio
async def test_runs_are_folded_and_unfolded_in_place(live: Live) -> None:
    got = STORY[-1]
    live.append(*STORY[:-1], *[got] * 30, STORY[3], *[got] * 10)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lines = shown(live.app, "series")
        assert len(lines) == 10
        assert "×30 film.mkv 60.0" in lines[7]
        await pilot.press("enter")
        await live.app.workers.wait_for_complete()
        await pilot.pause()
        assert "×10" in str(live.app.screen.query_one(".window").border_title)
        assert len(live.app.screen.query_one("#touching").rows) == 10  # type: ignore[attr-defined]
        await pilot.press("escape", "k", "k")
        panel = live.app.query_one(SeriesPanel)
        assert panel.selected == "37"
        await pilot.press("f")
        await pilot.pause()
        assert len(shown(live.app, "series")) == 48
        assert panel.selected == "37"
        await pilot.press("f")
        assert len(shown(live.app, "series")) == 10
        assert panel.selected_index() == 7


@on_asyncio
async def test_going_to_the_first_entry_and_back_does_not_read_all_between(live: Live) -> None:
    for number in range(600):
        live.append(STORY[3], *[STORY[-1]] * 100, seconds=number % 2)
    app = live.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        while app.parts.nodes.source.loading:
            app.parts.ticker.tick()
        await pilot.press("f", "f")  # begins to read at the end
        app.parts.ticker.tick()
        panel = app.query_one(SeriesPanel)
        assert "following" in str(panel.border_title)
        await pilot.press("g")
        assert panel.selected == "1"
        looked = panel._window.high
        assert looked < app.parts.nodes.source.last_seq / 4
        for _ in range(20):
            await pilot.press("pagedown")
            app.parts.ticker.tick()
        assert panel._window.high > looked
        assert "following" not in str(panel.border_title)
        await pilot.press("G")
        assert "following" in str(panel.border_title)
        assert panel.selected == str(app.parts.nodes.source.last_seq)
        for _ in range(30):
            await pilot.press("pageup")
        index = panel.selected_index()
        assert index >= 0
        top = panel.scroll_offset.y
        assert top <= index < top + panel.size.height
        await pilot.press("space")
        for name in BESIDE:
            assert app.parts.panels.panel(name).size.height


@on_asyncio
async def test_leaps_and_playing_cross_a_place_where_the_clock_was_set(live: Live) -> None:
    """Entries a second apart. After the tenth, the clock is set back an hour; after the twentieth, forward a day."""
    connections(live, 10)
    for seconds in (-3600.0, 86_400.0):
        live.now += seconds
        live.append(ev.ClockStepped(seconds=seconds), seconds=1.0)
        connections(live, 9)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        last = live.app.parts.nodes.source.last_seq
        seen = [last]
        while live.app.parts.nodes.source.cursor > 1 and len(seen) < 12:
            await pilot.press("{")
            seen.append(live.app.parts.nodes.source.cursor)
            assert abs(live.app.parts.playback.now - live.app.parts.nodes.source.state.at) < 15, (
                "times of one clock"
            )
        assert seen == sorted(set(seen), reverse=True), "always back, never stuck"
        assert seen[-1] == 1
        for _ in range(6):
            await pilot.press("}")
        assert live.app.parts.nodes.source.cursor == last
        await pilot.press("t", *"#5", "enter", "P")
        played: list[int] = []
        while live.app.parts.playback.speed is not None and len(played) < 100:
            live.now += 1.0
            live.app.parts.ticker.tick()
            played.append(live.app.parts.nodes.source.cursor)
        assert played == sorted(played)
        assert len(played) < 40, "an hour or a day that never was is not played"
        assert {10, 11, 12, 20, 21, 22} <= set(played)
