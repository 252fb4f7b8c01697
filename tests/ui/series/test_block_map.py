"""Where the blocks of an object are, folded from entries."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.ui.series import block_map
from flux_tui.ui.series.block_map import MAX_HOLDERS, BlockMap, Cell, Count
from tests.sim.swarm import peer_name
from tests.support.rows import ADA, BOB

FILM, OTHER = dag_cid(b"a film"), dag_cid(b"another")
LEAVES = tuple(raw_cid(b"%d" % number) for number in range(8))


def entries(*events: Event) -> list[Entry]:
    return [Entry(n, 1000.0 + n, event) for n, event in enumerate(events, 1)]


def folded(*events: Event) -> BlockMap:
    found = BlockMap(FILM)
    found.extend(entries(*events))
    return found


def grant(peer: PeerId, *cids: Cid, root: Cid = FILM, hedge: bool = False) -> ev.Granted:
    return ev.Granted(peer=peer, root=root, cids=cids, deadline=9.0, hedge=hedge)


def chunk(peer: PeerId, cid: Cid, root: Cid = FILM) -> ev.ChunkReceived:
    return ev.ChunkReceived(cid=cid, size=10, peer=peer, roots=(root,))


def no(peer: PeerId, *cids: Cid) -> ev.StatusNo:
    return ev.StatusNo(peer=peer, cids=cids, reason="busy", has_it=True, retry_after=1.0)


def lapsed(peer: PeerId, *cids: Cid, refused: bool = False) -> ev.LeaseLapsed:
    return ev.LeaseLapsed(peer=peer, cids=cids, cause="refused" if refused else "deadline")


def shown(found: BlockMap, width: int = 80, have: int = 0, total: int = 0) -> str:
    """Return the map with a letter for each cell: A and B sent, a and b are to send, ! refused, . missing, # here."""
    letters = {ADA: "a", BOB: "b", None: "#"}
    marks = {"missing": ".", "refused": "!"}
    return "".join(
        marks.get(cell.kind)
        or (letters[cell.holder].upper() if cell.kind == "here" else letters[cell.holder])
        for cell in found.cells(width, have, total)
    )


def test_blocks_stand_in_the_order_in_which_they_were_first_granted_or_came() -> None:
    found = folded(
        grant(ADA, *LEAVES[:3]), grant(BOB, *LEAVES[3:5]), chunk(BOB, LEAVES[4]), chunk(ADA, LEAVES[5])
    )
    assert shown(found, total=8) == "aaabBA.."
    assert found.counts() == {ADA: Count(1, 3), BOB: Count(1, 1)}
    assert [found.count(kind) for kind in ("here", "owed", "refused", "missing")] == [2, 4, 0, 0]
    assert (found.number(ADA), found.number(BOB), found.number(peer_name(3))) == (0, 1, None)


def test_a_refused_block_waits_until_another_peer_is_granted_it() -> None:
    found = folded(grant(ADA, *LEAVES[:3]), no(ADA, LEAVES[0]), lapsed(ADA, LEAVES[1], refused=True))
    assert shown(found) == "!!a"
    found.extend(entries(grant(BOB, LEAVES[0]), lapsed(ADA, LEAVES[2])))
    assert shown(found) == "b!."


def test_the_words_of_one_peer_do_not_touch_what_another_sends() -> None:
    found = folded(
        grant(ADA, LEAVES[0]), no(BOB, LEAVES[0]), lapsed(BOB, LEAVES[0]), grant(BOB, LEAVES[0], hedge=True)
    )
    assert shown(found) == "a"
    found.extend(entries(chunk(BOB, LEAVES[0]), lapsed(ADA, LEAVES[0])))
    assert shown(found) == "B", "the faster copy of a hedge counts, and it stays here"


def test_other_objects_are_not_on_the_map() -> None:
    found = folded(grant(ADA, LEAVES[0], root=OTHER), chunk(ADA, LEAVES[0], OTHER), no(ADA, OTHER))
    assert found.cells(80, 0, 0) == []


