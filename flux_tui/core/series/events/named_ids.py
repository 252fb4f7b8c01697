"""The peers and CIDs that an event names: what a search by peer or object looks for."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events.base import EventBase, Unknown


def peers_of(event: EventBase) -> tuple[PeerId, ...]:
    """Return the peers that an event names."""
    if isinstance(event, Unknown):
        return ()
    peer = getattr(event, "peer", None)
    return (*((peer,) if peer else ()), *getattr(event, "peers", ()))


def cids_of(event: EventBase) -> tuple[Cid, ...]:
    """Return the CIDs of the chunks and objects that an event names."""
    if isinstance(event, Unknown):
        return ()
    found: list[Cid] = [value for name in ("cid", "root") if (value := getattr(event, name, None))]
    for name in ("cids", "roots"):
        found.extend(getattr(event, name, ()))
    return tuple(dict.fromkeys(found))
