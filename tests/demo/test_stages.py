"""Where the time of a download goes: each moment from the first want to the last chunk belongs to one stage."""

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.demo.facts.download_stages import Stages

ADA = PeerId("12D3KooWAda")
CIDS = tuple(raw_cid(bytes([n])) for n in range(2))


def folded(*events: tuple[float, ev.Event]) -> Stages:
    stages, state = Stages(), State()
    for seq, (at, event) in enumerate(events, 1):
        entry = Entry(seq, at, event)
        apply(state, entry)
        stages.add(entry, len(state.leases), state.pushed)
    return stages


def one(n: int, at: float) -> list[tuple[float, ev.Event]]:
    """A chunk that is asked for and waited for: 1 s between, 2 s asking, 1 s between, 4 s fetching."""
    cid = CIDS[n : n + 1]
    return [
        (at, ev.Requested(cid=cid[0])),
        (at + 1, ev.PushedWant(cids=cid, peers=(ADA,), gossip=False, retry=False, next_push_at=at + 90)),
        (at + 3, ev.DelayedYes(peer=ADA, cids=cid, eta=0.0, queue_bytes=0)),
        (at + 4, ev.Granted(peer=ADA, root=None, cids=cid, deadline=at + 90)),
        (at + 8, ev.ChunkReceived(cid=cid[0], size=10, peer=ADA)),
    ]


def test_one_after_the_other() -> None:
    stages = folded(*one(0, 100.0), *one(1, 110.0))
    assert stages.seconds == {"asking": 4.0, "fetching": 8.0, "between": 6.0}
    assert sum(stages.seconds.values()) == 118.0 - 100.0, "every second of the span"
    assert stages.waits == 4


def test_all_at_once() -> None:
    wants = CIDS[:2]
    stages = folded(
        (100.0, ev.Requested(cid=CIDS[0])),
        (100.0, ev.Requested(cid=CIDS[1])),
        (101.0, ev.PushedWant(cids=wants, peers=(ADA,), gossip=False, retry=False, next_push_at=190.0)),
        (103.0, ev.DelayedYes(peer=ADA, cids=wants, eta=0.0, queue_bytes=0)),
        (103.0, ev.Granted(peer=ADA, root=None, cids=wants, deadline=190.0)),
        (104.0, ev.ChunkReceived(cid=CIDS[0], size=10, peer=ADA)),
        (105.0, ev.ChunkReceived(cid=CIDS[1], size=10, peer=ADA)),
    )
    assert stages.seconds == {"asking": 2.0, "fetching": 2.0, "between": 1.0}
    assert stages.waits == 2


def test_what_comes_after_the_last_chunk_does_not_count() -> None:
    stages = folded(*one(0, 100.0), (900.0, ev.PeerDisconnected(peer=ADA, why="closed")))
    assert sum(stages.seconds.values()) == 8.0
