"""The dashboard by its keys: each does what the table says, at every size, and the cursor never jumps."""

from datetime import datetime
from pathlib import Path

import pytest
from textual.widgets import DirectoryTree, Input, Static
from textual.widgets._toast import Toast

from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.home import NoNodeError
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.keys import ACTIONS, Keys, sign
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import HIDDEN, text_of
from flux_tui.ui.screens.add import AddScreen
from flux_tui.ui.screens.help import HelpScreen
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.screens.want import WantScreen
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.typed.command_line import WORDS
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets import series_panel
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.panel_layout import BESIDE, OVER, PANELS
from flux_tui.ui.widgets.series_panel import SeriesPanel
from tests.support.dashboard import ADA, CHUNK, ROOT, STORY, facts, header, shown, toasts
from tests.ui.conftest import START, Live, on_asyncio, replayed

SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


@pytest.mark.parametrize("size", SIZES)
@on_asyncio
async def test_the_screen_shows_all_panels(live: Live, size: tuple[int, int]) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "● live" in header(live.app)
        assert len(shown(live.app, "series")) == len(STORY)
        visible = [name for name in PANELS if live.app.query_one(f"#{name}").size.height > 0]
        assert "series" in visible
        assert set(visible) == set(BESIDE) if size[0] >= 100 else len(visible) <= 2
        # Every panel can be reached, and is then visible.
        for number, name in enumerate(PANELS, 1):
            await pilot.press(str(number))
            await pilot.pause()
            assert live.app.query_one(f"#{name}").size.height >= 3, name
            assert live.app.focused is live.app.query_one(f"#{name}")
        await pilot.press("tab")
        assert live.app.focused is live.app.query_one("#series")
        await pilot.press("shift+tab")
        assert live.app.focused is live.app.query_one("#objects")


