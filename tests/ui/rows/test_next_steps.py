"""The guide of the first minutes: no peer yet, nothing shared yet. It says what to do next."""

import re

import pytest
from textual.widgets import Static

from flux_tui.core.content.ticket import Ticket, parse_ticket
from flux_tui.core.ids import dag_cid
from flux_tui.core.series import events as ev
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import WatchedNode
from flux_tui.ui.widgets.next_steps_strip import NextStepsStrip
from tests.support.dashboard import ADA, ME, STORY, toasts
from tests.ui.conftest import Live, on_asyncio

SMALL = [(60, 20), (80, 24)]
ROOT, OTHER = dag_cid(b"film"), dag_cid(b"talk")
ADDRS = tuple(f"/ip4/192.0.2.{n}/tcp/4001/p2p/{ME}" for n in (1, 2))
STARTED = ev.NodeStarted(peer_id=ME, addrs=ADDRS, version="1", max_pending=1000)
NAME = "a film whose name is longer than any terminal is wide, as they sometimes are.mkv"


def added(root: str, name: str) -> ev.ObjectAdded:
    return ev.ObjectAdded(root=dag_cid(root.encode()), name=name, size=4096, chunks=5, path=f"/here/{name}")


def guide(app: Dashboard) -> list[str]:
    strip = app.query_one(NextStepsStrip)
    assert strip.display == bool(strip._lines)
    assert strip.size.height == len(strip._lines)
    return [text_of(line) for line in strip._lines]


@pytest.mark.parametrize("size", SMALL)
@on_asyncio
async def test_the_guide_lists_the_first_steps_in_one_line_each(size: tuple[int, int]) -> None:
    live = Live()
    app = live.dashboard(keys=Keys({"want": "f9"}))
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        told = guide(app)
        assert len(told) == 4
        assert "No peer yet" in told[0]
        assert [line.split()[0] for line in told[1:]] == ["a", "f9", ":"], "by the keys as they are"
        assert "`flux-tui state` prints it" in told[3], "where an address comes from"
        assert all("…" not in line and len(line) <= size[0] for line in told)
        live.append(STARTED)
        app.parts.ticker.tick()
        await pilot.pause()
        assert guide(app) == told
        await pilot.press("space")
        assert guide(app) == [], "the past has other things to tell"
        await pilot.press("L")
        live.append(ev.PeerConnected(peer=ADA, addr="/ip4/192.0.2.7/tcp/4001"))
        app.parts.ticker.tick()
        await pilot.pause()
        assert guide(app) == []


@pytest.mark.parametrize("size", SMALL)
@on_asyncio
async def test_the_guide_shows_the_ticket_of_a_shared_object(
    size: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    live = Live()
    taken: list[str] = []
    live.append(STARTED, added("film", "film.mkv"))
    app = live.dashboard()
    monkeypatch.setattr(app.parts.acting.copying, "copy", taken.append)
    ticket = Ticket(ROOT, "film.mkv", 4096, ADDRS)
    async with app.run_test(size=size) as pilot:
        await pilot.pause()
        first, *command = guide(app)
        assert first.startswith(" film.mkv is shared (Y copies the ticket).")
        assert "…" not in first
        typed = "".join(line.strip() for line in command)
        assert typed.startswith("flux-tui get flux1")
        if size[0] < 80:
            assert re.fullmatch(r"flux-tui get flux1\w+…\w+", typed), "half of it would be none"
        else:
            assert parse_ticket(typed.removeprefix("flux-tui get ")) == ticket
        await pilot.press("Y")
        assert parse_ticket(taken[-1]) == ticket
        # The ticket is that of the selected object in any panel, or else of the newest.
        live.append(added("talk", NAME))
        app.parts.ticker.tick()
        await pilot.pause()
        assert app.parts.panels.series.selected == "3"
        await pilot.press("Y", "k", "Y", "k", "Y")
        assert [parse_ticket(text).root for text in taken[1:]] == [OTHER, ROOT, OTHER]
        assert all(len(line) <= size[0] for line in guide(app))
        await pilot.press("m")
        assert "flux1" not in "".join(guide(app)), "a ticket is made of ids and addresses"


@on_asyncio
async def test_the_ticket_key_says_if_nothing_is_shared(live: Live) -> None:
    live.append(STORY[0], ev.PeerConnected(peer=ADA, addr="/ip4/192.0.2.7/tcp/1"))
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert guide(live.app) == []
        await pilot.press("5", "Y")
        assert "nothing is shared yet: a shares" in toasts(live.app)[-1]
        live.append(*STORY[1:])
        live.app.parts.ticker.tick()
        await pilot.press("5", "Y")
        assert "select an object first" in toasts(live.app)[-1], "there is one, and it is not this"


@on_asyncio
async def test_the_guide_says_if_the_node_listens_on_loopback_only(live: Live) -> None:
    own = ev.NodeStarted(peer_id=ME, addrs=(f"/ip4/127.0.0.1/tcp/1/p2p/{ME}",), version="1", max_pending=1000)
    live.append(own, added("film", "film.mkv"))
    async with live.app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        assert guide(live.app)[-1] == " It listens on loopback only: no other machine reaches it."


@on_asyncio
async def test_a_recording_and_a_gone_node_show_no_guide(live: Live) -> None:
    live.append(STARTED)
    recording = WatchedNode(title="r", source=Source(lambda: live.series))
    async with Dashboard(recording).run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        app = pilot.app
        assert isinstance(app, Dashboard)
        assert guide(app) == []
    live.node_alive = False
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert guide(live.app) == []
        assert str(live.app.query_one("#trouble", Static).content)


@on_asyncio
async def test_the_guide_names_the_addresses_where_nobody_answers() -> None:
    live = Live()
    app = live.dashboard()
    async with app.run_test(size=(100, 30)) as pilot:
        live.append(STARTED)
        live.append(
            ev.HeardNobody(tried=(ev.TriedAddr("/ip4/192.0.2.7/tcp/4001/p2p/x", "nothing answers there"),))
        )
        app.parts.ticker.tick()
        await pilot.pause()
        told = guide(app)
        assert told[0] == " Nobody answers at 192.0.2.7:4001: nothing answers there"
        assert "No peer yet" in told[1]
