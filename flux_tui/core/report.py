"""State and entries told: as JSON for programs, as lines for people. Pure.

The JSON fields are a contract: they are added to, never renamed. Times are seconds since 1970, sizes
are bytes.
"""

from datetime import datetime
from typing import Any, assert_never

import msgspec

from flux_tui.core import events as ev
from flux_tui.core.events import WASTES, Entry, Event, kind_of
from flux_tui.core.ids import Cid, short
from flux_tui.core.state import No, ObjectState, PeerState, Pending, State

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human_size(size: float) -> str:
    """`1.5 GiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {UNITS[unit]}"


def human_seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3:05`, `2:01:09`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def state_report(state: State) -> dict[str, Any]:
    """The derived state as plain data for JSON."""
    return {
        "seq": state.seq,
        "at": state.at,
        "peer_id": state.peer_id,
        "addrs": list(state.addrs),
        "running": state.running,
        "version": state.version,
        "objects": [_object(found) for found in state.objects.values()],
        "pending": [_pending(pending, state) for pending in state.pending.values()],
        "chunks": {"count": state.chunk_count, "bytes": state.chunk_bytes},
        "status": {peer: _status(found) for peer, found in state.status.items()},
        "peers": [_peer(found) for found in state.peers.values()],
        "leases": [
            {"cid": cid, "peer": lease.peer, "root": lease.root, "deadline": lease.deadline}
            for cid, lease in state.leases.items()
        ],
        "received_bytes": state.received_bytes,
        "unique_bytes": state.unique_bytes,
        "wasted_bytes": {cause: state.wasted_bytes.get(cause, 0) for cause in WASTES},
        "sent_bytes": state.sent_bytes,
        "duplicate_factor": state.duplicate_factor,
        "max_pending": state.max_pending,
        "pushed": state.pushed,
        "errors": state.errors,
        "last_error": state.last_error,
    }


def entry_report(entry: Entry) -> dict[str, Any]:
    """An entry as plain data for JSON: `seq`, `at`, `event`, and the event's own fields."""
    event = entry.event
    fields = {"unknown": True} if isinstance(event, ev.Unknown) else msgspec.structs.asdict(event)
    return {"seq": entry.seq, "at": entry.at, "event": kind_of(event), **fields}


def entry_line(entry: Entry, names: dict[Cid, str] | None = None) -> str:
    """An entry as one line: number, local time, kind, words."""
    clock = datetime.fromtimestamp(entry.at).strftime("%H:%M:%S.%f")[:-3]
    return f"{entry.seq:>8}  {clock}  {kind_of(entry.event):<16} {describe(entry.event, names or {})}"


def names_of(state: State) -> dict[Cid, str]:
    """The names under which objects are known."""
    return {root: found.name for root, found in state.objects.items() if found.name}


