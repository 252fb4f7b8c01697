"""Several recordings of one swarm in one dashboard: at one moment, with a group of lanes for each."""

from flux_tui.core.ids import dag_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import WatchedNode
from tests.sim.swarm import peer_name
from tests.support.dashboard import header, shown
from tests.ui.conftest import START, on_asyncio

FILM = dag_cid(b"a film")
MINE, THEIRS = peer_name(1), peer_name(2)


def recording(title: str, *told: tuple[float, Event]) -> WatchedNode:
    series = MemorySeries([Entry(n, START + at, event) for n, (at, event) in enumerate(told, 1)])
    return WatchedNode(title=title, source=Source(lambda: series), names={MINE: "mine", THEIRS: "theirs"})


def both() -> Dashboard:
    """The dashboard on a want as both sides recorded it."""
    mine = recording(
        "mine.flux",
        (0.0, ev.NodeStarted(peer_id=MINE, addrs=(), version="", max_pending=9)),
        (1.0, ev.PeerConnected(peer=THEIRS, addr="")),
        (2.0, ev.Requested(cid=FILM, name="film.mkv", size=9, path="/film.mkv")),
        (
            2.0,
            ev.PushedWant(cids=(FILM,), peers=(THEIRS,), gossip=False, retry=False, next_push_at=START + 9),
        ),
        (6.0, ev.StatusNo(peer=THEIRS, cids=(FILM,), reason="busy", has_it=True, retry_after=5.0)),
        (8.0, ev.Cancelled(cids=(FILM,))),
    )
    theirs = recording(
        "theirs.flux",
        (0.5, ev.NodeStarted(peer_id=THEIRS, addrs=(), version="", max_pending=9)),
        (1.0, ev.PeerConnected(peer=MINE, addr="")),
        (2.5, ev.IntentReceived(peer=MINE, cids=(FILM,), via="direct")),
        (5.5, ev.AnsweredNo(peer=MINE, cids=(FILM,), reason="busy", has_it=True, retry_after=5.0)),
        (9.0, ev.NodeStopped(reason="stopped")),
    )
    return Dashboard(mine, others=[theirs], clock=lambda: START, glyphs=Glyphs(unicode=True))


@on_asyncio
async def test_flow_has_a_group_of_lanes_for_each_recording() -> None:
    app = both()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("7")
        await pilot.pause()
        lines = shown(app, "flow")
        at = next(number for number, line in enumerate(lines) if "what theirs.flux saw" in line)
        assert "theirs" in lines[2]
        assert "busy" in lines[2]
        assert lines[at + 2].split()[0] == "mine"
        assert "busy" in lines[at + 2]
        assert lines[at + 2].index("busy") < lines[2].index("busy"), "it said so before this node heard it"


@on_asyncio
async def test_the_other_side_is_shown_at_the_same_moment() -> None:
    app = both()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        app.parts.ticker.tick()
        app.parts.playback.go_to_time(START + 3.0)
        await pilot.press("7")
        await pilot.pause()
        lines = shown(app, "flow")
        assert not any("busy" in line for line in lines), "neither side had said it yet"
        assert any("◂" in line for line in lines)
        await pilot.press("v")
        await pilot.pause()
        assert app.parts.nodes.shown.title == "theirs.flux"
        assert app.parts.nodes.source.cursor == 3
        assert "frozen" in header(app)
        await pilot.press("L", "v")
        await pilot.pause()
        assert app.parts.nodes.shown.title == "mine.flux"
