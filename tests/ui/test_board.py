"""The board with several places, a narrator, marks, sorting, and a node that is gone."""

import re
from types import SimpleNamespace

import pytest
from msgspec.structs import replace
from textual.widgets import Static

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.text import glossary
from flux_tui.home import HomeError
from flux_tui.ui.dashboard import ticker
from flux_tui.ui.dashboard.app import TICK_SECONDS, Dashboard
from flux_tui.ui.dashboard.ticker import TYPING_SECONDS
from flux_tui.ui.keys import ACTIONS
from flux_tui.ui.rows.empty_panel import WORDS as EMPTY_WORDS
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import Row, span, text_of
from flux_tui.ui.screens.help import HelpScreen
from flux_tui.ui.watching.captions import Caption
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.panel_layout import PANELS, SHORT_TITLES, SHORTEST_TITLES, TITLES
from tests.support.boards import footer
from tests.support.dashboard import ADA, ME, ROOT, STORY, facts, header, shown, toasts
from tests.support.rows import BOB
from tests.ui.conftest import Live, on_asyncio


def told(strip: CaptionStrip) -> str:
    return " ".join(text_of(line) for line in strip._lines)


class Storyteller:
    """A narrator that tells three steps, about two places."""

    def __init__(self) -> None:
        self.step = 1
        self.panels: dict[int, str] = {}
        self.pressed = 0
        self.paused = False
        self.back = 0

    @property
    def caption(self) -> Caption:
        long = (
            "A refusal is data: it says who has the chunk, why not now, and when to come back. " * self.step
        )
        return Caption(
            long, self.step, 3, self.paused or bool(self.back), self.back,
            "home" if self.step < 3 else "other", self.panels.get(self.step),
        )  # fmt: skip

    def move(self, by: int) -> None:
        self.step = min(max(self.step + by, 1), 3)

    def press(self) -> None:
        self.pressed += 1

    def toggle_pause(self) -> None:
        self.paused = not self.paused


def test_every_panel_has_its_titles_its_key_and_its_texts() -> None:
    assert len(TITLES) == len(SHORT_TITLES) == len(SHORTEST_TITLES) == len(PANELS)
    assert set(glossary.PANELS) == set(EMPTY_WORDS) == set(PANELS)
    assert {f"panel-{number}" for number in range(1, len(PANELS) + 1)} <= {action.name for action in ACTIONS}


@pytest.mark.parametrize("panel", PANELS)
@on_asyncio
async def test_help_opens_in_every_panel(live: Live, panel: str) -> None:
    app = live.dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.parts.panels.go_to(panel)
        await pilot.press("?")
        assert isinstance(app.screen, HelpScreen)


@on_asyncio
async def test_a_narrator_has_its_own_strip_and_keys_and_chooses_the_place(live: Live) -> None:
    other = Live()
    other.append(STORY[0])
    live.append(*STORY)
    other.node = type(other.node)(title="other", source=other.node.source, push=other._push)
    teller = Storyteller()
    app = live.dashboard(narrator=teller, others=(other.node,))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        strip = app.query_one(CaptionStrip)
        assert text_of(strip._lines[0]).startswith(" 1/3 A refusal is data")
        assert strip.size.height == 2, "as high from the beginning as it mostly is"
        assert footer(app).startswith(" n next  p back  space pause story ")
        for key in (" : command ", " [ ] step ", " ? help ", " q quit "):
            assert key in footer(app), "what the stories speak of, and the way out"
        await pilot.press("n")
        assert teller.step == 2
        assert len(strip._lines) == 3
        await pilot.pause()
        assert strip.size.height == 3
        await pilot.press("p")
        await pilot.pause()
        assert strip.size.height == 3, "what is above does not move from step to step"
        await pilot.press("n", "space")
        assert "paused; the nodes are not: space resumes the story" in told(strip)
        assert " space resume story " in footer(app)
        assert " : command " in footer(app)
        await pilot.click("#footer", offset=(footer(app).index("resume"), 0))
        assert not teller.paused
        assert "paused" not in told(strip)
        teller.back = 2
        app.parts.ticker.tick()
        assert "2 captions back: n next, space to the newest" in told(strip)
        teller.back = 0
        assert "live" in header(app)
        await pilot.press("F")
        assert "frozen" in header(app), "freezing has another key"
        await pilot.press("n")
        assert app.parts.nodes.shown is other.node
        assert len(shown(app, "series")) == 1
        await pilot.press("v")
        assert app.parts.nodes.shown is live.node
        assert app.parts.nodes.source.frozen, "each place keeps its cursor"
        assert "frozen" in header(app)
        app.parts.ticker.tick()
        assert app.parts.nodes.shown is live.node, (
            "a person who looks elsewhere stays there until the story goes on"
        )
        await pilot.press("p", "p")
        assert teller.step == 1
        # Typed text goes only to the prompt.
        await pilot.press("/", *"nap n", "enter")
        assert teller.step == 1
        assert app.parts.panels.filter_of("series").terms[0].value == "nap"


