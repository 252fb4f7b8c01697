"""Explains why a want is not complete: what each peer has, answered and sent, and this node's next step. Pure.

    explained = why(state, cid, now)

The explanation is read from the state by the same rules as the requester uses (next_try.py, peer_backoff.py). So it
says exactly what the node will do. The panels, `flux-tui why` and `FluxNode.why` all use it.
"""

from collections import Counter
from typing import Any, Literal, NamedTuple, TypeAlias

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.next_try import DUE_SECONDS, Tries, Try, stopped
from flux_tui.core.series.state import Answer, Extent, ObjectState, PeerState, Pending, Said, State

Standing: TypeAlias = Literal[
    "sends",
    "late",
    "ready",
    "unwritten",
    "waits",
    "silent",
    "lacks",
    "has_none",
    "denies",
    "gone",
    "unasked",
    "no_yes",
]
"""How a peer stands to a want:

- sends: chunks of it are on their way, granted to this peer.
- late: its lease lapsed, and it is left alone for a moment.
- ready: it said that it has it, and may be granted chunks now.
- unwritten: it said that it has it, and is granted nothing, because the object cannot be written here now.
- waits: it has it, and may be asked again at a known time.
- silent: the want was pushed to it, and it has not answered.
- lacks: it said that it has it, and then did not have chunks that it was granted.
- has_none: it said that it does not have it.
- denies: it has it and gives this node nothing.
- gone: it is not connected.
- unasked: it is connected, and the want was not pushed to it yet.
- no_yes: it is connected, and never said that it has this chunk. For a chunk that is wanted by itself, the state keeps
  no more of its answers.
"""
ORDER: tuple[Standing, ...] = (
    "sends", "ready", "unwritten", "waits", "late", "lacks", "silent", "unasked", "no_yes", "gone", "denies",
    "has_none",
)  # fmt: skip
"""The order of the lines: first the peers from which chunks can be expected soonest."""


class PeerLine(NamedTuple):
    """One line of the explanation: how much of the object one peer has, its last answer, and its chunks that came."""

    peer: PeerId
    standing: Standing
    has: Extent | None
    """How much of the object the peer has, as far as it said; None: it never said."""
    blocks: int | None
    """How many blocks the peer said it has, if it is still fetching the object itself."""
    lacks: int
    """Chunks that the peer was granted and then did not have."""
    said: Said | None
    said_at: float | None
    reason: Reason | None
    """The reason of the peer's last NO; None: it said yes since, or never NO."""
    until: float | None
    """When the peer may be asked again; None: now, or no time is known."""
    text: str
    """The last error that the peer reported, in the peer's words."""
    asked_at: float | None
    granted: int
    """Chunks that the peer was granted so far."""
    came: int
    """Chunks that came from the peer."""
    bytes_in: int
    came_at: float | None
    on_way: int
    """Chunks that are granted to the peer now and have not come."""
    deadline: float | None
    """When the first of these leases lapses."""
    seen_at: float
    """When any message last came from the peer."""
    unreached: str = ""
    """Why the peer could not be dialled since it disconnected, in words. Empty: no dial failed."""


class Why(NamedTuple):
    """The explanation why a want is not complete: one line for each peer, and this node's next step."""

    cid: Cid
    pending: Pending
    found: ObjectState | None
    """The wanted object; None: a chunk was wanted by itself."""
    lines: list[PeerLine]
    """One line for each peer that has the object or was asked for it, sorted by ORDER."""
    next: Try | None
    """The next step that this node plans for the want; None: this node only waits for messages from peers."""
    on_way: int
    """Chunks that are granted and have not come."""
    quiet_since: float
    """When the last chunk of the object came; if none did, since when it is wanted."""

    @property
    def connected(self) -> bool:
        """Whether any peer is connected."""
        return any(line.standing != "gone" for line in self.lines)

    def as_json(self) -> dict[str, Any]:
        """Return the explanation as plain data for JSON. Times are seconds since 1970, sizes are bytes."""
        found = self.found
        return {
            "cid": self.cid,
            "name": found.name if found is not None else None,
            "chunks_have": found.chunks_have if found is not None else None,
            "chunks_total": found.chunks_total if found is not None else None,
            "quiet_since": self.quiet_since,
            "on_way": self.on_way,
            "queued": self.pending.queued,
            "trouble": self.pending.trouble,
            "peers": [line._asdict() for line in self.lines],
            "next": self.next._asdict() if self.next is not None else None,
        }