def test_what_nobody_told_of_is_at_the_ends() -> None:
    found = folded(chunk(ADA, LEAVES[0]))
    assert shown(found, have=3, total=6) == "##A..."
    assert found.before(3) == 2
    assert shown(found, have=0, total=0) == "A", "the entries may know more than the state"


def test_nobody_owes_anything_after_a_start_or_a_cancel() -> None:
    start = ev.NodeStarted(peer_id=ADA, addrs=(), version="1", max_pending=1)
    for ends in (start, ev.Cancelled(cids=(FILM,))):
        assert shown(folded(grant(ADA, *LEAVES[:2]), chunk(ADA, LEAVES[0]), ends)) == "A."
    assert shown(folded(grant(ADA, LEAVES[0]), ev.Cancelled(cids=(OTHER,)))) == "a"


def test_lost_chunks_are_missing_again() -> None:
    lost = ev.ChunksLost(cids=(LEAVES[0], LEAVES[7]), size=10, path="/a", roots=(FILM,))
    found = folded(chunk(ADA, LEAVES[0]), lost)
    assert shown(found) == "."
    found.extend(entries(grant(BOB, LEAVES[0])))
    assert shown(found) == "b"


def test_a_cell_of_several_blocks_shows_what_is_on_its_way_first() -> None:
    found = folded(
        grant(ADA, *LEAVES[:4]), chunk(ADA, LEAVES[0]), chunk(ADA, LEAVES[1]), chunk(ADA, LEAVES[2]),
        grant(BOB, *LEAVES[4:]), no(BOB, LEAVES[4]), chunk(BOB, LEAVES[5]), lapsed(BOB, *LEAVES[6:]),
    )  # fmt: skip
    assert shown(found, 2, total=8) == "a!"
    assert found.cells(4, 0, 8) == [
        Cell("here", ADA),
        Cell("owed", ADA),
        Cell("refused", None),
        Cell("missing", None),
    ]
    assert shown(found, 3, total=24)[2] == ".", "blocks that nobody was granted are most of the last cell"


def test_peers_beyond_a_maximum_are_one() -> None:
    told = [chunk(peer_name(number), raw_cid(b"x%d" % number)) for number in range(MAX_HOLDERS + 3)]
    found = folded(*told)
    assert found.counts()[None] == Count(3, 0)
    assert found.cells(1000, 0, 0)[-1] == Cell("here", None)


def test_a_large_object_is_counted_beyond_a_maximum(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(block_map, "MAX_BLOCKS", 4)
    found = folded(*(chunk(ADA, leaf) for leaf in LEAVES))
    assert shown(found, have=8, total=8) == "####AAAA"


EVENTS = st.sampled_from(
    [grant(peer, *cids) for peer in (ADA, BOB) for cids in (LEAVES[:3], LEAVES[2:5], (FILM,))]
    + [chunk(peer, cid) for peer in (ADA, BOB) for cid in (*LEAVES[:3], FILM)]
    + [no(peer, *LEAVES[:2]) for peer in (ADA, BOB)]
    + [lapsed(peer, *LEAVES[:4]) for peer in (ADA, BOB)]
    + [ev.ChunksLost(cids=LEAVES[1:2], size=1, path="/a", roots=(FILM,)), ev.Cancelled(cids=(FILM,))]
)


@given(st.lists(EVENTS, max_size=25), st.integers(0, 25), st.integers(1, 30), st.integers(0, 12))
def test_the_map_is_full_and_the_same_for_every_split(
    told: list[Event], at: int, width: int, have: int
) -> None:
    series = entries(*told)
    whole, split = BlockMap(FILM), BlockMap(FILM)
    whole.extend(series)
    split.extend(series[:at])
    split.cells(width, have, 12)
    split.extend(series[at:])
    cells = whole.cells(width, have, 12)
    assert cells == split.cells(width, have, 12)
    kinds = [whole.count(kind) for kind in ("here", "owed", "refused", "missing")]
    known = sum(kinds) + whole.before(have)
    assert len(cells) == min(width, max(12, known))
    if width >= 30:
        assert sum(cell.kind == "owed" for cell in cells) == whole.count("owed")
        assert sum(cell.kind == "refused" for cell in cells) == whole.count("refused")
