"""The tables of wants in a state: the pending wants, and the objects that were wanted.

A pending want is in the network after a push. It is dormant if it then gave up its place to another want. It is
queued if it is neither. The fields `pushed` and `dormant` of a state count the wants that are in the network, and
the dormant ones. Only this module changes the two flags of a want, and these counts with them.
"""

from flux_tui.core.ids import Cid
from flux_tui.core.series.state import ObjectState, Pending, State


def wanted_object(state: State, root: Cid) -> ObjectState:
    """Return the record of an object. Makes one, marked as wanted, if there is none."""
    found = state.objects.get(root)
    if found is None:
        found = state.objects[root] = ObjectState(root=root, origin="wanted", since=state.at)
    return found


def enter_network(state: State, pending: Pending) -> None:
    """Mark a want as in the network, because it was pushed."""
    if not pending.in_network:
        _leave(state, pending)
        pending.in_network = True
        state.pushed += 1


def go_dormant(state: State, pending: Pending) -> None:
    """Mark a want as dormant: it does not count as in the network until it is pushed again."""
    _leave(state, pending)
    pending.dormant = True
    state.dormant += 1


def start_again(state: State, pending: Pending) -> None:
    """Reset a want, because the node was restarted or the object is wanted once more.

    After that, no peer has answered the want, and it waits to be pushed.
    """
    _leave(state, pending)
    pending.next_push_at = None
    pending.cause, pending.cause_peer, pending.cause_reason = "silence", None, None
    pending.yes.clear()
    pending.noes.clear()


def drop(state: State, cid: Cid) -> None:
    """Remove the pending want for this CID, if there is one."""
    pending = state.pending.pop(cid, None)
    if pending is not None:
        _leave(state, pending)


def _leave(state: State, pending: Pending) -> None:
    """Clear both flags of a want (in the network, dormant), and update the counts."""
    state.pushed -= pending.in_network
    state.dormant -= pending.dormant
    pending.in_network = pending.dormant = False
