"""The fold of the responder's events: what others want, and what was sent to them."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import replication
from flux_tui.core.series.fold.peers import seen
from flux_tui.core.series.state import State


def fold(state: State, event: ev.ServingEvent) -> None:
    """Fold one event of the responder."""
    peer = seen(state, event.peer)
    match event:
        case ev.ChunksSent():
            peer.bytes_out += event.size
            peer.chunks_out += len(event.cids)
            state.sent_bytes += event.size
            state.recent[-1].bytes_out += event.size
        case ev.IntentReceived():
            for cid in event.cids if state.kept else ():
                replication.wanted(state, cid)
        case ev.AnsweredNo():
            peer.said[event.reason] = peer.said.get(event.reason, 0) + 1
        case ev.AnsweredLater() | ev.GrantReceived() | ev.CancelReceived():
            pass
        case _:
            assert_never(event)
