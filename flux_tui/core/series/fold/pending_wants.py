"""The tables of wants in a state: what is pending, and the objects that were wanted.

`pushed` and `dormant` of a state are the numbers of its pending wants with these marks. Only this module changes
the marks, and the numbers with them.
"""

from flux_tui.core.ids import Cid
from flux_tui.core.series.state import ObjectState, Pending, State


def wanted_object(state: State, root: Cid) -> ObjectState:
    """Return the state of an object. One that is not known yet is known from now on, as wanted."""
    found = state.objects.get(root)
    if found is None:
        found = state.objects[root] = ObjectState(root=root, origin="wanted", since=state.at)
    return found


def enter_network(state: State, pending: Pending) -> None:
    """A want takes a place in the network."""
    if not pending.in_network:
        _leave(state, pending)
        pending.in_network = True
        state.pushed += 1


def go_dormant(state: State, pending: Pending) -> None:
    """A want gives up its place until its next push is due."""
    _leave(state, pending)
    pending.dormant = True
    state.dormant += 1


def start_again(state: State, pending: Pending) -> None:
    """Start a want again: nobody has answered, and it waits for a place."""
    _leave(state, pending)
    pending.next_push_at = None
    pending.cause, pending.cause_peer, pending.cause_reason = "silence", None, None
    pending.yes.clear()
    pending.noes.clear()


def drop(state: State, cid: Cid) -> None:
    """End a want, if there is one: nothing is pending for this CID any more."""
    pending = state.pending.pop(cid, None)
    if pending is not None:
        _leave(state, pending)


def _leave(state: State, pending: Pending) -> None:
    """Count a want as neither in the network nor dormant."""
    state.pushed -= pending.in_network
    state.dormant -= pending.dormant
    pending.in_network = pending.dormant = False
