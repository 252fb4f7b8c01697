"""A chunk that waits at a slow holder goes to another one only when it is clear that the slow one has not begun it."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.leases import Batch, Leases
from flux_tui.core.fetching.grants.withdrawals import SETTLE_MAX, SETTLE_MIN, SETTLE_UNKNOWN, Withdrawals
from flux_tui.core.fetching.holders import Holder
from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.wire import messages as msg
from tests.support.fetching import LEAF, Fetching
from tests.support.script import HOLDER, OTHER, up

CHUNKS = [raw_cid(b"leaf %d" % number) for number in range(3)]


def withdrawn() -> tuple[Withdrawals, Leases, Holder]:
    """Return two chunks of three that were withdrawn from a holder at time 0."""
    leases, holder = Leases(), Holder(HOLDER)
    download = Download(dag_cid(b"root"), path="/x", tree=True, by=None, size=None)
    holder.granted(3, 3 * LEAF, 0.0)
    batch = Batch(holder, dict.fromkeys(CHUNKS, download), LEAF)
    leases.add(batch, 0.0, 60.0)
    withdrawals = Withdrawals(leases)
    withdrawals.add(batch, CHUNKS[:2], "moved", 0.0, OTHER)
    return withdrawals, leases, holder


def settled(withdrawals: Withdrawals, now: float) -> list[Cid]:
    return [cid for one in withdrawals.settled(now) for cid in one.cids]


def test_a_withdrawal_ends_after_a_moment() -> None:
    withdrawals, _, _ = withdrawn()
    assert CHUNKS[0] in withdrawals
    assert CHUNKS[2] not in withdrawals
    assert withdrawals.next_deadline() == SETTLE_UNKNOWN
    assert not withdrawals.settled(SETTLE_UNKNOWN - 0.1)
    assert settled(withdrawals, SETTLE_UNKNOWN) == CHUNKS[:2]
    assert CHUNKS[0] not in withdrawals
    assert withdrawals.next_deadline() == float("inf")


def test_a_chunk_that_has_begun_to_come_stays() -> None:
    withdrawals, _, holder = withdrawn()
    holder.coming(CHUNKS[1], 1000, 0.5, SETTLE_UNKNOWN - 1.0)
    assert settled(withdrawals, SETTLE_UNKNOWN) == CHUNKS[:1]
    assert CHUNKS[1] not in withdrawals


def test_a_chunk_that_the_holder_will_not_send_is_free_at_once() -> None:
    withdrawals, _, holder = withdrawn()
    holder.coming(CHUNKS[0], 1000, 0.5, 0.5)  # a gateway ends what it has begun
    withdrawals.confirm(OTHER, CHUNKS, 1.0)
    assert not withdrawals.settled(1.0), "only its holder can say that"
    withdrawals.confirm(HOLDER, [CHUNKS[0], CHUNKS[2]], 1.0)
    assert settled(withdrawals, 1.0) == CHUNKS[:1]
    assert CHUNKS[0] not in withdrawals
    assert CHUNKS[1] in withdrawals, "it may have begun"
    assert settled(withdrawals, SETTLE_UNKNOWN) == [CHUNKS[1]]


def test_a_chunk_whose_lease_has_ended_meanwhile_is_left_alone() -> None:
    withdrawals, leases, _ = withdrawn()
    leases.release(CHUNKS[0])
    assert settled(withdrawals, SETTLE_MAX) == [CHUNKS[1]]


def test_a_slow_holder_has_time_for_its_first_message_of_noise() -> None:
    """Where three getters shared 256 kbit/s, the first 64 KiB of a chunk took ten seconds, and were taken for none."""
    _, leases, holder = withdrawn()
    holder.rate, holder.measured = 10_500.0, True
    withdrawals = Withdrawals(leases)
    batch = leases.of_chunk(CHUNKS[0], holder)
    assert batch is not None
    withdrawals.add(batch, CHUNKS[:1], "moved", 0.0)
    assert 1.1 * (1 << 16) / 10_500 < withdrawals.next_deadline() < SETTLE_MAX


def test_the_moment_is_shorter_where_a_chunk_takes_less() -> None:
    _, leases, holder = withdrawn()
    holder.rate, holder.measured = LEAF / 2, True
    withdrawals = Withdrawals(leases)
    withdrawals.add(leases.by_chunk[CHUNKS[0]], CHUNKS[:1], "deadline", 0.0)
    assert withdrawals.next_deadline() == SETTLE_MIN


class Waiting(Fetching):
    """A file of four chunks, all granted to one holder, which sends nothing for a minute. Then another one has it."""

    def __init__(self) -> None:
        self.cancelled: dict[PeerId, list[Cid]] = {}
        super().__init__(4, HOLDER)
        self.mine = list(self.granted[HOLDER])
        self.granted.clear()
        self.wait(60.0)
        self.give(up(OTHER))
        self.offer(OTHER)

    def give(self, given: inp.Input, after: float = 0.0):  # type: ignore[no-untyped-def]
        events, effects = super().give(given, after)
        for effect in effects:
            if isinstance(effect, fx.Push) and isinstance(effect.message, msg.Cancel):
                self.cancelled.setdefault(effect.peer, []).extend(effect.message.cids)
        return events, effects


def test_chunks_that_wait_are_cancelled_first_and_granted_to_another_holder_when_that_is_confirmed() -> None:
    waiting = Waiting()
    assert waiting.cancelled == {HOLDER: waiting.mine}
    assert OTHER not in waiting.granted
    waiting.give(inp.MessageCame(HOLDER, msg.Cancelled(cids=tuple(waiting.mine[2:]))), 1.0)
    assert waiting.granted[OTHER] == waiting.mine[2:], "the others are being sent, or were"
    waiting.give(inp.ChunkComing(HOLDER, waiting.mine[0], 10_000, 0.5), 30.0)
    for cid in (*waiting.mine[:2], *waiting.mine[2:]):
        waiting.land(OTHER if cid in waiting.mine[2:] else HOLDER, cid, 20.0)
    assert waiting.machine.state.duplicate_factor == 1.0


def test_without_an_answer_they_are_granted_to_another_holder_later() -> None:
    waiting = Waiting()
    waiting.wait(SETTLE_MAX + 0.1)
    assert set(waiting.granted[OTHER]) <= set(waiting.mine)


def test_a_chunk_that_comes_after_the_cancel_comes_once() -> None:
    waiting = Waiting()
    late = waiting.mine[1]
    waiting.give(inp.ChunkComing(HOLDER, late, 10_000, 0.5), 1.0)
    waiting.wait(SETTLE_MAX)
    assert OTHER in waiting.granted
    waiting.give(inp.ChunkComing(HOLDER, late, 300_000, 9.0), 8.0)
    waiting.land(HOLDER, late, 20.0)
    assert late not in waiting.granted[OTHER]
    assert waiting.machine.state.duplicate_factor == 1.0
