"""Laws that hold for a node after every step, whatever happens around it."""

from collections import Counter

from flux_tui.core.fetching.holders import MAX_LAPSED, WINDOW_CHUNKS
from flux_tui.core.ids import matches
from flux_tui.core.peers import push_admission as adm
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.core.series.state import MAX_PEERS
from flux_tui.core.serving.answer_outbox import MAX_STORED
from flux_tui.core.serving.responder import MAX_OFFERED, MAX_SEEN
from flux_tui.core.serving.upload_queue import MAX_QUEUED
from tests.sim.swarm import SimNode

MAX_HOLDERS = 2
"""Leases of one chunk at a time: the first holder, and at the end one faster holder."""


class Watch:
    """Checks the laws of one node: cheap ones at every step, the whole fold at intervals."""

    def __init__(self, node: SimNode) -> None:
        self.node = node
        self._read = 0
        self._requested: set[str] = set()
        self._ended: set[str] = set()
        self._counted: set[str] = set()

    def step(self) -> None:
        """Check the cheap laws."""
        node = self.node
        for entry in node.series[self._read :]:
            match entry.event:
                case ev.Requested():
                    self._requested.add(entry.event.cid)
                    self._ended.discard(entry.event.cid)
                case ev.ChunkReceived():
                    cid = entry.event.cid
                    assert cid not in self._counted, "a chunk was counted twice"
                    assert matches(cid, node.blocks[cid]), "a chunk was counted that was not verified"
                    self._counted.add(cid)
                    if not entry.event.roots:
                        self._ended.add(cid)
                case ev.ObjectCompleted():
                    self._ended.add(entry.event.root)
                case ev.Cancelled():
                    self._ended.update(entry.event.cids)
                case _:
                    pass
        self._read = len(node.series)
        pending = node.state.pending.keys()
        assert pending | self._ended == self._requested, "pending + arrived + cancelled = wanted"
        assert not pending & self._ended
        assert node.state.pushed <= node.max_pending
        self._bounds()

    def fold(self) -> None:
        """Check the whole fold."""
        node = self.node
        assert node.state == derive(node.series)
        requester = node.machine.requester
        held = Counter(cid for leased in _leases(node) for cid in leased)
        assert all(count <= MAX_HOLDERS for count in held.values()), "a chunk is leased again and again"
        for cid in requester.wanted:
            assert cid not in node.blocks, "a block that is here is still wanted"
        for download in requester.downloads.values():
            assert len(download.have) <= len(download.blocks)
            sets = (download.missing.keys(), download.granted, download.have.keys())
            assert len(set().union(*sets)) == sum(map(len, sets)), "a block is in two sets"
            assert all(cid in requester.leases.by_chunk for cid in download.granted)

    def _bounds(self) -> None:
        machine = self.node.machine
        assert len(machine.admission) <= adm.MAX_BUCKETS
        assert len(machine.responder._seen) <= MAX_SEEN
        assert len(machine.answers) <= MAX_STORED
        assert len(machine.responder._offered) <= MAX_OFFERED
        assert len(self.node.state.peers) <= MAX_PEERS
        uploads = machine.responder.uploads
        assert all(len(uploads.of(peer)) <= MAX_QUEUED for peer in uploads.peers)
        for holder in machine.requester.holders.by_peer.values():
            assert 0 <= holder.outstanding <= WINDOW_CHUNKS
            assert len(holder.lapsed) <= MAX_LAPSED


def _leases(node: SimNode) -> list[list[str]]:
    """Return the chunks under lease, by holder."""
    leases = node.machine.requester.leases
    return [
        [cid for batch in leases.of(holder) for cid in batch.chunks]
        for holder in node.machine.requester.holders.by_peer.values()
    ]
