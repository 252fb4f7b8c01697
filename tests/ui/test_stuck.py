"""A recording of a file that was stuck.

One holder was limited, another one denied, one died, and one had a changed file. The countdowns of the panels
are compared with what the node then did.
"""

from pathlib import Path

import pytest

from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import apply
from flux_tui.core.series.next_try import next_try
from flux_tui.core.series.state import State
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.view_and_lines import clock
from flux_tui.ui.screens.inspect import InspectScreen
from tests.support.dashboard import facts, header, shown
from tests.ui.conftest import Live, on_asyncio, replayed
from tests.ui.terminal import Terminal

STUCK = Path(__file__).with_name("stuck.flux")
LIMITED, OTHER, GONE, CHANGED, DENIES = "12D3…ntwp", "12D3…zcjN", "12D3…9NmA", "12D3…5J4d", "12D3…qYWE"
DIED = 90
"""The entry in which a holder dies. What it announced before does not happen."""


def test_countdowns_match_what_the_node_then_did() -> None:
    entries = SeriesReader.open(STUCK).read(0, 1000)
    state, held = State(), 0
    for index, entry in enumerate(entries):
        apply(state, entry)
        then = next(
            (one for one in entries[index + 1 :] if isinstance(one.event, ev.Granted | ev.PushedWant)), None
        )
        if not state.pending or then is None or then.at - entry.at < 0.5:
            continue
        one = next_try(state, next(iter(state.pending.values())), entry.at)
        assert one is not None
        if entry.seq < DIED:
            continue
        assert one.at == pytest.approx(then.at, abs=0.1), entry.seq
        if isinstance(then.event, ev.Granted):
            assert (one.how, one.peer, one.reason) == ("grant", then.event.peer, "rate_limited"), entry.seq
        else:
            assert (one.how, one.cause) == ("push", "silence"), entry.seq
        held += 1
    assert held == 28


def test_a_replay_begins_at_a_moment_and_two_keys_tell_why() -> None:
    terminal = Terminal(["-m", "flux_tui", "replay", str(STUCK), "--at", "20:20:20"])
    try:
        terminal.wait_text("34%")
        assert "20:20:20" in terminal.written.decode()
        terminal.press("2\r")
        terminal.wait_text("granted chunks in 1.5 s, at 20:20:21")
        terminal.press("\x1b")
    finally:
        terminal.close()


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        ("yesterday", "no such moment: type 12:01:03"),
        ("#9999", "there is no entry 9999: the series ends with"),
    ],
)
def test_a_moment_that_a_recording_does_not_have(moment: str, words: str) -> None:
    terminal = Terminal(["-m", "flux_tui", "replay", str(STUCK), "--at", moment])
    try:
        status, _ = terminal.wait_end()
        assert status == 1
        assert f"flux-tui: {words}" in " ".join(terminal.written.decode().split())
    finally:
        terminal.close()


@pytest.mark.parametrize("size", [(60, 20), (80, 24), (120, 40), (200, 60)])
@on_asyncio
async def test_the_screen_is_right_at_one_moment_of_the_recording(size: tuple[int, int]) -> None:
    app = replayed(STUCK)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        app.parts.playback.go_to_typed("20:20:20")
        assert "frozen" in header(app)
        assert "20:20:20" in header(app)
        seen: dict[str, list[str]] = {}
        for name, key in (("pending", "2"), ("noes", "3"), ("retries", "4"), ("peers", "5")):
            await pilot.press(key)
            await pilot.pause()
            app.parts.ticker.draw()
            seen[name] = shown(app, name)
            for line in seen[name]:
                assert cell_width.width(line) <= app.parts.panels.panel(name).columns, line
        pending = seen["pending"][1]
        assert pending.strip() == f"◔ rate_limited, next try in 1.5 s: {LIMITED}"
        assert "eta" not in pending
        noes = {line.split()[0]: line.rstrip() for line in seen["noes"][1:]}
        assert noes[LIMITED].endswith(" 1.5 s")
        assert noes[OTHER].endswith(" 10 s"), "a chunk came in between, and it had said 17 s"
        assert noes[GONE].endswith(" gone")
        (retry,) = seen["retries"]
        assert " 1.5 s " in retry
        assert "◔ rate" in retry
        standings = {line[2:11]: line for line in seen["peers"][1:]}
        for peer, word in ((LIMITED, "◔ rate"), (OTHER, "◔ rate"), (CHANGED, "∅ changed"), (DENIES, "⊘ denied"),
                           (GONE, "gone")):  # fmt: skip
            assert word in standings[peer], standings[peer]
        assert "/s" not in standings[GONE]


@on_asyncio
async def test_the_reason_is_told_also_where_a_push_comes_before_any_peer_is_due() -> None:
    app = replayed(STUCK)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.parts.playback.go_to_typed("20:20:55")
        await pilot.pause()
        assert shown(app, "pending")[1].strip() == "◔ rate_limited, next try in 6.5 s"
        (retry,) = shown(app, "retries")
        assert retry.endswith(" 6.5 s  #2 ◔ rate_limited"), "nobody was silent"


@on_asyncio
async def test_the_stuck_object_owns_its_blocks() -> None:
    app = replayed(STUCK)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.parts.playback.go_to_typed("20:20:20")
        await pilot.press("1", "slash")
        app.parts.prompt.field.value = "film.mkv"
        await pilot.press("enter")
        await pilot.pause()
        found = shown(app, "series")
        assert len(found) == 87
        for kind, count in (("status_no", 21), ("lease_lapsed", 20), ("error_received", 16)):
            assert sum(kind in line for line in found) == count, kind
        await pilot.press("escape", "2", "g", "enter")
        await pilot.pause()
        assert isinstance(app.screen, InspectScreen)
        await app.screen.workers.wait_for_complete()
        await pilot.pause()
        assert len(app.screen._rows) == 87
        assert [fact.text for fact in app.screen._facts[:2]] == [
            "film.mkv  34% · 9 of 24 chunks · nothing for 6.3 s",
            f"Next: {LIMITED} is granted chunks in 1.5 s, at {clock(1_795_983_621.467)[:8]} (15 chunks to get).",
        ]
        assert "its copy is not whole any more" in facts(app)[CHANGED]
        assert "gone since" in facts(app)[GONE]
        assert "denies this node" in facts(app)[DENIES]


@on_asyncio
async def test_a_failed_dial_gives_the_reason_before_the_address(live: Live) -> None:
    addr = "/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA"
    why = "nobody listens there (connection refused)"
    live.append(ev.ErrorOccurred(text=f"{addr} cannot be reached: {why}", addr=addr))
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        (error,) = shown(live.app, "series")
        assert why in error


@on_asyncio
async def test_a_no_to_a_chunk_names_its_object() -> None:
    app = replayed(STUCK)
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        app.parts.playback.go_to_typed("#93")
        await pilot.press("1", "G", "enter")
        await pilot.pause()
        assert facts(app)["part of"].startswith("film.mkv  bafy"), (
            "by its name first: the rest may be cut off"
        )
        await pilot.press("escape", "c")
        await pilot.pause()
        assert (
            app.parts.panels.selected_root()
            == app.parts.nodes.state.pending[next(iter(app.parts.nodes.state.pending))].cid
        )
