"""Turns states and entries into plain data for JSON. Pure.

The JSON fields are a contract: fields are added, never renamed. Times are seconds since 1970, sizes are
bytes.
"""

from typing import Any

import msgspec

from flux_tui.core.series import events as ev
from flux_tui.core.series.events import WASTES, Entry, kind_of
from flux_tui.core.series.next_try import Tries
from flux_tui.core.series.state import Hold, KeptReplica, No, ObjectState, PeerState, Pending, State


def state_report(state: State) -> dict[str, Any]:
    """Return a state as plain data for JSON."""
    tries = Tries(state, state.at)
    return {
        "seq": state.seq,
        "at": state.at,
        "peer_id": state.peer_id,
        "addrs": list(state.addrs),
        "running": state.running,
        "tried": [{"addr": one.addr, "why": one.why} for one in state.tried],
        "version": state.version,
        "objects": [_object(found, state) for found in state.objects.values()],
        "pending": [_pending(pending, state, tries) for pending in state.pending.values()],
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
        "policy": json_of(state.policy),
        "holds": [_hold(hold) for hold in state.holds.values()],
        "kept": [_kept(kept) for kept in state.kept.values()],
        "kept_bytes": state.kept_bytes,
        "dropping": list(state.dropping),
        "removing": list(state.removing),
        "pushed": state.pushed,
        "in_network": state.pushed,
        "dormant": state.dormant,
        "queued": state.queued,
        "to_announce": state.to_announce,
        "announced_by": state.announced_by,
        "to_provide": state.to_provide,
        "provided_by": state.provided_by,
        "errors": state.errors,
        "last_error": state.last_error,
    }


def entry_report(entry: Entry) -> dict[str, Any]:
    """Return an entry as plain data for JSON: `seq`, `at`, `event`, and the event's own fields."""
    event = entry.event
    if isinstance(event, ev.Unknown):
        fields: dict[str, Any] = {"unknown": True}
    else:
        fields = {name: json_of(value) for name, value in msgspec.structs.asdict(event).items()}
    return {"seq": entry.seq, "at": entry.at, "event": kind_of(event), **fields}


def json_of(value: Any) -> Any:
    """Return a field's value in JSON form: structs as objects, tuples as lists, bytes in base64."""
    plain = msgspec.to_builtins(value)
    return {name: json_of(item) for name, item in plain.items()} if isinstance(plain, dict) else (
        list(plain) if isinstance(plain, tuple) else plain
    )  # fmt: skip


def _object(found: ObjectState, state: State) -> dict[str, Any]:
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
        "broken": found.broken,
        "sent_bytes": found.sent_bytes,
        "fetchers": [json_of(fetcher) for fetcher in state.fetchers.get(found.root, {}).values()],
    }


def _pending(pending: Pending, state: State, tries: Tries) -> dict[str, Any]:
    one = tries.next_of(pending)
    return {
        "cid": pending.cid,
        "root": pending.cid,
        "name": found.name if (found := state.objects.get(pending.cid)) else None,
        "since": pending.since,
        "pushes": pending.pushes,
        "in_network": pending.in_network,
        "dormant": pending.dormant,
        "last_push_at": pending.last_push_at,
        "next_push_at": pending.next_push_at,
        "cause": pending.cause,
        "next_try": None
        if one is None
        else {
            "at": one.at,
            "how": one.how,
            "cause": one.cause,
            "peer": one.peer,
            "reason": one.reason,
        },
        "holders": pending.holders,
        "trouble": pending.trouble,
        "held": pending.held,
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


def _hold(hold: Hold) -> dict[str, Any]:
    return {
        "root": hold.root,
        "name": hold.name,
        "size": hold.size or None,
        "since": hold.since,
        "replicas": hold.replicas,
        "lacking": hold.lacking,
        "whole": hold.whole,
        "keepers": [
            {"peer": replica.peer, "since": replica.since, "how": replica.how or "asked"}
            for replica in hold.keepers.values()
        ],
        "refused": [_no(no) for no in hold.refused.values()],
        "pushes": hold.pushes,
        "last_push_at": hold.last_push_at,
        "next_push_at": hold.next_push_at if hold.lacking else None,
        "cause": hold.cause,
    }


def _kept(kept: KeptReplica) -> dict[str, Any]:
    return {
        "root": kept.root,
        "name": kept.name,
        "size": kept.size,
        "charge": kept.charge,
        "since": kept.since,
        "last_wanted": kept.last_wanted,
        "origins": list(kept.origins),
        "whole": kept.whole,
        "own": kept.own,
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
        "broken": peer.broken,
        "wasted": peer.wasted,
        "faults": peer.faults,
        "took_back": peer.took_back,
        "way": peer.way if peer.connected else None,
        "speaks": peer.speaks if peer.connected else None,
        "suggested": peer.suggested or None,
    }