@on_asyncio
async def test_a_narrator_chooses_the_panel_and_a_person_may_choose_another(live: Live) -> None:
    live.append(*STORY)
    teller = Storyteller()
    teller.panels = {2: "noes"}
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert app.parts.panels.current == "series"
        await pilot.press("n")
        assert app.parts.panels.current == "noes"
        assert app.parts.panels.panel("noes").size.height > 0, "where only two fit, it is one of them"
        await pilot.press("n")
        assert app.parts.panels.current == "series", "what was not chosen by the person goes back"
        await pilot.press("p", "5")
        app.parts.ticker.tick()
        assert app.parts.panels.current == "peers"
        await pilot.press("n")
        assert app.parts.panels.current == "peers", "what was chosen stays"


@on_asyncio
async def test_peers_have_the_names_that_the_place_knows(live: Live) -> None:
    live.append(*STORY, ev.PeerConnected(peer=BOB, addr="/ip4/192.0.2.8/tcp/4001"),
                ev.ErrorOccurred(text=f"/ip4/192.0.2.8/tcp/4001/p2p/{BOB} cannot be reached",
                                 addr=f"/ip4/192.0.2.8/tcp/4001/p2p/{BOB}"))  # fmt: skip
    called: dict[PeerId, str] = {}
    live.node = type(live.node)(
        title="home", source=live.node.source, push=live._push, alive=lambda: True, names=called
    )
    app = live.dashboard()
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.pause()
        assert "12D3" in "".join(shown(app, "peers"))
        called.update({ADA: "ada", BOB: "bob", ME: "you"})  # names come as nodes start
        app.parts.ticker.tick()
        for name in ("series", "pending", "noes", "peers"):
            assert "12D3" not in "".join(shown(app, name)), name
        assert any(" busy" in line and " ada " in line for line in shown(app, "series"))
        assert any(line.rstrip().endswith("/p2p/bob") for line in shown(app, "series")), shown(app, "series")
        assert shown(app, "noes")[1].startswith("ada       yes")
        assert {line[2:5] for line in shown(app, "peers")[1:]} == {"ada", "bob"}
        assert header(app).startswith(" flux-tui you ")
        await pilot.press("5", "greater_than_sign", "o")
        assert [line[2:5] for line in shown(app, "peers")[1:]] == ["ada", "bob"], "sorted by what is seen"
        await pilot.press("enter")
        await pilot.pause()
        assert facts(app)["peer"] == f"ada  {ADA}"
        await pilot.press("escape", "1", "/", *"peer:bo", "tab", "enter")
        await pilot.pause()
        assert [line.split()[2] for line in shown(app, "series")] == ["peer_connected"]
        await pilot.press("escape", "m")
        seen = header(app) + "".join("".join(shown(app, name)) for name in ("series", "noes", "peers"))
        assert not re.search(r"\b(ada|bob|you)\b|12D3", seen), "a mask hides these, too"
        await pilot.press("/", *"peer:bo", "enter")
        assert shown(app, "series") == [], "and is not looked behind"