@on_asyncio
async def test_panels_follow_the_series_and_agree(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for event in STORY:
            live.append(event, seconds=0.1)
            live.app.parts.ticker.tick()
            await pilot.pause()
            assert live.app.parts.nodes.source.state == derive(live.series.read(0, 1000))
        assert "film.mkv" in shown(live.app, "pending")[0]
        assert " 50%" in shown(live.app, "pending")[0]
        assert "busy" in shown(live.app, "noes")[0]
        assert "film.mkv" in shown(live.app, "retries")[0]
        assert "2.0 KiB" in shown(live.app, "peers")[1]


@on_asyncio
async def test_countdowns_move_without_a_new_entry(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        before = shown(live.app, "retries")
        live.now += 1.0
        live.app.parts.ticker.tick()
        assert before != shown(live.app, "retries")


@on_asyncio
async def test_while_frozen_nothing_moves_and_the_header_counts_new_entries(live: Live) -> None:
    live.append(*STORY[:3])
    live.append(STORY[3], seconds=20)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("space")
        panels = {name: shown(live.app, name) for name in PANELS}
        live.append(*STORY[4:], seconds=12)
        live.app.parts.ticker.tick()
        await pilot.pause()
        assert "❚❚ frozen 22:13:40 · 12 s ago · +4" in header(live.app), (
            "which moment it is, and how long ago that was"
        )
        await pilot.press("{")
        assert "❚❚ frozen 22:13:30 · 22 s ago" in header(live.app), "not when the key was pressed"
        await pilot.press("}")
        assert {name: shown(live.app, name) for name in PANELS} == panels
        await pilot.press("L")
        assert "● live" in header(live.app)
        assert len(shown(live.app, "series")) == len(STORY)
        await pilot.press("space", "space")
        assert "● live" in header(live.app)


@on_asyncio
async def test_stepping_leaping_and_going_to_a_moment() -> None:
    app = replayed()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        last = app.parts.nodes.source.last_seq
        await pilot.press("[", "[")
        assert app.parts.nodes.source.cursor == last - 2
        await pilot.press("]")
        assert app.parts.nodes.source.cursor == last - 1
        at = app.parts.nodes.source.state.at
        await pilot.press("{")
        assert app.parts.nodes.source.state.at <= at - 10
        await pilot.press("}")
        assert app.parts.nodes.source.state.at > at - 10
        await pilot.press("t", *"#321", "enter")
        assert app.parts.nodes.source.cursor == 321
        assert "+" in header(app)
        await pilot.press("t", *"start", "enter")
        assert app.parts.nodes.source.cursor == 1
        await pilot.press("t", *"soon", "enter")
        assert "no such moment" in str(app.query_one("#prompt-error", Static).content)
        assert app.query_one("#prompt-input", Input).value == "soon", "what was typed stays"
        await pilot.press("escape", "L")
        assert app.parts.nodes.source.cursor == last


@on_asyncio
async def test_moving_up_stops_following_and_going_to_the_end_resumes_it(live: Live) -> None:
    live.append(*STORY * 20)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        panel = live.app.query_one(SeriesPanel)
        assert panel.selected == "160"
        await pilot.press("k", "up")
        top = panel.scroll_offset.y
        live.append(*STORY)
        live.app.parts.ticker.tick()
        await pilot.pause()
        assert (panel.selected, panel.scroll_offset.y) == ("158", top)
        await pilot.press("G")
        live.append(*STORY)
        live.app.parts.ticker.tick()
        await pilot.pause()
        assert panel.selected == "176"
        await pilot.press("g")
        assert (panel.selected, panel.scroll_offset.y) == ("1", 0)


@on_asyncio
async def test_a_filter_shows_and_counts_matches_and_follows_new_ones(live: Live) -> None:
    live.append(*STORY * 30)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"reason:busy", "enter")
        live.app.parts.ticker.tick()
        assert len(shown(live.app, "series")) == 30
        assert "30 matches" in str(live.app.query_one("#series").border_title)
        live.append(*STORY)
        live.app.parts.ticker.tick()
        assert len(shown(live.app, "series")) == 31
        await pilot.press("space", *["["] * 8)
        live.app.parts.ticker.tick()
        assert len(shown(live.app, "series")) == 30, "the filter looks only as far as the cursor"
        await pilot.press("L", "N")
        assert live.app.query_one(SeriesPanel).selected == str(29 * 8 + 5)
        await pilot.press("escape")
        live.app.parts.ticker.tick()
        assert len(shown(live.app, "series")) == 31 * 8
        await pilot.press("2", "slash", *"nothing", "enter")
        assert not [line for line in shown(live.app, "pending") if "film" in line]
        assert str(live.app.query_one("#pending").border_title).endswith("0 matches · /nothing")


@on_asyncio
async def test_a_search_goes_on_by_itself(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(series_panel, "SLICE_SECONDS", 0.0)  # a slice is 250 entries
    live.append(*STORY * 200)
    app = live.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        monkeypatch.setattr(app.parts.ticker, "tick", lambda: None)
        await pilot.press("slash", *"again", "enter")
        while app.parts.panels.series.looking:
            await pilot.pause(0.01)
        await pilot.pause(0.05)
        assert str(app.parts.panels.series.border_title).split(" · ")[1] == "200 matches"


@on_asyncio
async def test_matches_do_not_depend_on_the_width(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("slash", *"again", "enter")
        live.app.parts.ticker.tick()
        assert len(shown(live.app, "series")) == 1, "told in fewer words, and found by all of them"


@on_asyncio
async def test_n_steps_through_matches_and_says_when_they_end(live: Live) -> None:
    live.append(*STORY * 2)
    async with live.app.run_test(size=(120, 40), notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("n")
        assert toasts(live.app) == ["no filter here: / sets one"]
        await pilot.press("slash", *"reason:busy", "enter")
        live.app.parts.ticker.tick()
        assert str(live.app.query_one("#series").border_title).endswith("· following · /reason:busy")
        await pilot.press("N")
        first = live.app.parts.panels.series.selected
        await pilot.press("N")
        assert live.app.parts.panels.series.selected == first
        assert toasts(live.app) == ["no match before this one"]
        await pilot.press("n", "n")
        assert toasts(live.app) == ["no match after this one"]


@on_asyncio
async def test_zoom_and_back(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("5", "z")
        await pilot.pause()
        assert live.app.query_one("#peers").size.width >= 110
        assert live.app.query_one("#series").size.height == 0
        await pilot.press("escape")
        await pilot.pause()
        assert live.app.query_one("#series").size.height > 10


@on_asyncio
async def test_resizing_through_all_layouts(live: Live) -> None:
    live.append(*STORY * 30)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for size in [*SIZES, (100, 30), (99, 30), (100, 29), (60, 20), (200, 60)]:
            await pilot.resize_terminal(*size)
            await pilot.pause()
            heights = {name: live.app.query_one(f"#{name}").size.height for name in PANELS}
            assert heights["series"] > 0
            whole = size[0] >= 100 and size[1] >= 30
            assert all(heights[name] for name in BESIDE) == whole, (size, heights)
            assert not any(heights[name] for name in OVER), (size, heights)
            assert live.app.query_one("#tabs").display == (not whole)
            series = live.app.parts.panels.series
            assert series.scroll_offset.y + series.size.height == series.count(), (
                "the newest is the last line"
            )


@on_asyncio
async def test_a_want_is_previewed_explained_and_pushed(live: Live, monkeypatch: pytest.MonkeyPatch,
                                                        tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "film.mkv").write_bytes(b"something else")
    ticket = format_ticket(Ticket(ROOT, "film.mkv", 4096, ("/ip4/192.0.2.7/tcp/1/p2p/" + ADA,)))
    live.append(*STORY[:1])
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        assert isinstance(live.app.screen, WantScreen)
        field = live.app.screen.query_one(Input)
        field.value = "bafknonsense "
        await pilot.pause()
        assert "bafknonsense" in str(live.app.screen.query_one("#error", Static).content)
        field.value = f"{ticket} bafknonsense"
        await pilot.press("enter")
        said = str(live.app.screen.query_one("#error", Static).content).splitlines()
        assert said[0].startswith("the 2nd of 2: ")
        assert said[1] == "Nothing was pushed: mend or remove that."
        assert not live.pushed
        field.value = "  "
        await pilot.press("enter")
        assert str(live.app.screen.query_one("#error", Static).content) == "Nothing was typed yet."
        await pilot.press("enter")
        assert isinstance(live.app.screen, WantScreen)
        assert live.pushed == []
        field.value = f"{ticket} {CHUNK}"
        await pilot.pause()
        preview = str(live.app.screen.query_one("#preview", Static).content)
        assert "film.mkv · 4.0 KiB · 1 address" in preview
        assert "film-2.mkv" in preview, "nothing is written over"
        await pilot.press("enter")
        await pilot.pause()
    get, want = live.pushed
    assert isinstance(get, cmd.Get)
    assert (get.root, get.path, get.size) == (ROOT, str(tmp_path / "film-2.mkv"), 4096)
    assert isinstance(want, cmd.Want)
    assert want.cid == CHUNK


@on_asyncio
async def test_adding_by_a_typed_path_with_completion(live: Live, monkeypatch: pytest.MonkeyPatch,
                                                      tmp_path: Path) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "holidays.zip").write_bytes(b"x")
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("a")
        assert isinstance(live.app.screen, AddScreen)
        await pilot.press(*"nowhere", "enter")
        assert "does not exist" in str(live.app.screen.query_one("#error", Static).content)
        field = live.app.screen.query_one("#path", Input)
        assert field.value == "nowhere", "what was typed stays"
        field.value = f"{tmp_path}/hol"
        await pilot.press("tab", "enter")
        await pilot.pause()
    (add,) = live.pushed
    assert isinstance(add, cmd.Add)
    assert add.path == str(tmp_path / "holidays.zip")


@on_asyncio
async def test_cancel_and_retry_act_on_what_is_selected(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("c")
        assert live.pushed == []
        assert "select what to cancel" in toasts(live.app)[-1]
        await pilot.press("r")
        await pilot.press("2", "r", "c")
        every, one, cancel = live.pushed
    assert isinstance(every, cmd.Retry)
    assert every.cids == ()
    assert isinstance(one, cmd.Retry)
    assert one.cids == (ROOT,)
    assert isinstance(cancel, cmd.Cancel)
    assert cancel.cids == (ROOT,)


@on_asyncio
async def test_a_node_that_refuses_a_command_is_reported(live: Live) -> None:
    live.append(*STORY)
    live.refuse = NoNodeError("no node is running for /home: start one with `flux-tui node`")
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("r")
        assert toasts(live.app)[-1] == str(live.refuse)


@on_asyncio
async def test_a_dead_node_is_reported(live: Live) -> None:
    live.append(*STORY)
    live.node_alive = False
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "○ no node" in header(live.app)
        before = shown(live.app, "retries")
        live.now += 100
        live.app.parts.ticker.tick()
        assert shown(live.app, "retries") == before, "a dead node's timers do not run"


@on_asyncio
async def test_a_recording_pushes_nothing() -> None:
    app = replayed()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        assert not isinstance(app.screen, WantScreen)
        assert "recording" in toasts(app)[-1]


@on_asyncio
async def test_inspecting_an_entry_a_peer_and_an_object(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        await live.app.workers.wait_for_complete()
        screen = live.app.screen
        assert isinstance(screen, InspectScreen)
        await pilot.pause()
        touching = [row.key for row in screen.query_one("#touching", LinesPanel).rows]
        assert touching == ["7", "8"], "what was granted and what came: the same chunk"
        entry = live.app.parts.nodes.source.entry(8)
        assert entry is not None
        assert facts(live.app)["at"] == f"{datetime.fromtimestamp(entry.at):%Y-%m-%d %H:%M:%S}.000"
        # A link leads to an entry, from there to its peer, and back the same way.
        await pilot.press("k", "enter")
        await pilot.pause()
        assert facts(live.app)["peer"] == ADA
        await pilot.press("tab", "down", "enter")
        await pilot.pause()
        assert "192.0.2.7" in facts(live.app)["address"]
        await pilot.press("escape")
        await pilot.pause()
        assert facts(live.app)["peer"] == ADA
        await pilot.press("escape")
        await pilot.pause()
        await live.app.workers.wait_for_complete()
        await pilot.press("k", "t")
        await pilot.pause()
        assert live.app.parts.nodes.source.cursor == 7
        await pilot.press("L", "5", "enter")
        await pilot.pause()
        assert "192.0.2.7" in facts(live.app)["address"]
        await pilot.press("escape", "2", "enter")
        await pilot.pause()
        assert facts(live.app)["path"] == "/there/film.mkv"
        assert facts(live.app)["here"] == "50%"


@on_asyncio
async def test_a_newly_shown_panel_selects_a_line_at_once(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        await pilot.press("5")
        await pilot.pause()
        assert live.app.parts.panels.panel("peers").selected == ADA
        await pilot.press("enter")
        await pilot.pause()
        assert facts(live.app)["peer"] == ADA


@pytest.mark.parametrize("size", SIZES)
@on_asyncio
async def test_the_window_for_adding_is_whole(live: Live, size: tuple[int, int]) -> None:
    live.append(*STORY[:1])
    async with live.app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("a")
        await pilot.pause()
        window, hint = live.app.screen.query_one(".window"), live.app.screen.query(".note").last()
        assert hint.region.bottom < window.region.bottom <= size[1]
        assert live.app.screen.query_one(DirectoryTree).region.height >= 5


@on_asyncio
async def test_copy_says_what_was_copied_and_how(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("y")
        assert live.app.clipboard == CHUNK
        assert CHUNK in toasts(live.app)[-1]
        await pilot.press("5", "y")
        assert live.app.clipboard == ADA


@on_asyncio
async def test_masking_and_the_screenshot(
    live: Live, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("m")
        await pilot.pause()
        live.app.clear_notifications()
        await pilot.press("s")
        await pilot.pause()
        await pilot.press("w")
        assert str(tmp_path) not in str(live.app.screen.query_one("#where", Static).content)
        live.app.screen.query_one(Input).value = format_ticket(
            Ticket(CHUNK, "talk.pdf", 4096, ("/ip4/192.0.2.7/tcp/1/p2p/" + ADA,))
        )
        await pilot.pause()
        preview = str(live.app.screen.query_one("#preview", Static).content)
        assert "talk.pdf" in preview
        assert str(tmp_path) not in preview
        assert live.app.screen.query_one(Input).password, "a ticket has addresses in it"
        live.app.screen.query_one(Input).value = CHUNK[:-1] + " "
        await pilot.pause()
        error = str(live.app.screen.query_one("#error", Static).content)
        assert "is not a CID" in error
        assert CHUNK[:12] not in error
        await pilot.press("escape", "a")
        assert live.app.screen.query_one(Input).placeholder == "a path"
        live.app.screen.query_one(Input).value = "/there/is"
        await pilot.pause()
        assert live.app.screen.query_one(Input).password
        live.app.screen.query_one(Input).value = "nope"
        await pilot.press("enter")
        assert str(live.app.screen.query_one("#error", Static).content) == "that does not exist"
        await pilot.press("escape", ":", *"get flux1abc")
        covered = [live.app.parts.prompt.field.password]
        await pilot.press("escape", ":", *"theme flux")
        covered.append(live.app.parts.prompt.field.password)
        await pilot.press("escape", "/", *f"busy peer:{ADA}", "enter")
        covered.append(live.app.parts.prompt.field.password)
        assert covered == [True, False, True], "what tells nothing is read as it is typed"
        live.app.parts.ticker.tick()
        assert str(live.app.parts.panels.series.border_title).endswith(f"· /busy peer:{HIDDEN}")
        await pilot.press("escape", "a")
        await pilot.press("escape", "g", "enter")
        await pilot.pause()
        assert facts(live.app)["addrs"] == HIDDEN
    (picture,) = tmp_path.glob("*.svg")
    text = picture.read_text()
    assert "film.mkv" in text
    assert "192.0.2.7" not in text
    assert "…AAAA" not in text


@pytest.mark.parametrize("size", SIZES)
@on_asyncio
async def test_help_lists_every_action_and_the_palette_knows_them(live: Live, size: tuple[int, int]) -> None:
    async with live.app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("?")
        assert isinstance(live.app.screen, HelpScreen)
        panel = live.app.screen.query_one(LinesPanel)
        lines = [text_of(row.line) for row in panel.rows]
        assert panel.size.height >= 8
        assert all(len(line) <= panel.columns for line in lines), "nothing is cut"
        words = " ".join(" ".join(lines).split())
        for action in ACTIONS:
            assert f"{action.help} {action.name}" in words
        for word in WORDS.values():
            assert word.help in words
        await pilot.press("G")
        await pilot.pause()
        last = live.app.export_screenshot().replace("&#160;", " ").replace("\n", " ")
        end = panel.rows[-1].line[-1][0].strip().replace("'", "&#x27;")
        assert end in last, "the last line can be reached"
        await pilot.resize_terminal(60, 20)
        await pilot.pause()
        assert all(len(text_of(row.line)) <= panel.columns for row in panel.rows)
        await pilot.press("escape")
        names = [command.title for command in live.app.get_system_commands(live.app.screen)]
        assert sum(1 for action in ACTIONS if action.help) <= len(names)


@pytest.mark.parametrize("size", SIZES)
@on_asyncio
async def test_a_notice_covers_no_panel(live: Live, size: tuple[int, int]) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=size, notifications=True) as pilot:
        await pilot.pause()
        await pilot.press("T", "m", "f")
        await pilot.pause()
        (toast,) = live.app.screen.query(Toast)
        assert toast.region.y == live.app.query_one("#footer").region.y
        assert toast.region.height == 1
        assert toast.region.width == size[0], "no key is cut in two under it"
        assert toasts(live.app) == ["every entry is a line"], "the newest only"
        await pilot.press("colon")
        await pilot.pause()
        assert not live.app.screen.query(Toast), "a line that is typed there is seen"


@pytest.mark.parametrize(("key", "keeps"), [("q", False), ("d", True)])
@on_asyncio
async def test_leaving(live: Live, key: str, keeps: bool) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(key)
    assert live.app.return_value is keeps


@on_asyncio
async def test_empty_panels_say_what_to_press(live: Live) -> None:
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        svg = live.app.export_screenshot().replace("&#160;", " ")
        for hint in (
            "Press w to want something",
            "Press w and paste a ticket",
            "Nobody has said NO",
            "No peer yet",
        ):
            assert hint in svg, hint


@on_asyncio
async def test_hints_name_the_keys_as_they_are_bound(live: Live) -> None:
    live.app = live.dashboard(keys=Keys({"want": "f5", "add": "f6"}))
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert f"Press {sign('f5')} and" in live.app.parts.panels.panel("pending").empty
        assert f"Share with {sign('f6')} and" in live.app.parts.panels.panel("peers").empty


@on_asyncio
async def test_a_window_for_a_gone_node_says_that_it_is_gone(live: Live) -> None:
    live.append(*STORY)
    live.node_alive = False
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("w")
        await pilot.pause()
        assert isinstance(live.app.screen, WantScreen), "what is typed now is text"
        assert "The node has died" in str(live.app.screen.query_one("#error", Static).content)


@pytest.mark.parametrize("size", [(60, 20), (80, 24)])
@on_asyncio
async def test_the_folder_for_tickets_is_shown_in_full(live: Live, size: tuple[int, int]) -> None:
    async with live.app.run_test(size=size) as pilot:
        await pilot.pause()
        await pilot.press("w")
        await pilot.pause()
        where = live.app.screen.query_one("#where", Static)
        text = str(where.content)
        assert text.endswith(f"go to {Path.cwd()}")
        assert where.size.width < size[0]
        assert where.size.height * where.size.width >= len(text), "it has the lines that it needs"


@pytest.mark.parametrize("size", [(60, 20), (120, 40)])
@on_asyncio
async def test_the_header_says_how_far_a_start_is(size: tuple[int, int]) -> None:
    node = WatchedNode(
        title="home", source=Source(lambda: MemorySeries()), push=lambda _: None,
        alive=lambda: True, opening=lambda: (3_200_000, 10_000_000),
    )  # fmt: skip
    app = Dashboard(node)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        assert "○ starting 3,200,000 of 10,000,000" in " ".join(header(app).split())


@on_asyncio
async def test_the_header_says_live_only_of_a_running_node(live: Live) -> None:
    """A node has locked its home before its first entry, and for a moment after its last."""
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert "○ starting" in header(live.app)
        assert "live" not in header(live.app)
        live.append(*STORY[:4], seconds=1)
        live.app.parts.ticker.tick()
        assert "● live" in header(live.app)
        live.append(ev.NodeStopped(reason="asked to"), seconds=1)
        live.app.parts.ticker.tick()
        assert "○ stopping" in header(live.app)
        live.append(STORY[0], seconds=1)
        live.app.parts.ticker.tick()
        assert "● live" in header(live.app)


@pytest.mark.parametrize(
    ("size", "told"), [((60, 20), "22:13:"), ((80, 24), "22:13:"), ((120, 40), "14 Nov 22:13:")]
)
def test_a_recording_shows_the_moment_of_the_cursor(size: tuple[int, int], told: str) -> None:
    async def run() -> None:
        live = Live()
        live.append(*STORY)
        place = WatchedNode(title="evening.flux", source=live.node.source)
        app = Dashboard(place, clock=lambda: START + 5 * 86_400, glyphs=Glyphs(unicode=True))
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            assert f"○ recording {told}" in header(app)
            await pilot.press("[")
            await pilot.pause()
            assert f"❚❚ frozen {told}" in header(app)
            assert "ago" not in header(app), "nothing goes on meanwhile"
            assert "+1" in header(app)

    on_asyncio(run)()
