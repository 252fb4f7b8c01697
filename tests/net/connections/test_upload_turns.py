"""Which streams write at the same time on slow and on fast lines; with times and acknowledged bytes as numbers."""

from collections import Counter

from flux_tui.core.ids import PeerId
from flux_tui.net.connections.upload_turns import FAST_BYTES, MEASURE_SECONDS, TRY, UploadTurns

A, B, C = (PeerId(f"12D3KooW{name * 44}") for name in "ABC")


class Line:
    """Turns, a clock, and what was acknowledged. `rates`: bytes/s of each peer's stream while it writes."""

    def __init__(self, **rates: float) -> None:
        self.now = 0.0
        self.counts: Counter[PeerId] = Counter()
        self.woken: list[PeerId] = []
        self.unknown: set[PeerId] = set()
        self.turns = UploadTurns(lambda peer: None if peer in self.unknown else self.counts[peer])

    def begin(self, peer: PeerId) -> bool:
        return self.turns.begin(peer, self.now, lambda: self.woken.append(peer))

    def end(self, peer: PeerId) -> None:
        self.turns.end(peer, self.now)

    def passes(self, seconds: float, waits: PeerId | None = None, **rates: float) -> bool:
        """Let time pass, in which each peer acknowledges so many bytes a second. Return whether `waits` may write."""
        while seconds > 0:
            self.now += 0.25
            seconds -= 0.25
            for name, rate in rates.items():
                self.counts[{"a": A, "b": B, "c": C}[name]] += int(rate * 0.25)
            if waits is not None and self.begin(waits):
                return True
        return False


def test_on_a_slow_line_one_stream_writes_at_a_time_in_order() -> None:
    line = Line()
    assert line.begin(A)
    assert not line.begin(B)
    assert not line.begin(C)
    assert not line.passes(TRY.first - 1, waits=B, a=32_000)
    assert not line.begin(C)
    line.end(A)
    assert line.woken == [B]
    assert not line.begin(A), "the others were there before"
    assert line.begin(B)
    line.end(B)
    assert line.begin(C)
    line.end(C)
    assert line.begin(A)


def test_on_a_fast_line_all_write_at_once() -> None:
    line = Line()
    assert line.begin(A)
    assert not line.begin(B)
    line.counts[A] += FAST_BYTES
    line.now += 0.01
    assert line.begin(B)
    assert line.begin(C)
    assert line.turns.is_fast


def test_a_line_that_has_become_slow_is_noticed() -> None:
    line = Line()
    assert line.begin(A)
    line.counts[A] += 100 * FAST_BYTES
    line.now += 1.0
    assert line.begin(B)
    line.passes(120.0, waits=None, a=16_000, b=16_000)
    for _ in range(60):
        line.passes(MEASURE_SECONDS, a=16_000, b=16_000)
        line.begin(A)
    assert not line.turns.is_fast


def test_the_peers_of_a_slow_line_do_not_keep_others_waiting() -> None:
    """The line carries 250 KB/s. The first peer's own line takes 4 KB/s."""
    line = Line()
    assert line.begin(A)
    assert line.passes(TRY.first + 1, waits=B, a=4_000), "one more is tried"
    line.passes(MEASURE_SECONDS, waits=None, a=4_000, b=246_000)
    assert not line.begin(C)
    line.end(B)
    assert line.begin(C), "what is left is known: the first peer's stream was measured alone"
    line.end(C)
    assert line.begin(B)


def test_a_try_that_was_not_worth_it_is_not_soon_repeated() -> None:
    line = Line()
    assert line.begin(A)
    assert line.passes(TRY.first + 1, waits=B, a=32_000)
    assert not line.passes(TRY.wait(2) - 1, waits=C, a=16_000, b=16_000)
    assert line.passes(2 + MEASURE_SECONDS, waits=C, a=16_000, b=16_000)


def test_a_stream_that_hangs_keeps_nobody_waiting() -> None:
    line = Line()
    assert line.begin(A)
    line.passes(8, a=32_000)
    assert line.passes(2 * MEASURE_SECONDS + 0.5, waits=B), "nothing is acknowledged any more"


def test_a_stream_that_cannot_be_measured_writes_at_will() -> None:
    line = Line()
    line.unknown.add(B)
    assert line.begin(A)
    assert line.begin(B)
    line.end(B)
    assert not line.begin(C)


def test_a_stream_that_does_not_ask_again_keeps_nobody_waiting() -> None:
    """It waits in line, and is writing messages to a peer that does not read."""
    line = Line()
    assert line.begin(A)
    assert not line.begin(B)
    assert not line.begin(C)
    line.end(A)
    assert not line.begin(C)
    assert line.passes(1.0, waits=C)


def test_a_peer_that_is_gone_does_not_hold_up_the_line() -> None:
    line = Line()
    assert line.begin(A)
    assert not line.begin(B)
    assert not line.begin(C)
    line.turns.leave(B)
    line.end(A)
    assert line.woken == [C]
    assert line.begin(C)


def test_another_connection_of_a_peer_counts_from_its_own_beginning() -> None:
    line = Line()
    line.counts[A] = 50_000_000
    assert line.begin(A)
    line.counts[A] = 0
    assert not line.passes(TRY.first - 1, waits=B, a=32_000)
    assert not line.turns.is_fast