@on_asyncio
async def test_a_dead_node_shows_no_rates(live: Live) -> None:
    other = raw_cid(b"other")
    live.append(*STORY, ev.Granted(peer=ADA, root=ROOT, cids=(other,), deadline=live.now + 30))
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert " 1 peer " in header(live.app)
        assert "/s" in shown(live.app, "pending")[1]
        live.node_alive = False
        live.app.parts.liveness.check_again()
        live.app.parts.ticker.tick()
        assert "no node" in header(live.app)
        assert " 0 peers " in header(live.app)
        assert "↓ 0 B/s" in header(live.app)
        assert "no node is running" in shown(live.app, "pending")[1]
        assert "0 of 1 connected" in str(live.app.parts.panels.panel("peers").border_title)
        assert "gone" in shown(live.app, "peers")[1]
        assert all(" 0 B/s " in line for line in shown(live.app, "throughput")[:2])
        await pilot.press("left_square_bracket")
        assert " 1 peer " in header(live.app), "in the past it is as it was"


@on_asyncio
async def test_cancel_and_retry_act_on_all_marked_lines(live: Live) -> None:
    cids = [raw_cid(b"%d" % number) for number in range(5)]
    live.append(STORY[0], *(ev.Requested(cid=cid) for cid in cids))
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("x")
        assert "mark lines of Pending" in toasts(live.app)[-1]
        await pilot.press("2", "g", "x", "x", "j", "x")
        assert live.app.parts.panels.panel().marked == {cids[0], cids[1], cids[3]}
        assert "3 marked" in str(live.app.parts.panels.panel().border_title)
        await pilot.press("r")
        assert live.pushed == [cmd.Retry(tuple(sorted((cids[0], cids[1], cids[3]))), live.pushed[0].by)]
        assert not live.app.parts.panels.panel().marked
        await pilot.press("g", "x", "escape")
        assert not live.app.parts.panels.panel().marked
        await pilot.press("x", "c")
        assert isinstance(live.pushed[-1], cmd.Cancel)
        assert len(live.pushed[-1].cids) == 1
        await pilot.press("g", "c")
        assert live.pushed[-1].cids == (cids[0],)
        live.append(ev.Cancelled(cids=(cids[0],)))
        live.app.parts.ticker.tick()
        await pilot.press("c")
        assert live.pushed[-1].cids == (cids[1],), "the next one is selected, and not nothing"
        await pilot.press("G", "c")
        live.append(ev.Cancelled(cids=(cids[4],)))
        live.app.parts.ticker.tick()
        await pilot.press("c")
        assert live.pushed[-1].cids == (cids[3],), "after the last one, the one above"


@on_asyncio
async def test_the_prompt_shows_an_error_if_a_command_cannot_be_pushed(live: Live) -> None:
    def gone(command: cmd.Command) -> None:
        raise HomeError("no node runs on this home")

    app = Dashboard(replace(live.node, push=gone), clock=lambda: live.now)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press(":", *f"want {ROOT}", "enter")
        await pilot.pause()
        assert app.parts.prompt.kind == "command", "what was typed stays"
        said = app.query_one("#prompt-error", Static)
        assert str(said.content) == "no node runs on this home"
        assert said.region.bottom == app.query_one("#prompt-line").region.y == 23, "over the line above"
        await pilot.press("escape", ":", *"join /ip4/127.0.0.1/tcp/1", "enter")
        await pilot.pause()
        assert said.region.height == 2, "whole, however long it is"
        assert app.query_one("#timeline").region.y == 22, "and nothing moves for it"
        assert not toasts(app)