def describe(event: Event, names: dict[Cid, str]) -> str:
    """What happened, in words that a person understands without the protocol."""

    def what(cids: tuple[Cid, ...]) -> str:
        if not cids:
            return "nothing"
        first = names.get(cids[0]) or short(cids[0])
        return first if len(cids) == 1 else f"{first} and {len(cids) - 1} more"

    def wait(seconds: float | None) -> str:
        return "waiting will not help" if seconds is None else f"come back in {human_seconds(seconds)}"

    match event:
        case ev.ChunkReceived():
            return f"{what((event.cid,))} {human_size(event.size)} from {short(event.peer)}"
        case ev.ChunksSent():
            return f"{what(event.cids)} {human_size(event.size)} to {short(event.peer)}"
        case ev.Requested():
            where = f" → {event.path}" if event.path else ""
            return f"{event.name or what((event.cid,))}{where}"
        case ev.PushedWant():
            to = f"to {len(event.peers)} peers" if event.peers else "to nobody yet"
            to = f"to {short(event.peers[0])}" if len(event.peers) == 1 else to
            swarm = " and the swarm" if event.gossip else ""
            return f"{what(event.cids)} {to}{swarm}{' again' if event.retry else ''}"
        case ev.RetrySet():
            return f"{what(event.cids)} {_CAUSES[event.cause]}"
        case ev.Granted():
            of = f" of {names.get(event.root) or short(event.root)}" if event.root else ""
            return f"{len(event.cids)} chunks{of} to be sent by {short(event.peer)}"
        case ev.LeaseExtended():
            return f"{len(event.cids)} chunks: {short(event.peer)} is late, but nobody else has them"
        case ev.LeaseLapsed():
            return f"{len(event.cids)} chunks from {short(event.peer)}: {_LAPSES[event.cause]}"
        case ev.DelayedYes():
            return f"{short(event.peer)} has {what(event.cids)}, can send in {human_seconds(event.eta)}"
        case ev.StatusNo():
            has = "has" if event.has_it else "has not"
            text = f" ({event.text})" if event.text else ""
            return f"{short(event.peer)} {event.reason}: {has} {what(event.cids)}, {wait(event.retry_after)}{text}"
        case ev.ChunkWasted():
            return f"{what((event.cid,))} {human_size(event.size)} from {short(event.peer)}: {event.cause}"
        case ev.ObjectMapped():
            return (
                f"{names.get(event.root) or short(event.root)} is {human_size(event.size)} in {event.chunks} chunks, "
                f"{event.have} here"
            )
        case ev.ObjectAdded():
            return f"{event.name} {human_size(event.size)} in {event.chunks} chunks, root {short(event.root)}"
        case ev.ObjectCompleted():
            where = f" at {event.path}" if event.path else ""
            return f"{names.get(event.root) or short(event.root)} is whole, {human_size(event.size)}{where}"
        case ev.AddProgressed():
            return f"{event.path} {human_size(event.bytes_done)} of {human_size(event.size)}"
        case ev.Cancelled():
            return what(event.cids)
        case ev.PushedHave():
            return f"this node can be asked for {event.name or short(event.root)}"
        case ev.HaveReceived():
            return f"{short(event.peer)} can be asked for {event.name or short(event.root)}"
        case ev.ErrorReceived():
            return f"{short(event.peer)} says: {event.text}"
        case ev.ChunksLost():
            return f"{len(event.cids)} chunks {human_size(event.size)} of {event.path}"
        case ev.IntentReceived():
            how = "" if event.via == "direct" else ", by gossip"
            return f"{short(event.peer)} wants {what(event.cids)}{how}"
        case ev.AnsweredLater():
            return f"yes to {short(event.peer)} for {what(event.cids)}, in {human_seconds(event.eta)}"
        case ev.AnsweredNo():
            return f"{event.reason} to {short(event.peer)} for {what(event.cids)}, {wait(event.retry_after)}"
        case ev.GrantReceived():
            return f"{short(event.peer)} is to get {len(event.cids)} chunks, {human_size(event.size)}"
        case ev.CancelReceived():
            return f"{short(event.peer)} no longer wants {what(event.cids)}"
        case ev.PeerConnected():
            return f"{short(event.peer)} at {event.addr.rpartition('/p2p/')[0] or event.addr}"
        case ev.PeerDisconnected():
            return f"{short(event.peer)}: {event.why}"
        case ev.PeerFaulted():
            return f"{short(event.peer)} {event.fault}: {event.text}"
        case ev.NodeStarted():
            return f"{short(event.peer_id)} listens at {len(event.addrs)} addresses"
        case ev.NodeStopped():
            return event.reason
        case ev.ErrorOccurred():
            return event.text
        case ev.Unknown():
            return "an entry of a newer version, which this one cannot read"
        case _:
            assert_never(event)


_CAUSES: dict[ev.RetryCause, str] = {
    "retry_after": "is pushed again when the NO said",
    "eta": "is pushed again when the yes is due",
    "lapsed": "is pushed again: nobody is left to send it",
    "silence": "is pushed again: nobody answered",
    "asked": "is pushed again: asked for",
}
_LAPSES: dict[ev.LapseCause, str] = {
    "deadline": "did not come in time",
    "disconnected": "it is gone",
    "refused": "it said NO after all",
    "corrupt": "the bytes were wrong",
    "slow": "its queue is full",
}


def _object(found: ObjectState) -> dict[str, Any]:
    return {
        "root": found.root,
        "name": found.name,
        "size": found.size,
        "chunks_have": found.chunks_have,
        "chunks_total": found.chunks_total,
        "have_bytes": found.have_bytes,
        "progress": round(found.progress, 6),
        "path": found.path,
        "origin": found.origin,
        "complete": found.completed_at is not None,
        "completed_at": found.completed_at,
        "cancelled": found.cancelled,
    }


def _pending(pending: Pending, state: State) -> dict[str, Any]:
    return {
        "cid": pending.cid,
        "root": pending.cid,
        "name": found.name if (found := state.objects.get(pending.cid)) else None,
        "since": pending.since,
        "pushes": pending.pushes,
        "in_network": pending.in_network,
        "last_push_at": pending.last_push_at,
        "next_push_at": pending.next_push_at,
        "cause": pending.cause,
        "holders": pending.holders,
        "last_no": _no(pending.last_no) if pending.last_no else None,
    }


def _no(no: No) -> dict[str, Any]:
    return {
        "peer": no.peer,
        "reason": no.reason,
        "has_it": no.has_it,
        "retry_after": no.retry_after,
        "until": no.until,
        "at": no.at,
    }


def _status(peer: PeerState) -> dict[str, Any]:
    return {
        "has_it": peer.has_it,
        "reason": peer.reason,
        "retry_after": peer.retry_after,
        "until": peer.until,
        "counts": dict(peer.counts),
    }


def _peer(peer: PeerState) -> dict[str, Any]:
    return {
        "peer_id": peer.peer,
        "addrs": [peer.addr] if peer.addr else [],
        "connected": peer.connected,
        "bytes_in": peer.bytes_in,
        "bytes_out": peer.bytes_out,
        "chunks_in": peer.chunks_in,
        "chunks_out": peer.chunks_out,
        "granted": peer.granted,
        "lapsed": peer.lapsed,
        "wasted": peer.wasted,
        "faults": peer.faults,
    }