class NotPendingError(FluxError, LookupError):
    """Raised if the CID is not a pending want, so that there is nothing to explain."""


def why(state: State, cid: Cid, now: float) -> Why:
    """Explain why a want is not complete at the time `now` (seconds since 1970). Raises NotPendingError."""
    pending = state.pending.get(cid)
    if pending is None:
        raise NotPendingError(f"{cid} is not pending")
    found = state.objects.get(cid)
    on_way: Counter[PeerId] = Counter()
    deadlines: dict[PeerId, float] = {}
    for chunk, lease in state.leases.items():
        if cid in (chunk, lease.root):
            on_way[lease.peer] += 1
            deadlines[lease.peer] = min(lease.deadline, deadlines.get(lease.peer, lease.deadline))
    peers = dict.fromkeys((*pending.answers, *pending.yes, *pending.noes, *on_way))
    if pending.last_no is not None:
        peers.setdefault(pending.last_no.peer)
    peers.update(dict.fromkeys(peer.peer for peer in state.peers.values() if peer.connected))
    lines = [
        _line(state, pending, peer, now, on_way[peer], deadlines.get(peer)) for peer in peers if peer != state.peer_id
    ]  # fmt: skip
    lines.sort(key=lambda line: (ORDER.index(line.standing), line.until or line.deadline or 0.0))
    came = [answer.came_at for answer in pending.answers.values() if answer.came_at is not None]
    return Why(
        cid=cid,
        pending=pending,
        found=found,
        lines=lines,
        next=Tries(state, now).next_of(pending),
        on_way=on_way.total(),
        quiet_since=max([pending.since, *came]),
    )


def _line(
    state: State, pending: Pending, peer: PeerId, now: float, on_way: int, deadline: float | None
) -> PeerLine:
    known = state.peers.get(peer) or PeerState(peer=peer)
    answer = pending.answers.get(peer) or _short_answer(pending, peer)
    until = known.until if known.until is not None and known.until > now - DUE_SECONDS else None
    return PeerLine(
        peer=peer,
        standing=_standing(
            pending,
            known,
            answer,
            on_way,
            until,
            stopped=stopped(pending, now),
            loose=pending.cid not in state.objects,
        ),
        has=answer.has,
        blocks=answer.blocks,
        lacks=answer.lacks,
        said=answer.said,
        said_at=answer.said_at if answer.said is not None else None,
        reason=_reason(known, answer, until),
        until=until,
        text=answer.text,
        asked_at=answer.asked_at,
        granted=answer.granted,
        came=answer.came,
        bytes_in=answer.bytes_in,
        came_at=answer.came_at,
        on_way=on_way,
        deadline=deadline,
        seen_at=known.seen_at,
        unreached=known.unreached,
    )


def _short_answer(pending: Pending, peer: PeerId) -> Answer:
    """Return what is known of a peer's answer, if the want has no full record of it (`Pending.answers`).

    That is so for a chunk that was wanted by itself: of its answers, the want has only the last NO in full.
    """
    no = pending.last_no
    if no is not None and no.peer == peer:
        has: Extent = "all" if no.has_it else "none"
        return Answer(
            peer=peer, has=has, said="no", said_at=no.at, reason=no.reason, retry_after=no.retry_after
        )
    if peer in pending.yes:
        return Answer(peer=peer, has="all", said="yes")
    return Answer(peer=peer, has="all" if peer in pending.noes else None)


def _reason(known: PeerState, answer: Answer, until: float | None) -> Reason | None:
    """Return the reason for which a peer sends nothing now; None: it gave no reason.

    While the peer may not be asked at all (`until` is a time), this is the reason of its last NO about anything.
    Otherwise it is the reason of its last NO about this object.
    """
    if until is not None and known.reason is not None:
        return known.reason
    return answer.reason


def _standing(
    pending: Pending,
    known: PeerState,
    answer: Answer,
    on_way: int,
    until: float | None,
    *,
    stopped: bool,
    loose: bool,
) -> Standing:
    if on_way:
        return "sends"
    if not known.connected:
        return "gone"
    if known.denies and answer.has != "none":
        return "denies"
    has = known.peer in pending.yes or known.peer in pending.noes or answer.has not in (None, "none")
    if has:
        if until is not None:
            return "late" if known.reason is None else "waits"
        if answer.lacks:
            return "lacks"
        return "unwritten" if stopped else "ready"
    if answer.has == "none":
        return "has_none"
    if answer.asked_at is not None:
        return "silent"
    return "no_yes" if loose and pending.pushes else "unasked"
