"""Describes the events about replicas."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.quantities import counted, human_size


def words(event: ev.ReplicationEvent, w: Wording) -> str:  # noqa: C901 - a flat match: one line a case
    """Return one event about a replica in words."""
    match event:
        case ev.HoldRequested():
            named = event.name or w.names.name(event.root)
            return f"{named}: {counted(event.replicas, 'replica')} to be kept by others"
        case ev.PushedHold():
            return _pushed(event, w)
        case ev.CanHold():
            named = w.names.name(event.root)
            return f"has {named} and can keep it" if event.whole else f"has room to keep {named}"
        case ev.PushedKeep():
            return f"is to keep {w.names.name(event.root)}"
        case ev.ReplicaHeld():
            why = f"{event.reason}: " if event.reason else ""
            return f"{why}{HELD[event.how]} {w.names.name(event.root)}"
        case ev.ReplicaLost():
            return f"{LOSSES[event.cause]}: does not count as a keeper of {w.names.name(event.root)} any more"
        case ev.Released():
            return f"{w.what(event.cids)} need not be kept by others any more"
        case ev.OfferedHold():
            return _offered(event, w)
        case ev.KeepReceived():
            return f"has {event.name or w.names.name(event.root)} kept here, {human_size(event.size)}"
        case ev.ReplicaWanted():
            return f"takes from {w.names.name(event.root)}, which is kept here"
        case ev.ReleaseReceived():
            return f"no longer needs {event.name or w.names.name(event.root)} kept here"
        case ev.ReplicaDropped():
            named = event.name or w.names.name(event.root)
            return f"{DROPS[event.cause]}: {named} {human_size(event.size)} is no longer kept here"
        case ev.ReplicaAdopted():
            named = w.names.name(event.root)
            return f"{named} is kept for others, and the user's own: it takes none of the quota"
        case ev.ReplicaEvicted():
            named = event.name or w.names.name(event.root)
            return f"{named}: the copy that was kept for others is gone, {human_size(event.size)} less"
        case _:
            assert_never(event)


def _pushed(event: ev.PushedHold, w: Wording) -> str:
    to = w.peers("asked", event.peers, "asked nobody yet", many=counted(len(event.peers), "peer"))
    swarm = " and the swarm" if event.gossip else ""
    return f"{to}{swarm} to keep {w.names.name(event.root)}: {counted(event.lacking, 'replica')} lacking"


def _offered(event: ev.OfferedHold, w: Wording) -> str:
    how = "" if event.via == "direct" else f", by {event.via}"
    size = f", {human_size(event.size)}" if event.size else ""
    return f"asks to keep {event.name or w.names.name(event.root)}{size}{how}: heard yes"


HELD: dict[ev.HeldHow, str] = {
    "begun": "has begun to keep",
    "whole": "keeps all of",
    "gone": "no longer keeps",
}
LOSSES: dict[ev.LossCause, str] = {
    "left": "it is gone and did not come back",
    "silent": "it never said that it had begun",
    "slow": "its queue is full",
    "surplus": "fewer are needed",
}
DROPS: dict[ev.DropCause, str] = {
    "released": "nobody needs it any more",
    "evicted": "makes room for another",
    "quota": "the quota is smaller now",
    "low_space": "it is larger than there is room for",
    "too_large": "it is larger than objects may be",
    "denied": "the peer that it was kept for is denied",
    "cancelled": "released here",
    "failed": "it could not be fetched",
    "lost": "its file was changed or removed",
}
