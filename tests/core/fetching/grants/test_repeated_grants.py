"""A late grant is pushed again when its holder answers a want: it may have been lost."""

from typing import Any

from flux_tui.core.api import inputs as inp
from flux_tui.core.fetching.grants.leases import MAX_EXTENSIONS
from flux_tui.core.series import events as ev
from flux_tui.core.wire import messages as msg
from tests.support.fetching import LEAF, Fetching
from tests.support.script import HOLDER, OTHER, up


def late() -> Fetching:
    """Return a requester whose sole holder is late with all leaves, after one extension or more."""
    fetching = Fetching(2, HOLDER)
    assert set(fetching.granted.pop(HOLDER)) == set(fetching.leaves)
    events = fetching.wait(4.0)
    assert any(isinstance(event, ev.LeaseExtended) for event in events)
    assert not fetching.granted
    return fetching


def test_a_late_grant_is_pushed_again_when_its_holder_says_yes() -> None:
    fetching = late()
    before = fetching.machine.state.peers[HOLDER].granted
    deadlines = {cid: lease.deadline for cid, lease in fetching.machine.state.leases.items()}
    mark = len(fetching.series)
    fetching.offer(HOLDER)
    assert set(fetching.granted.pop(HOLDER)) == set(fetching.leaves)
    told = [entry.event for entry in fetching.series[mark:] if isinstance(entry.event, ev.Granted)]
    assert [event.again for event in told] == [True]
    state = fetching.machine.state
    assert state.peers[HOLDER].granted == before, "a chunk is counted once"
    assert {cid: lease.deadline for cid, lease in state.leases.items()} == deadlines


def test_a_grant_is_not_pushed_again_before_it_is_late() -> None:
    fetching = Fetching(2, HOLDER)
    fetching.granted.clear()
    fetching.offer(HOLDER)
    assert not fetching.granted


def test_a_holder_that_is_sending_is_not_granted_the_same_again() -> None:
    fetching = late()
    fetching.give(inp.ChunkComing(HOLDER, fetching.leaves[0], 16_000, 0.1))
    fetching.offer(HOLDER)
    assert not fetching.granted


def test_offers_without_end_bring_one_grant_for_each_extension() -> None:
    fetching = late()
    grants: list[Any] = []
    for _ in range(3 * MAX_EXTENSIONS):
        mark = len(fetching.series)
        for _ in range(5):
            fetching.offer(HOLDER)
        new = [entry.event for entry in fetching.series[mark:]]
        grants += [event for event in new if isinstance(event, ev.Granted) and event.again]
        if any(isinstance(entry.event, ev.LeaseLapsed) for entry in fetching.series):
            break
        fetching.wait(60.0)
    assert 2 < len(grants) <= MAX_EXTENSIONS


def test_an_answer_about_another_object_or_of_another_peer_says_nothing() -> None:
    fetching = late()
    fetching.give(up(OTHER))
    no = msg.StatusNo(cids=(fetching.root,), reason="busy", has_it=True, retry_after=1.0)
    fetching.give(inp.MessageCame(OTHER, no))
    assert not fetching.granted


def test_a_busy_holder_is_asked_for_the_late_chunks_by_name() -> None:
    """Its NO names the object. Whether it has the grant, only its answer to the grant says."""
    fetching = late()
    no = msg.StatusNo(cids=(fetching.root,), reason="busy", has_it=True, retry_after=5.0)
    fetching.give(inp.MessageCame(HOLDER, no))
    assert set(fetching.granted.pop(HOLDER)) == set(fetching.leaves)
    refused = msg.StatusNo(cids=tuple(fetching.leaves), reason="busy", has_it=True, retry_after=5.0)
    fetching.give(inp.MessageCame(HOLDER, refused))
    assert not fetching.machine.state.leases
    fetching.wait(7.0)
    assert set(fetching.granted[HOLDER]) <= set(fetching.leaves)


def test_a_second_copy_after_two_grants_is_late_not_unasked() -> None:
    fetching = late()
    fetching.offer(HOLDER)
    fetching.land(HOLDER, fetching.leaves[0])
    events, _ = fetching.give(inp.ChunkSkipped(HOLDER, fetching.leaves[0], LEAF))
    assert [event.cause for event in events if isinstance(event, ev.ChunkWasted)] == ["late"]
