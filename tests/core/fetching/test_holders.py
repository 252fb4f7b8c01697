"""What a holder is remembered for: late copies, missed deadlines, wrong bytes, offers, and how fast it sends."""

from flux_tui.core.fetching.holders import FIRST_RATE, MAX_LAPSED, MAX_LEASE_FACTOR, RTT_MAX, Holder, Holders
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


MIB = 1 << 20


def test_the_first_part_of_a_chunk_shows_the_rate() -> None:
    holder = Holder(HOLDER)
    holder.granted(4, 4 * MIB, 10.0)
    holder.coming(CHUNK, 16_000, 0.5, 40.5)
    assert (holder.rate, holder.measured) == (32_000, True), "the time before it began was a wait"
    assert holder.rtt == RTT_MAX
    assert holder.is_sending(41.0, MIB)
    assert holder.expected_seconds() == (4 * MIB - 16_000) / 32_000


def test_each_byte_of_a_chunk_that_comes_in_parts_counts_once() -> None:
    holder = Holder(HOLDER)
    holder.granted(1, MIB, 0.0)
    for second in range(1, 33):
        holder.coming(CHUNK, min(32_768 * second, MIB - 1000), second, second)
        assert 31_000 < holder.rate < 33_000
    holder.delivered(MIB, 33.0, CHUNK)
    assert holder.rate > 16_000, "the last thousand bytes only"
    holder.coming(CHUNK, 1000, 1.0, 34.0)
    assert holder.rest_seconds(MIB) > 0


def test_a_part_that_brings_nothing_new_is_no_sign_of_life() -> None:
    holder = Holder(HOLDER)
    holder.coming(CHUNK, 5000, 1.0, 1.0)
    assert holder.is_sending(20.0, MIB)
    holder.coming(CHUNK, 5000, 39.0, 39.0)
    assert not holder.is_sending(40.0, MIB), "however long its chunks take"


def test_the_answer_to_a_first_grant_contains_a_round_trip_and_shows_no_rate() -> None:
    """An object's root is small: on a line of 200 ms it would look like 5 KB/s."""
    holder = Holder(HOLDER)
    holder.granted(1, 1000, 1.0)
    holder.delivered(1000, 1.2)
    assert (holder.rate, holder.measured) == (FIRST_RATE, False)
    assert 0.19 < holder.rtt <= 0.2


def test_a_slow_holder_gets_the_next_chunk_shortly_before_it_is_needed() -> None:
    holder = Holder(HOLDER)
    holder.granted(1, MIB, 0.0)
    holder.coming(CHUNK, 16_000, 0.5, 0.5)
    assert holder.least(MIB) == 1
    assert not holder.needs_next()
    holder.coming(CHUNK, MIB - 16_000, 32.0, 32.0)
    assert holder.needs_next()