@on_asyncio
async def test_tables_are_sorted_by_any_column_by_key_and_by_mouse(live: Live) -> None:
    live.append(
        *STORY,
        ev.PeerConnected(peer=BOB, addr="/ip4/192.0.2.9/tcp/1"),
        *[ev.StatusNo(peer=BOB, cids=(ROOT,), reason="busy", has_it=False, retry_after=9.0)] * 3,
    )
    app = live.app
    async with app.run_test(size=(200, 60)) as pilot:
        await pilot.pause()

        def order(name: str) -> list[str]:
            return [row.key for row in app.parts.panels.panel(name).rows if not row.title]

        assert order("noes") == [ADA, BOB], "as they came"
        await pilot.press("3", ">", ">", ">")
        assert app.parts.views.sort_of("noes").column == "busy"
        assert order("noes") == [BOB, ADA]
        assert "▼" in text_of(app.parts.panels.panel("noes").rows[0].line)
        await pilot.press("o")
        assert order("noes") == [ADA, BOB]
        await pilot.press("<", "<", "<")
        assert app.parts.views.sort_of("noes").column == ""
        head = text_of(app.parts.panels.panel("peers").rows[0].line)
        await pilot.click("#peers", offset=(head.index(" in") + 4, 1))
        assert app.parts.views.sort_of("peers").column == "in"
        assert order("peers") == [ADA, BOB]
        await pilot.click("#peers", offset=(head.index(" in") + 4, 1))
        assert order("peers") == [BOB, ADA]
        await pilot.press("1", ">")
        assert "can be sorted" in toasts(app)[-1]
        await pilot.resize_terminal(120, 40)
        await pilot.pause()
        await pilot.press("5")
        for _ in range(12):
            await pilot.press(">")
            head = text_of(app.parts.panels.panel("peers").rows[0].line)
            assert ("▼" in head) == bool(app.parts.views.sort_of("peers").column), "only by what is shown"


