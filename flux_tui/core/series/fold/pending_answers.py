"""The fold of the answers and chunks of each peer for each wanted object: `Pending.answers`.

Only fold/fetching.py calls it. A loose chunk has no such table: `yes`, `noes` and `last_no` of its want are
enough. So ten thousand loose chunks cost nothing here.
"""

from collections.abc import Iterable

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import MAX_ANSWERS, Answer, Pending, State

MAX_ASKED = 16
"""Wants in one push up to which each peer is remembered as asked. Larger pushes are of many small wants."""


def asked(state: State, event: ev.PushedWant) -> None:
    """Record that this node pushed wants to these peers directly."""
    if len(event.cids) > MAX_ASKED:
        return
    for cid in event.cids:
        if (pending := _object(state, cid)) is not None:
            for peer in event.peers[:MAX_ANSWERS]:
                _answer(pending, peer).asked_at = state.at


def promised(state: State, event: ev.DelayedYes) -> None:
    """Record that a peer said yes: it has these objects, or a number of blocks of one."""
    for cid in event.cids:
        if (pending := _object(state, cid)) is not None:
            answer = _answer_of(state, pending, event.peer)
            answer.said, answer.reason, answer.retry_after = "yes", None, None
            answer.has, answer.blocks = ("all" if event.have is None else "part"), event.have
            answer.lacks, answer.text = 0, ""


def announced(state: State, event: ev.HaveReceived) -> None:
    """Record that a peer announced an object, for which it can be asked now."""
    if (pending := _object(state, event.root)) is not None:
        answer = _answer_of(state, pending, event.peer)
        answer.said, answer.reason, answer.retry_after = "have", None, None
        answer.has, answer.blocks, answer.lacks, answer.text = "all", None, 0, ""


def refused(state: State, event: ev.StatusNo) -> None:
    """Record that a peer said NO to a want, or to chunks that were granted to it."""
    for root, chunks in _objects(state, event.peer, event.cids, event.roots).items():
        if (pending := _object(state, root)) is None:
            continue
        answer = _answer_of(state, pending, event.peer)
        answer.said, answer.reason, answer.retry_after = "no", event.reason, event.retry_after
        if chunks:
            answer.lacks += 0 if event.has_it else chunks
        elif event.has_it:
            answer.has = answer.has if answer.has in ("all", "part") else "some"
        else:
            answer.has, answer.blocks, answer.lacks = "none", None, 0


def failed(state: State, event: ev.ErrorReceived) -> None:
    """Record that a peer reported a failure on its side, about an object or chunks of it."""
    for root in _objects(state, event.peer, event.cids, event.roots):
        if (pending := _object(state, root)) is not None:
            answer = _answer_of(state, pending, event.peer)
            answer.said, answer.text = "error", event.text


def granted(state: State, event: ev.Granted) -> None:
    """Record that this node granted a peer chunks of an object."""
    if event.root is not None and (pending := _object(state, event.root)) is not None:
        answer = _answer(pending, event.peer)
        answer.granted += len(event.cids)
        answer.granted_at = state.at


def came(pending: Pending, event: ev.ChunkReceived, at: float) -> None:
    """Record that a chunk of a wanted object came from a peer, at time `at`. This is called most often."""
    answer = pending.answers.get(event.peer) or _answer(pending, event.peer)
    answer.came += 1
    answer.bytes_in += event.size
    answer.came_at = at


def _object(state: State, cid: Cid) -> Pending | None:
    """Return the want of an object; None if it is not pending, or if the CID is a loose chunk."""
    return state.pending.get(cid) if cid in state.objects else None


def _objects(state: State, peer: PeerId, cids: Iterable[Cid], roots: Iterable[Cid]) -> dict[Cid, int]:
    """Return the objects to which a peer's message refers, and how many chunks of each it names.

    The number is 0 if the message names the object's root: it is about the whole object then. A chunk belongs
    to the object for which it is leased from the peer, otherwise to the objects in `roots`. Entries of early
    versions have no `roots`.
    """
    named = tuple(roots)
    found: dict[Cid, int] = {}
    for cid in cids:
        if cid in state.objects:
            found.setdefault(cid, 0)
            continue
        lease = state.leases.get(cid)
        of = named
        if lease is not None and lease.peer == peer and lease.root is not None:
            of = (lease.root,)
        for root in of:
            found[root] = found.get(root, 0) + 1
    return found


def _answer_of(state: State, pending: Pending, peer: PeerId) -> Answer:
    """Return the record of a peer's answers about an object, for the caller to change. Makes one if there is none.

    The record is the newest in the table from now on.
    """
    answer = pending.answers.pop(peer, None) or _new_answer(pending, peer)
    pending.answers[peer] = answer
    answer.said_at = state.at
    return answer


def _answer(pending: Pending, peer: PeerId) -> Answer:
    answer = pending.answers.get(peer)
    if answer is None:
        answer = pending.answers[peer] = _new_answer(pending, peer)
    return answer


def _new_answer(pending: Pending, peer: PeerId) -> Answer:
    """Make an empty record of a peer's answers. If the table is full, remove another peer's record from it.

    Peers that never said anything are removed first.
    """
    answers = pending.answers
    if len(answers) >= MAX_ANSWERS:
        silent = (one for one, answer in answers.items() if answer.said is None and not answer.granted)
        del answers[next(silent, next(iter(answers)))]
    return Answer(peer=peer)
