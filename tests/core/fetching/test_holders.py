"""What a holder is remembered for: late copies, missed deadlines, wrong bytes, offers."""

from flux_tui.core.fetching.holders import MAX_LAPSED, MAX_LEASE_FACTOR, Holder, Holders
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.peers.connected import ConnectedPeers
from tests.support.script import HOLDER, OTHER

CHUNK, ROOT = raw_cid(b"a leaf"), dag_cid(b"a root")


def test_as_many_late_copies_may_come_as_there_were_grants() -> None:
    holder = Holder(HOLDER)
    holder.let_lapse(CHUNK, "late")
    holder.let_lapse(CHUNK, "cancelled")
    assert [holder.came_late(CHUNK) for _ in range(3)] == ["cancelled", "cancelled", None], (
        "the last cause counts"
    )


def test_the_oldest_lapse_is_forgotten_first() -> None:
    holder = Holder(HOLDER)
    for number in range(MAX_LAPSED + 1):
        holder.let_lapse(raw_cid(b"%d" % number), "late")
    assert len(holder.lapsed) == MAX_LAPSED
    assert raw_cid(b"0") not in holder.lapsed


def test_a_missed_deadline_lengthens_leases_until_chunks_come() -> None:
    holder = Holder(HOLDER)
    for _ in range(8):
        holder.missed_deadline()
    assert (holder.lease_factor, holder.snubbed) == (MAX_LEASE_FACTOR, True)
    holder.delivered(100, 1.0)
    assert (holder.lease_factor, holder.snubbed) == (MAX_LEASE_FACTOR / 2, False)


def test_wrong_bytes_are_counted_and_snub_the_holder() -> None:
    holder = Holder(HOLDER)
    holder.sent_wrong_bytes()
    assert (holder.faults, holder.snubbed) == (1, True)


def test_a_holder_that_is_gone_has_work_when_it_comes_back() -> None:
    connected = ConnectedPeers()
    connected.add(HOLDER)
    holders = Holders(connected)
    holders.wake(ROOT, [HOLDER, OTHER])
    assert list(holders.ready) == [HOLDER]
    assert list(holders.get(OTHER).roots) == [ROOT]
    holders.looked_at(HOLDER)
    assert not holders.ready
