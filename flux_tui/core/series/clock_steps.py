"""Steady time and wall time: how timers stay right when a person sets the clock.

- *Steady time*: `now` is steady time everywhere in the core. It is in seconds that only go forward. It begins at the
  wall clock's time, or at the last entry's time if the clock was set back meanwhile. Setting the clock does
  not change it.
- *Wall time*: all times that are written or shown are wall time: the time of an entry, and every point in time in
  an event or a state.

The difference between the two is the ledger's `skew`. It changes only with a `clock_stepped` entry, which says
by how much. The fold moves all times of the state by that amount (`shift`). So an entry carries its time, a
countdown is the difference of two wall times of the same clock, and the fold asks no clock.
"""

from flux_tui.core.series.state import Hold, No, Pending, State


def shift(state: State, seconds: float) -> None:
    """Move every time in a state by `seconds`, because the wall clock was set forward by so much."""
    if state.started_at is not None:
        state.started_at += seconds
    for pending in state.pending.values():
        _move_pending(pending, seconds)
    for fetcher in (one for peers in state.fetchers.values() for one in peers.values()):
        fetcher.asked_at += seconds
        fetcher.sent_at = _moved(fetcher.sent_at, seconds)
    for lease in state.leases.values():
        lease.granted_at += seconds
        lease.deadline += seconds
    for peer in state.peers.values():
        peer.seen_at += seconds
        peer.blamed_at += seconds
        peer.connected_at = _moved(peer.connected_at, seconds)
        peer.clock_seen_at = _moved(peer.clock_seen_at, seconds)
        peer.until = _moved(peer.until, seconds)
    for found in state.objects.values():
        found.since += seconds
        found.completed_at = _moved(found.completed_at, seconds)
    for hold in state.holds.values():
        _move_hold(hold, seconds)
    for kept in state.kept.values():
        kept.since += seconds
        kept.last_wanted += seconds
        for origin in kept.origins:
            kept.origins[origin] += seconds
    state.announced_by = _moved(state.announced_by, seconds)
    state.provided_by = _moved(state.provided_by, seconds)
    for second in state.recent:
        second.t += int(seconds)


def _move_pending(pending: Pending, seconds: float) -> None:
    pending.since += seconds
    pending.last_push_at = _moved(pending.last_push_at, seconds)
    pending.next_push_at = _moved(pending.next_push_at, seconds)
    _move_no(pending.last_no, seconds)
    for answer in pending.answers.values():
        answer.said_at += seconds
        answer.asked_at = _moved(answer.asked_at, seconds)
        answer.granted_at = _moved(answer.granted_at, seconds)
        answer.came_at = _moved(answer.came_at, seconds)


def _move_hold(hold: Hold, seconds: float) -> None:
    hold.since += seconds
    hold.last_push_at = _moved(hold.last_push_at, seconds)
    hold.next_push_at = _moved(hold.next_push_at, seconds)
    for replica in hold.keepers.values():
        replica.since += seconds
        replica.until = _moved(replica.until, seconds)
    for no in hold.refused.values():
        _move_no(no, seconds)


def _moved(at: float | None, seconds: float) -> float | None:
    return None if at is None else at + seconds


def _move_no(no: No | None, seconds: float) -> None:
    if no is not None:
        no.at += seconds
