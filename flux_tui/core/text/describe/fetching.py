"""Describes the requester's events: wants, answers, leases, and received chunks."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.quantities import counted, human_seconds, human_size


def words(event: ev.FetchingEvent, w: Wording) -> str:  # noqa: C901 - a flat match: one line a case
    """Return one event of the requester in words."""
    match event:
        case ev.Requested():
            return _requested(event, w)
        case ev.PushedWant():
            return _pushed(event, w)
        case ev.WentDormant():
            return f"{w.what(event.cids)}: nobody sends it soon, its place in the network is free"
        case ev.RetrySet():
            causes = RETRY_CAUSES if event.about == "want" else HOLD_CAUSES
            return f"{causes[event.cause]}: {w.what(event.cids)}"
        case ev.Granted():
            return _granted(event, w)
        case ev.LeaseExtended():
            return f"is late, but nobody else has them: {w.blocks(event.cids, event.roots)}"
        case ev.LeaseLapsed():
            return f"{LAPSES[event.cause]}: {w.blocks(event.cids, event.roots)}"
        case ev.Cancelled():
            return w.what(event.cids)
        case ev.PushedHave():
            return _announced(event, w)
        case ev.DelayedYes():
            part = "" if event.have is None else f"{counted(event.have, 'chunk')} of "
            return f"has {part}{w.what(event.cids)}, can send in {human_seconds(event.eta)}"
        case ev.StatusNo():
            return _refused(event, w)
        case ev.ChunkReceived():
            return f"{w.what((event.cid,))} {human_size(event.size)}"
        case ev.ChunkWasted():
            of = f" of {w.what(event.roots)}" if event.roots else ""
            return f"{event.cause}: {human_size(event.size)}, {w.what((event.cid,))}{of}"
        case ev.HaveReceived():
            return f"has {event.name or w.names.name(event.root)}"
        case ev.RecordsProvided():
            left = f"; {event.left:,} to go, {human_seconds(event.seconds)}" if event.left else ""
            return f"told the DHT of {counted(event.told, 'root')}{left}"
        case ev.ErrorReceived():
            return w.names.text(event.text) if w.brief else f"says: {w.names.text(event.text)}"
        case _:
            assert_never(event)


def _announced(event: ev.PushedHave, w: Wording) -> str:
    name = event.name or w.names.name(event.root)
    many = f" and {counted(len(event.more), 'other')}" if event.more else ""
    left = f"; {event.left:,} to go, {human_seconds(event.seconds)}" if event.left else ""
    return f"told the swarm: {name}{many} {'are' if many else 'is'} here{left}"


def _requested(event: ev.Requested, w: Wording) -> str:
    where = f" → {w.names.text(event.path)}" if event.path else ""
    why = ", to be kept for others" if event.held else ""
    return f"{event.name or w.what((event.cid,))}{where}{why}"


def _pushed(event: ev.PushedWant, w: Wording) -> str:
    to = w.peers("to", event.peers, "to nobody yet", many=f"{len(event.peers):,} peers")
    if event.routed:
        to = f"{to}, by DHT" if event.peers else "by DHT"
    swarm = " and the swarm" if event.gossip else ""
    again = ", besides" if event.besides else ", again" if event.retry else ""
    return f"{w.what(event.cids)} {to}{swarm}{again}"


def _granted(event: ev.Granted, w: Wording) -> str:
    of = f" of {w.names.name(event.root)}" if event.root else ""
    hedge = ", overdue elsewhere" if event.hedge else ", again" if event.again else ""
    number = f"{len(event.cids):,}" if w.brief and of else counted(len(event.cids), "chunk")
    return f"may send {number}{of}{hedge}"


def _refused(event: ev.StatusNo, w: Wording) -> str:
    text = f" ({w.names.text(event.text)})" if event.text else ""
    match event.about:
        case "hold":
            about = f"will not keep {w.what(event.cids)}"
        case "custom":
            about, text = f"does not take {counted(len(event.cids), 'message')} of a program's own kind", ""
        case "want":
            of = w.blocks(event.cids, event.roots) if event.roots else w.what(event.cids)
            about = f"{'has' if event.has_it else 'has not'} {of}"
        case _:
            assert_never(event.about)
    return f"{w.no(event.reason, event.retry_after, about)}{text}"


RETRY_CAUSES: dict[ev.RetryCause, str] = {
    "retry_after": "pushed again when the NO said",
    "eta": "pushed again when the yes is due",
    "lapsed": "pushed again, as nobody is left to send it",
    "silence": "pushed again, as nobody answered",
    "asked": "pushed again, as asked for",
    "unwritten": "tried again, as it could not be written here",
}
HOLD_CAUSES: dict[ev.RetryCause, str] = {
    "retry_after": "offered again when the NO said",
    "eta": "offered again when there is room",
    "lapsed": "offered again, as a keeper is lacking",
    "silence": "offered again, as nobody answered",
    "asked": "offered again, as asked for",
}
LAPSES: dict[ev.LapseCause, str] = {
    "deadline": "did not come in time",
    "disconnected": "it is gone",
    "restarted": "this node was started again meanwhile",
    "refused": "it said NO",
    "corrupt": "the bytes were wrong",
    "slow": "its queue is full",
    "unwritten": "cannot be written here now",
    "moved": "another holder sends them sooner",
}
