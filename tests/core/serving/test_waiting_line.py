"""The waiting line: a peer that returns when it was told to is served.

No peer keeps a place that others wait for, and the uplink is never idle while peers wait.
"""

from collections import Counter, deque
from itertools import islice

import pytest

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.serving.waiting_line import (
    GAP_SECONDS,
    LATE_SECONDS,
    MAX_IN_LINE,
    TURN_SECONDS,
    WaitingLine,
)
from flux_tui.core.wire import messages as msg
from tests.support.script import START, Script, up, wanted

ADA, BOB, CYD = PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]
MIB = 1 << 20
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(400)]


# ── by itself ───────────────────────────────────────────────────────────────────────────────────


def test_a_peer_is_due_at_about_its_retry_after() -> None:
    line = WaitingLine()
    assert not line.is_due(ADA, 0.0)
    line.expect(ADA, 3.0, 10.0)
    assert [line.is_due(ADA, now) for now in (10.0, 12.9, 12.96, 13.0, 14.9, 15.1)] == [
        False, False, True, True, True, False,
    ]  # fmt: skip
    line.served(ADA, 13.0)
    assert not line.is_due(ADA, 13.0), "once for each time that it was told"


def test_a_turn_ends_only_while_another_peer_waits() -> None:
    line = WaitingLine()
    now = 0.0
    while now <= 2 * TURN_SECONDS:
        line.served(ADA, now)
        assert line.turn_over(ADA, now) is None
        now += 1.0
    line.expect(BOB, 4.0, now)
    line.expect(CYD, 1.0, now)
    over = line.turn_over(ADA, now)
    assert over is not None
    assert over > 4.0, "it comes back after the others"
    assert line.turn_over(BOB, now) is None, "it has not had one"
    assert line.turn_over(ADA, now + GAP_SECONDS + 0.1) is None, (
        "it was not served meanwhile: the next is a new one"
    )
    line.served(ADA, now)
    assert line.turn_over(ADA, now + 1.0) is not None
    line.forget(BOB)
    line.forget(CYD)
    assert line.turn_over(ADA, now + 1.0) is None


def test_a_peer_that_does_not_return_loses_its_turn() -> None:
    line = WaitingLine()
    for second in range(8):
        line.served(ADA, float(second))
    line.expect(BOB, 0.5, 7.0)
    assert line.turn_over(ADA, 7.0) is not None
    line.served(ADA, 9.0)
    assert line.turn_over(ADA, 7.5 + LATE_SECONDS + 0.1) is None


def test_thousands_of_strangers_make_a_bounded_waiting_line() -> None:
    line = WaitingLine()
    for number in range(5 * MAX_IN_LINE):
        line.expect(PeerId(f"12D3KooW{number:044}"), 1.0, 0.0)
        line.served(PeerId(f"12D3KooX{number:044}"), 0.0)
    assert len(line._due) <= MAX_IN_LINE
    assert len(line._turns) <= MAX_IN_LINE


# ── in a node ───────────────────────────────────────────────────────────────────────────────────


def compete(
    machine: Machine, seconds: int, chunk_seconds: float, *, wanting: bool
) -> tuple[Counter[PeerId], Counter[PeerId]]:
    """Three peers want all chunks, as nodes do.

    Each has two chunks under grant, asks for the next when they came, and returns at the `retry_after` of a
    NO. With `wanting`, each first needs a yes to its want. Ada always asks first. Returns the chunks of each
    peer, and its NOs.
    """
    offered = dict.fromkeys(PEERS, not wanting)
    had, heard = Counter[PeerId](), Counter[PeerId]()
    lacking = {peer: deque(CHUNKS) for peer in PEERS}
    ask_at = dict.fromkeys(PEERS, START)
    leaving: deque[tuple[float, PeerId, Cid]] = deque()
    served = Counter[PeerId]()
    free_at = now = START

    def give(given: inp.Input) -> None:
        nonlocal free_at
        for effect in machine.handle(given, now)[1]:
            if isinstance(effect, fx.Serve):
                after, served[effect.peer] = served[effect.peer], effect.through
                for chunk in machine.next_chunks(
                    effect.peer, after=after, through=effect.through, max_bytes=1 << 40, max_chunks=1 << 20
                ):
                    free_at = max(free_at, now) + chunk_seconds
                    leaving.append((free_at, effect.peer, chunk.cid))
            elif isinstance(effect, fx.Push) and isinstance(effect.message, msg.StatusNo):
                heard[effect.peer] += 1
                offered[effect.peer] = not wanting
                assert effect.message.retry_after is not None
                ask_at[effect.peer] = now + 1.05 * effect.message.retry_after
            elif isinstance(effect, fx.Push) and isinstance(effect.message, msg.StatusYesButLater):
                offered[effect.peer] = True

    for peer in PEERS:
        give(up(peer))
    for step in range(20 * seconds):
        now = START + step / 20
        give(inp.Tick())
        while leaving and leaving[0][0] <= now:
            _, peer, cid = leaving.popleft()
            had[peer] += 1
            lacking[peer].remove(cid)
            give(inp.ChunksWritten(peer, (cid,), MIB))
        for peer in PEERS:
            if now < ask_at[peer] or peer in machine.responder.uploads:
                continue
            if not offered[peer]:
                cids = islice(lacking[peer], 20)
                nonce = b"%8d" % step
                give(inp.IntentCame(wanted(peer, *cids, nonce=nonce, expires=now + 60), "direct"))
            if offered[peer]:
                give(inp.MessageCame(peer, msg.Grant(cids=tuple(islice(lacking[peer], 2)), ttl=30)))
    return had, heard


@pytest.mark.parametrize("wanting", [False, True])
@pytest.mark.parametrize(
    ("policy", "rate"),
    [({"upload_limit": MIB}, 1.0), ({"max_uploads": 1}, 2.0), ({"max_uploads": 1, "upload_limit": MIB}, 1.0)],
)
def test_all_peers_that_return_are_served_equally(policy: dict[str, int], rate: float, wanting: bool) -> None:
    """The peer that was always a moment faster used to get everything."""
    script = Script(held=dict.fromkeys(CHUNKS, MIB), **policy)
    seconds = 90
    had, heard = compete(script.machine, seconds, 1 / rate, wanting=wanting)
    assert sum(had.values()) > 0.75 * rate * seconds, "and the node is as busy as it may be"
    assert min(had[peer] for peer in PEERS) > 0.2 * sum(had.values()), had
    assert all(heard[peer] for peer in PEERS), heard
