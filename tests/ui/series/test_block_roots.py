"""Events about a block are found by its object, in Inspect and by a filter.

This also works in a series that an earlier version wrote, whose entries do not name the object of a chunk.
"""

import pytest

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.series.block_roots import EntriesAbout
from tests.support.dashboard import facts, shown
from tests.ui.conftest import START, Live, on_asyncio

ROOT, OTHER = dag_cid(b"film"), dag_cid(b"talk")
ADA = PeerId("12D3KooW" + "A" * 44)
ONE, TWO, THIRD = (raw_cid(name) for name in (b"one", b"two", b"third"))


def story(*, named: bool) -> list[Event]:
    """Two objects from one holder. `named`: entries name the object, as this version writes them."""

    def of(root: Cid) -> tuple[Cid, ...]:
        return (root,) if named else ()

    return [
        ev.NodeStarted(peer_id=PeerId("12D3KooW" + "M" * 44), addrs=(), version="1", max_pending=1000),
        ev.PeerConnected(peer=ADA, addr="/ip4/192.0.2.7/tcp/4001"),
        ev.Requested(cid=ROOT, name="film.mkv", path="/there/film.mkv"),
        ev.Requested(cid=OTHER, name="talk.pdf", path="/there/talk.pdf"),
        ev.Granted(peer=ADA, root=ROOT, cids=(ONE, TWO), deadline=START + 9),
        ev.Granted(peer=ADA, root=OTHER, cids=(THIRD,), deadline=START + 9),
        ev.StatusNo(
            peer=ADA, cids=(ONE,), reason="rate_limited", has_it=True, retry_after=17.0, roots=of(ROOT)
        ),
        ev.LeaseLapsed(peer=ADA, cids=(ONE,), cause="refused", roots=of(ROOT)),
        ev.ErrorReceived(peer=ADA, text="the file was changed", cids=(TWO,), roots=of(ROOT)),
        ev.StatusNo(peer=ADA, cids=(THIRD,), reason="busy", has_it=True, retry_after=1.0, roots=of(OTHER)),
        ev.ChunkWasted(cid=TWO, size=10, peer=ADA, cause="late"),
    ]


FILM = ("status_no", "lease_lapsed", "error_received", "chunk_wasted")


@pytest.mark.parametrize("named", [True, False])
@on_asyncio
async def test_inspect_shows_events_about_the_blocks_of_an_object(live: Live, named: bool) -> None:
    live.append(*story(named=named))
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("2", "g", "enter")
        await pilot.pause()
        screen = live.app.screen
        assert isinstance(screen, InspectScreen)
        await screen.workers.wait_for_complete()
        await pilot.pause()
        assert facts(live.app)["name"] == "film.mkv"
        lines = [str(row.key) for row in screen._rows]
        assert lines == ["3", "5", "7", "8", "9", "11"], "and nothing of the other object"


@pytest.mark.parametrize("named", [True, False])
@pytest.mark.parametrize("filtered", ["film", "film.mkv", f"cid:{ROOT}"])
@on_asyncio
async def test_a_filter_by_name_finds_events_about_blocks_of_the_object(
    live: Live, named: bool, filtered: str
) -> None:
    live.append(*story(named=named))
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("1", "slash")
        live.app.parts.prompt.field.value = filtered
        await pilot.press("enter")
        await pilot.pause()
        lines = shown(live.app, "series")
        for kind in FILM:
            assert any(kind in line for line in lines), (kind, lines)
        assert not any("busy" in line or "talk" in line for line in lines)
        # New entries are found while the filter is set.
        live.append(
            ev.StatusNo(peer=ADA, cids=(TWO,), reason="denied", has_it=True, retry_after=None), seconds=1
        )
        live.app.parts.ticker.tick()
        assert "denied" in shown(live.app, "series")[-1]


def test_pages_read_backwards_give_the_entries_of_an_object_in_order() -> None:
    entries = [Entry(n, START + n, event) for n, event in enumerate(story(named=False), 1)]
    whole = [entry.seq for entry in EntriesAbout(ROOT).take(entries)]
    for size in (1, 2, 3, 5):
        finder, found = EntriesAbout(ROOT), []
        for end in range(len(entries), 0, -size):
            found += finder.take(entries[max(0, end - size) : end])
        assert sorted(entry.seq for entry in found) == whole, size
        assert len(found) == len(whole), "each of them once"