@on_asyncio
async def test_a_gone_node_is_reported_with_the_key_that_restarts_it(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        trouble = live.app.query_one("#trouble", Static)
        assert not trouble.has_class("-shown")
        await pilot.press("R")
        assert "the node runs" in toasts(live.app)[-1]
        live.node_alive = False
        live.app.parts.liveness.check_again()
        live.app.parts.ticker.tick()
        assert str(trouble.content) == "The node has died: it left no word; press R to start it again"
        await pilot.press("R")
        assert live.restarted == 1
        live.append(ev.NodeStopped(reason="told to"))
        live.app.parts.ticker.tick()
        assert str(trouble.content) == "The node is stopped; press R to start it again"
        live.node_alive = True
        live.app.parts.liveness.check_again()
        live.app.parts.ticker.tick()
        assert not trouble.has_class("-shown"), "one that comes up is seen at the next tick"


@on_asyncio
async def test_nothing_is_drawn_while_nothing_changes(live: Live) -> None:
    live.append(STORY[0])
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        live.app.parts.ticker.tick()
        drawn: list[str] = []
        for widget in live.app.query("LineStrip, LinesPanel"):
            widget.refresh = lambda *args, name=widget.id, **options: drawn.append(str(name))  # type: ignore[method-assign, assignment]
        for _ in range(3):
            live.now += 0.25
            live.app.parts.ticker.tick()
        assert not drawn
        live.now += 1
        live.app.parts.ticker.tick()
        assert {*drawn} & {*PANELS} == {"throughput"}, "the clock goes on, and nothing else"
        live.append(STORY[1])
        live.app.parts.ticker.tick()
        assert "series" in drawn


@on_asyncio
async def test_the_ticker_draws_no_frame_between_keys(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    """The next key would wait for that frame. The frame of a key also shows what is due, at most two ticks late."""
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app, polls, now = live.app, [], 1000.0
        monkeypatch.setattr(app.parts.nodes.source, "poll", lambda: polls.append(now))
        monkeypatch.setattr(ticker, "time", SimpleNamespace(monotonic=lambda: now))
        app.parts.ticker._ticked_at = app.parts.ticker._key_at = now - TICK_SECONDS
        app.parts.ticker.note_key()
        app.parts.ticker.after_key()
        assert polls == [1000.0], "a tick was due"
        now = 1000.0 + TICK_SECONDS / 2
        app.parts.ticker.note_key()
        app.parts.ticker.after_key()
        now = 1000.0 + TICK_SECONDS
        app.parts.ticker.tick_unless_typing()
        assert polls == [1000.0], "the next key is near"
        now = 1000.0 + 2 * TICK_SECONDS
        app.parts.ticker._key_at = now
        app.parts.ticker.tick_unless_typing()
        assert polls == [1000.0, now], "one who types all the time sees what comes, too"
        now += TYPING_SECONDS
        app.parts.ticker.tick_unless_typing()
        assert polls[-1] == now


@on_asyncio
async def test_lines_that_come_and_go_do_not_lay_out_the_screen(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        panel, line = live.app.parts.panels.panel("retries"), text_of
        rows = [Row(str(number), [span(f"line {number}", "text")]) for number in range(60)]
        panel.show(rows)
        await pilot.pause()
        room = panel.virtual_size
        panel.action_edge(1)
        assert panel.scroll_offset.y == panel.max_scroll_y == 60 - panel.size.height
        assert panel.vertical_scrollbar.window_virtual_size == 60
        panel.show(rows[:3])
        assert panel.scroll_offset.y == 0
        assert [line(row.line) for row in panel.rows] == ["line 0", "line 1", "line 2"]
        assert panel.virtual_size == room
        panel.show([])
        assert panel.virtual_size == room


@on_asyncio
async def test_the_footer_and_the_tabs_can_be_clicked(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        tabs = text_of(live.app.query_one("#tabs")._line)  # type: ignore[attr-defined]
        await pilot.click("#tabs", offset=(tabs.index("NO"), 0))
        assert live.app.parts.panels.current == "noes"
        footer = text_of(live.app.query_one("#footer")._line)  # type: ignore[attr-defined]
        await pilot.click("#footer", offset=(footer.index("freeze") + 1, 0))
        assert live.app.parts.nodes.source.frozen
        await pilot.press("2")
        panel = live.app.query_one("#pending", LinesPanel)
        await pilot.click("#pending", offset=(4, 1))
        assert panel.selected == ROOT
        await pilot.click("#pending", offset=(4, 1))
        await pilot.pause()
        assert len(live.app.screen_stack) == 2, "a click on what is selected inspects it"


@on_asyncio
async def test_the_hold_key_begins_a_hold_and_c_releases_it(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("2", "g", "H")
        assert live.app.parts.prompt.field.value == "hold film.mkv "
        await pilot.press(*"--replicas 2", "enter")
        await pilot.pause()
        assert not live.app.parts.prompt.kind, str(live.app.query_one("#prompt-error", Static).content)
        (hold,) = live.pushed
        assert isinstance(hold, cmd.Hold)
        assert (hold.root, hold.replicas) == (ROOT, 2)
        live.append(ev.ObjectCompleted(root=ROOT, size=4096, path="/there/film.mkv"))
        live.append(ev.HoldRequested(root=ROOT, replicas=2, size=4096, name="film.mkv"))
        live.app.parts.ticker.tick()
        await pilot.press("g", "c")
        assert live.pushed[-1] == cmd.Release((ROOT,), live.pushed[-1].by)


@on_asyncio
async def test_an_ascii_terminal_gets_only_ascii(live: Live) -> None:
    live.append(*STORY * 3)
    app = Dashboard(live.node, clock=lambda: live.now, glyphs=Glyphs(unicode=False))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("space", "2")

        def seen() -> str:
            return "\n".join(
                "".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips()
            )

        assert "film.mkv" in seen()
        for keys in ([], ["w"], ["a"], ["?"], ["1", "enter"], ["ctrl+p"], ["J"], ["/"], [":", "tab"]):
            await pilot.press(*keys)
            await pilot.pause()
            text = seen()
            assert text.isascii(), (keys, {sign for sign in text if not sign.isascii()})
            await pilot.press("escape")
