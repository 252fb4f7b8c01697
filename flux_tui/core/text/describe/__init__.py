"""Describes entries in words that a person understands without knowing the protocol. Pure.

An entry is shown in columns: number, time, kind, peer (if there is one), and a few words. The command line and the
dashboard use the same words. Each family of events (core/series/events/) has a module of the same name here.
"""

from datetime import datetime
from typing import assert_never

from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event, kind_of
from flux_tui.core.text.describe import content, fetching, node, replication, serving
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.names import NO_NAMES, WHO_WIDTH, Names
from flux_tui.core.text.plain import Plain, plain


def who(event: Event) -> PeerId | None:
    """Return the peer that an event is about; None if it is about none."""
    return getattr(event, "peer", None)


def entry_line(entry: Entry, names: Names = NO_NAMES) -> Plain:
    """Return an entry as one line of text: number, local time, kind, peer, description."""
    clock = datetime.fromtimestamp(entry.at).strftime("%H:%M:%S.%f")[:-3]
    peer = who(entry.event)
    named = f"{names.peer(peer):<{WHO_WIDTH}}  " if peer else ""
    kind = plain(kind_of(entry.event))
    return plain(f"{entry.seq:>8}  {clock}  {kind:<17}  {named}{describe(entry.event, names)}")


def describe(event: Event, names: Names = NO_NAMES, *, brief: bool = False) -> Plain:
    """Describe an event in one line. The peer of the event (see `who`) is not named, only what that peer did.

    The words about a NO begin with its reason and the time to ask again, so that a narrow line does not cut them off.
    `brief`: use fewer words for the most frequent events, for narrow lines.
    """
    return plain(_words(event, Wording(names, brief)))


def _words(event: Event, wording: Wording) -> str:
    match event:
        case ev.FetchingBase():
            return fetching.words(event, wording)
        case ev.ServingBase():
            return serving.words(event, wording)
        case ev.ContentBase():
            return content.words(event, wording)
        case ev.NodeBase():
            return node.words(event, wording)
        case ev.ReplicationBase():
            return replication.words(event, wording)
        case ev.Unknown():
            return "an entry of a newer version, which this one cannot read"
        case _:
            assert_never(event)
