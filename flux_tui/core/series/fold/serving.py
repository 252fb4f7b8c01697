"""The fold of the responder's events: what other nodes want, and what this node sent to them."""

from collections.abc import Collection
from typing import assert_never

from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import replication
from flux_tui.core.series.fold.peer_table import seen
from flux_tui.core.series.state import MAX_FETCHED, MAX_FETCHERS, MAX_FETCHES, Fetcher, PeerState, State


def fold(state: State, event: ev.ServingEvent) -> None:
    """Apply one event of the responder to the state."""
    peer = seen(state, event.peer)
    match event:
        case ev.ChunksSent():
            chunks_sent(state, event)
        case ev.IntentReceived():
            for cid in event.cids if state.kept else ():
                replication.wanted(state, cid)
            _asked(state, peer, event)
        case ev.AnsweredNo():
            peer.said[event.reason] = peer.said.get(event.reason, 0) + 1
            noes = state.totals.noes_out
            noes[event.reason] = noes.get(event.reason, 0) + 1
        case ev.GrantReceived():
            if peer.fetches:
                _granted(state, peer, event)
        case ev.CancelReceived():
            if peer.fetches:
                peer.fetches = [root for root in peer.fetches if root not in event.cids]
        case ev.AnsweredLater():
            state.totals.yes_out += 1
        case _:
            assert_never(event)


def chunks_sent(state: State, event: ev.ChunksSent) -> None:
    """Apply an event about sent chunks to the state. It is the most frequent event of a node that serves."""
    size = event.size
    peer = seen(state, event.peer)
    peer.bytes_out += size
    peer.chunks_out += len(event.cids)
    state.sent_bytes += size
    state.totals.chunks_out += len(event.cids)
    state.recent[-1].bytes_out += size
    if peer.fetches:
        _sent(state, peer, event)


# ── who takes what from here ────────────────────────────────────────────────────────────────────


def _asked(state: State, peer: PeerState, event: ev.IntentReceived) -> None:
    """Record that a peer asked for these CIDs. From now on it counts as fetching the objects among them."""
    for cid in event.cids:
        if cid not in state.objects:
            peer.wants_loose = True
            continue
        if cid in peer.fetches:
            peer.fetches.remove(cid)
        peer.fetches.append(cid)
        del peer.fetches[:-MAX_FETCHES]
        fetcher = state.fetchers.get(cid, {}).pop(peer.peer, None) or _new(state, peer)
        fetcher.asked_at = state.at
        _remember(state, cid, fetcher)


def _granted(state: State, peer: PeerState, event: ev.GrantReceived) -> None:
    """Count chunks that a peer told this node to send, for the object that the peer is fetching."""
    if (root := _object_of(state, peer, event.cids)) is not None:
        _fetcher(state, peer, root).granted += len(event.cids)


def _sent(state: State, peer: PeerState, event: ev.ChunksSent) -> None:
    """Count chunks that were sent to a peer, for the object that the peer is fetching."""
    root = _object_of(state, peer, event.cids)
    if root is None:
        return
    fetcher, found = _fetcher(state, peer, root), state.objects[root]
    fetcher.chunks += len(event.cids)
    fetcher.bytes_out += event.size
    fetcher.sent_at = state.at
    if not fetcher.estimated and (len(peer.fetches) > 1 or peer.wants_loose):
        fetcher.estimated = True
    found.sent_bytes += event.size
    if found.chunks_total is not None and fetcher.chunks >= found.chunks_total:
        peer.fetches.remove(root)


def _object_of(state: State, peer: PeerState, cids: Collection[Cid]) -> Cid | None:
    """Return the object that these chunks for a peer probably belong to.

    It is the object whose root is among the chunks, otherwise the one that the peer asked for last. None: the
    peer asked for no object that is still here.
    """
    fetches = peer.fetches
    if len(fetches) > 1 and (named := next((root for root in fetches if root in cids), None)) is not None:
        fetches.remove(named)
        fetches.append(named)
    while fetches:
        if (last := fetches[-1]) in state.objects:
            return last
        del fetches[-1]
    return None


def _fetcher(state: State, peer: PeerState, root: Cid) -> Fetcher:
    """Return the record of what a peer takes of an object. Makes a new one if it was forgotten."""
    known = state.fetchers.get(root)
    fetcher = None if known is None else known.get(peer.peer)
    if fetcher is None:
        fetcher = _new(state, peer)
        _remember(state, root, fetcher)
    return fetcher


def _new(state: State, peer: PeerState) -> Fetcher:
    return Fetcher(peer=peer.peer, asked_at=state.at)


def _remember(state: State, root: Cid, fetcher: Fetcher) -> None:
    """Record a peer that fetches an object, as the newest one. If a table is full, remove its oldest item."""
    known = state.fetchers.pop(root, {})
    known[fetcher.peer] = fetcher
    if len(known) > MAX_FETCHERS:
        del known[next(iter(known))]
    state.fetchers[root] = known
    if len(state.fetchers) > MAX_FETCHED:
        del state.fetchers[next(iter(state.fetchers))]
