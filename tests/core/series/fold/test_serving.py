"""Who takes what from here, folded from intents, grants and chunks that left."""

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.clock_steps import shift
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive, extend, restore, snapshot
from flux_tui.core.series.state import MAX_FETCHED, MAX_FETCHERS, MAX_FETCHES
from tests.sim.swarm import peer_name
from tests.support.rows import ADA, BOB

FILM, PHOTOS = dag_cid(b"a film"), dag_cid(b"photos")
LEAVES = tuple(raw_cid(b"%d" % number) for number in range(6))


def entries(*events: Event) -> list[Entry]:
    return [Entry(n, 1000.0 + n, event) for n, event in enumerate(events, 1)]


def added(root: Cid, chunks: int = 4) -> ev.ObjectAdded:
    return ev.ObjectAdded(root=root, name="a", size=400, chunks=chunks, path="/a")


def asks(peer: PeerId, *cids: Cid) -> ev.IntentReceived:
    return ev.IntentReceived(peer=peer, cids=cids, via="direct")


def grants(peer: PeerId, *cids: Cid) -> ev.GrantReceived:
    return ev.GrantReceived(peer=peer, cids=cids, size=100 * len(cids))


def sent(peer: PeerId, *cids: Cid) -> ev.ChunksSent:
    return ev.ChunksSent(peer=peer, cids=cids, size=100 * len(cids))


def test_a_fetcher_is_counted_by_what_it_asked_for() -> None:
    state = derive(
        entries(
            added(FILM),
            asks(ADA, FILM),
            grants(ADA, FILM, *LEAVES[:2]),
            sent(ADA, FILM),
            sent(ADA, LEAVES[0]),
            asks(BOB, FILM),
        )
    )
    ada, bob = state.fetchers[FILM][ADA], state.fetchers[FILM][BOB]
    assert (ada.granted, ada.chunks, ada.bytes_out, ada.estimated) == (3, 2, 200, False)
    assert (ada.asked_at, ada.sent_at) == (1002.0, 1005.0)
    assert (bob.granted, bob.chunks, bob.sent_at) == (0, 0, None)
    assert state.objects[FILM].sent_bytes == 200


def test_a_grant_with_a_root_is_of_that_object_and_the_rest_is_an_estimate() -> None:
    state = derive(
        entries(
            added(FILM),
            added(PHOTOS),
            asks(ADA, FILM),
            sent(ADA, FILM),
            asks(ADA, PHOTOS),
            grants(ADA, PHOTOS),
            sent(ADA, PHOTOS),
            grants(ADA, FILM, LEAVES[0]),
            sent(ADA, LEAVES[0]),
        )
    )
    film, photos = state.fetchers[FILM][ADA], state.fetchers[PHOTOS][ADA]
    assert (film.chunks, photos.chunks) == (2, 1)
    assert (film.estimated, photos.estimated) == (True, True), "it fetched both at once"


def test_what_a_peer_has_all_of_does_not_blur_what_it_fetches_next() -> None:
    state = derive(
        entries(added(FILM), added(PHOTOS), asks(ADA, FILM), sent(ADA, FILM, *LEAVES[:3]),
                asks(ADA, PHOTOS), sent(ADA, LEAVES[4]))
    )  # fmt: skip
    assert state.fetchers[FILM][ADA].chunks == 4
    assert (state.fetchers[PHOTOS][ADA].chunks, state.fetchers[PHOTOS][ADA].estimated) == (1, False)


def test_chunks_for_a_peer_that_asks_for_loose_chunks_too_are_an_estimate() -> None:
    state = derive(entries(added(FILM), asks(ADA, FILM, LEAVES[5]), sent(ADA, LEAVES[5])))
    assert state.fetchers[FILM][ADA].estimated


def test_chunks_that_nobody_can_place_are_counted_for_the_peer_only() -> None:
    state = derive(entries(asks(ADA, LEAVES[0]), grants(ADA, LEAVES[0]), sent(ADA, LEAVES[0])))
    assert (state.fetchers, state.peers[ADA].bytes_out) == ({}, 100)


def test_a_removed_object_has_no_fetchers() -> None:
    state = derive(entries(added(FILM), asks(ADA, FILM), ev.ObjectRemoved(root=FILM), sent(ADA, LEAVES[0])))
    assert (state.fetchers, state.peers[ADA].fetches) == ({}, [])


def test_a_cancel_ends_what_a_peer_fetches_and_keeps_what_it_took() -> None:
    state = derive(
        entries(added(FILM), asks(ADA, FILM), sent(ADA, FILM), ev.CancelReceived(peer=ADA, cids=(FILM,)),
                sent(ADA, LEAVES[0]))
    )  # fmt: skip
    assert (state.fetchers[FILM][ADA].chunks, state.peers[ADA].fetches) == (1, [])


def test_adding_it_again_keeps_what_was_sent() -> None:
    state = derive(entries(added(FILM), asks(ADA, FILM), sent(ADA, FILM), added(FILM)))
    assert state.objects[FILM].sent_bytes == 100


def test_the_clock_moves_their_times() -> None:
    state = derive(entries(added(FILM), asks(ADA, FILM), sent(ADA, FILM)))
    shift(state, 50.0)
    assert (state.fetchers[FILM][ADA].asked_at, state.fetchers[FILM][ADA].sent_at) == (1052.0, 1053.0)


def test_strangers_and_objects_cannot_fill_the_table() -> None:
    peers = [peer_name(number) for number in range(MAX_FETCHERS + 5)]
    roots = [dag_cid(b"object %d" % number) for number in range(MAX_FETCHED + 5)]
    told: list[Event] = [added(root) for root in roots]
    told += [asks(peer, roots[0]) for peer in peers]
    state = derive(entries(*told))
    assert list(state.fetchers[roots[0]]) == peers[5:]
    told += [asks(ADA, root) for root in roots]
    state = derive(entries(*told))
    assert list(state.fetchers) == roots[5:]
    assert state.peers[ADA].fetches == roots[-MAX_FETCHES:]


PARTS = st.sampled_from(
    [added(FILM), added(PHOTOS), ev.ObjectRemoved(root=FILM), ev.ObjectRemoved(root=PHOTOS)]
    + [asks(peer, root) for peer in (ADA, BOB) for root in (FILM, PHOTOS, LEAVES[0])]
    + [grants(peer, *cids) for peer in (ADA, BOB) for cids in ((FILM,), (PHOTOS, LEAVES[0]), LEAVES[:2])]
    + [sent(peer, *cids) for peer in (ADA, BOB) for cids in ((FILM,), (PHOTOS, LEAVES[0]), LEAVES[:2])]
)


@given(st.lists(PARTS, max_size=30), st.integers(0, 30))
def test_any_order_folds_and_any_split_gives_the_same(told: list[Event], at: int) -> None:
    series = entries(*told)
    whole, split = derive(series), derive(series[:at])
    restored = restore(snapshot(split))
    assert restored is not None
    assert extend(restored, series[at:]) == whole
    taken = sum(one.bytes_out for peers in whole.fetchers.values() for one in peers.values())
    assert taken <= whole.sent_bytes
