"""Describes the events about the node itself, its peers, and custom messages."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.names import short_addr
from flux_tui.core.text.phrases import clock_words, policy_words, reason_first
from flux_tui.core.text.quantities import counted, human_duration, human_size
from flux_tui.core.vocabulary import Speaks, Way

WAYS: dict[Way, str] = {"direct": "", "punched": ", through both NATs", "relayed": ", through a relay"}
SPEAKS: dict[Speaks, str] = {"flux": "", "bitswap": ", by Bitswap", "http": ", a gateway"}


def words(event: ev.NodeEvent, w: Wording) -> str:  # noqa: C901 - a flat match: one line a case
    """Return one event about the node, a peer, or a custom message in words."""
    match event:
        case ev.NodeStarted():
            return f"listens at {_addresses(event.addrs)}, as {w.names.peer(event.peer_id)}"
        case ev.NodeStopped():
            return event.reason
        case ev.ClockStepped():
            way = "forward" if event.seconds > 0 else "back"
            by = human_duration(abs(event.seconds))
            return f"the clock of this machine was set {way} by {by}; timers go on"
        case ev.AddrsChanged():
            return f"can be dialled at {_addresses(event.addrs)} now"
        case ev.PolicyChanged():
            return policy_words(event.policy)
        case ev.ErrorOccurred():
            return w.names.text(reason_first(event.text, event.addr or event.path))
        case ev.PeerConnected():
            return f"at {short_addr(w.names.text(event.addr))}{WAYS[event.way]}{SPEAKS[event.speaks]}"
        case ev.PeerMoved():
            return f"goes on at {short_addr(w.names.text(event.addr))}{WAYS[event.way] or ', directly'}"
        case ev.AddrsTold(peer=teller, told=told):
            if [one.peer for one in told] == [teller]:
                return f"can be dialled at {_addresses(told[0].addrs)}"
            return f"told where {counted(len(told), 'peer')} can be dialled"
        case ev.HeardNobody(tried=tried, others=others):
            why = f": {tried[0].why}" if tried and tried[0].why else ""
            return f"tried {counted(len(tried) + others, 'address', 'addresses')}{w.names.text(why)}"
        case ev.NameSuggested():
            name = w.names.suggested(event.suggested)
            return f"calls itself {name}" if name else "suggests no name any more"
        case ev.PeerDisconnected():
            return w.names.text(event.why)
        case ev.PeerFaulted():
            return f"{event.fault}{_times(event.count)}: {w.names.text(event.text)}"
        case ev.MessagePassedOver():
            return f"{w.names.text(event.kind)}{_times(event.count)}: of a later version, passed over"
        case ev.ClockDiffers():
            return clock_words(event.seconds, event.via)
        case ev.SeriesPruned():
            way = f"moved to {w.names.text(event.archive)}" if event.archive else "dropped"
            count = counted(event.entries, "old entry", "old entries")
            return f"{count} {way}, {human_size(event.size)}; history begins at entry {event.first:,}"
        case ev.PushedCustom():
            return f"{event.kind}, {human_size(event.size)}" + ("" if event.peer else ", to all")
        case ev.CustomReceived():
            way = "" if event.via == "direct" else f", by {event.via}"
            unheard = "" if event.payload or not event.size else "; nobody here listens for it"
            return f"{event.kind}, {human_size(event.size)}{way}{unheard}"
        case _:
            assert_never(event)


def _addresses(addrs: tuple[str, ...]) -> str:
    return counted(len(addrs), "address", "addresses")


def _times(count: int) -> str:
    return f" ({count:,} times)" if count > 1 else ""
