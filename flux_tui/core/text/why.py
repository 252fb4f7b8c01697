"""Says in words why a want is not complete: a title, a line for each peer, and this node's next step. Pure.

`core/series/want_explanation.py` finds the facts. The command line and the dashboard use the same words.
"""

from datetime import datetime
from typing import NamedTuple, assert_never

from flux_tui.core.series.events import Reason
from flux_tui.core.series.next_try import Try
from flux_tui.core.series.want_explanation import PeerLine, Why
from flux_tui.core.text.names import Names
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size

MAX_NAMED = 3
"""Peers that a sentence names. The others are counted."""
NOT_RUNNING = "No node runs here. Next: nothing, until a node runs here again."
QUIET_SECONDS = 2.0
"""Seconds without a chunk after which the title says so."""


class PeerWords(NamedTuple):
    """The words about one peer, as columns: its name, what it has, what it says, what it did."""

    name: Plain
    has: Plain
    """How much of the object the peer has."""
    says: Plain
    """The peer's answer or state now, and until when it holds."""
    did: Plain
    """How many chunks the peer was granted, and how many came."""
    reason: Reason | None
    """The reason of the NO that makes this node wait for the peer, for its sign and colour; None: there is none."""


class WhyWords(NamedTuple):
    """The explanation why a want is not complete, in words."""

    title: Plain
    peers: list[PeerWords]
    next: list[Plain]
    """One to three sentences: what comes next, from whom, when."""


def why_words(told: Why, names: Names, now: float, *, running: bool = True) -> WhyWords:
    """Say in words why a want is not complete. `running`: whether a node runs that acts on this state.

    If none runs, the words say what each peer said last, and name no next step.
    """
    peers = [
        PeerWords(
            names.peer(line.peer),
            _has(line),
            names.text(_says(line, now) if running else _said(line)),
            _did(line),
            _held_up_by(line),
        )
        for line in told.lines
    ]
    following = _next(told, names, now) if running else [plain(NOT_RUNNING)]
    return WhyWords(_title(told, names, now), peers, following)


def why_sentence(words: WhyWords) -> Plain:
    """Say in one line why a want is not complete: how much is here, and what the first peers say."""
    lines = [f"{line.name} {line.has}, {line.says}" for line in words.peers[:MAX_NAMED]]
    if len(words.peers) > MAX_NAMED:
        lines.append(f"{len(words.peers) - MAX_NAMED} more peers")
    return plain("; ".join([words.title, *(lines or ["no peer is known"])]))


def _title(told: Why, names: Names, now: float) -> Plain:
    parts = []
    if (found := told.found) is not None:
        if found.chunks_total is not None:
            parts.append(f"{found.progress:.0%}")
            parts.append(f"{found.chunks_have:,} of {counted(found.chunks_total, 'chunk')}")
        elif found.size:
            parts.append(f"nothing of {human_size(found.size)} is here yet")
        else:
            parts.append("nothing of it is known yet")
    quiet = now - told.quiet_since
    if quiet >= QUIET_SECONDS:
        parts.append(f"nothing for {human_seconds(quiet)}")
    return plain(f"{names.name(told.cid)}  {' · '.join(parts)}".rstrip())


def _has(line: PeerLine) -> Plain:
    match line.has:
        case None:
            return plain("not known")
        case "all":
            words = "had all" if line.standing == "gone" else "has all"
        case "part":
            words = f"has {counted(line.blocks or 0, 'chunk')}"
        case "some":
            words = "has it"
        case "none":
            words = "has none"
        case _:
            assert_never(line.has)
    return plain(f"said it {words}" if line.lacks else words)


def _says(line: PeerLine, now: float) -> str:  # noqa: C901 - a flat match: one line a case
    """Return what a peer says or does now, and until when, in words."""
    match line.standing:
        case "sends":
            words = f"{counted(line.on_way, 'chunk')} on the way"
            if line.deadline is not None:
                left = line.deadline - now
                words += f", due in {human_seconds(left)}" if left > 0 else ", overdue"
        case "late":
            words = f"did not send in time, left alone {_until(line, now)}"
        case "ready":
            words = "may be granted what it has" if line.has == "part" else "may be granted chunks now"
        case "unwritten":
            words = "granted nothing while it cannot be written here"
        case "waits":
            words = f"{line.reason}, {_until(line, now)}"
        case "silent":
            words = f"asked at {_clock(line.asked_at)}, no answer yet"
        case "unasked":
            words = "connected, not asked yet"
        case "no_yes":
            words = "connected, has not said that it has it"
        case "lacks":
            words = f"did not have {counted(line.lacks, 'chunk')} that it was granted"
            if line.text:
                words = f'its copy is not whole any more: "{line.text}"'
        case "gone":
            words = f"gone since {_clock(line.seen_at)}"
            if line.unreached:
                words += f", not reached: {line.unreached}"
        case "denies":
            words = "denies this node" if line.reason in (None, "denied") else f"{line.reason}"
        case "has_none":
            words = f"said {line.reason or 'not_held'} at {_clock(line.said_at)}"
            if line.until is not None and line.until > now:
                words += f", left alone {_until(line, now)}"
        case _:
            assert_never(line.standing)
    if line.text and line.standing in ("ready", "unwritten", "has_none", "gone"):
        words += f': "{line.text}"'
    return words


def _said(line: PeerLine) -> str:
    """Return the last thing that a peer said, in words, for a node that does not run now."""
    match line.said:
        case "yes" | "have":
            return f"said yes at {_clock(line.said_at)}"
        case "no":
            return f"said {line.reason} at {_clock(line.said_at)}"
        case "error":
            return f'reported at {_clock(line.said_at)}: "{line.text}"'
        case None:
            return (
                "was not asked" if line.asked_at is None else f"asked at {_clock(line.asked_at)}, no answer"
            )
        case _:
            assert_never(line.said)


def _until(line: PeerLine, now: float) -> str:
    if line.until is None or line.until <= now:
        return "may be asked now"
    return f"until {_clock(line.until)} ({human_seconds(line.until - now)})"


def _did(line: PeerLine) -> Plain:
    if not line.granted and not line.came:
        return plain("granted nothing")
    sent = f"sent {line.came:,} ({human_size(line.bytes_in)})" if line.came else "sent none"
    return plain(f"granted {line.granted:,}, {sent}")


def _held_up_by(line: PeerLine) -> Reason | None:
    match line.standing:
        case "waits" | "denies":
            return line.reason or ("denied" if line.standing == "denies" else None)
        case "has_none" | "lacks":
            return "not_held"
        case _:
            return None


def _next(told: Why, names: Names, now: float) -> list[Plain]:
    sentences = []
    senders = [line for line in told.lines if line.on_way]
    if senders:
        who = _listed(senders, names)
        due = "is due" if told.on_way == 1 else "are due"
        sentences.append(f"Next: {counted(told.on_way, 'chunk')} {due} from {who}.")
    lead = "Then" if sentences else "Next"
    stalls = bool(senders) and told.next is not None and told.next.how == "push"
    if told.pending.trouble is not None and told.pending.cause == "unwritten":
        sentences.append(f"It cannot be written here: {told.pending.trouble}.")
    if told.pending.queued:
        sentences.append(f"{lead}: it waits for a place among the wants in the network.")
    elif not told.connected:
        sentences.append("Next: no peer is connected. The first one that connects is asked within 2 s.")
    elif stalls:
        sentences.append(f"Then: {_rest(told)}. If nothing comes in time, all peers are asked again.")
    elif told.next is not None:
        sentences.append(f"{lead}: {_try_words(told, told.next, names, now)}.")
    elif not senders:
        sentences.append(
            "Next: nothing is planned. It goes on when a peer comes that has it, or says that it has it."
        )
    gone = [line for line in told.lines if line.standing == "gone" and line.has not in (None, "none")]
    if gone:
        sentences.append(_if_back(told, gone, names))
    return [plain(sentence) for sentence in sentences]


def _rest(told: Why) -> str:
    """Say in words what follows when all chunks that are on the way have arrived."""
    found = told.found
    if found is None or (found.chunks_total is not None and not _missing(told)):
        return "it is whole"
    if found.chunks_total is None:
        return "this node knows its chunks, and grants them"
    return f"more chunks are granted as these come{_missing(told)}"


def _if_back(told: Why, gone: list[PeerLine], names: Names) -> str:
    """Say in words what this node does when one of the disconnected peers (`gone`) connects again.

    If all of them said yes, they are then granted chunks at once. Otherwise they are asked.
    """
    it = "it is" if len(gone) == 1 else "each is"
    yes = all(line.peer in told.pending.yes for line in gone)
    return f"If {_listed(gone, names)} comes back, {it} {'granted chunks at once' if yes else 'asked within 2 s'}."


def _listed(lines: list[PeerLine], names: Names) -> str:
    """List the names of peers for a sentence. Of a long list, only the first are named and the others counted."""
    called = [str(names.peer(line.peer)) for line in lines[:MAX_NAMED]]
    if len(lines) > MAX_NAMED:
        called.append(f"{len(lines) - MAX_NAMED} more")
    return " and ".join(one for one in (", ".join(called[:-1]), called[-1]) if one)


def _try_words(told: Why, one: Try, names: Names, now: float) -> str:
    left = human_seconds(one.at - now)
    when = f"in {left}" if one.at > now else "now"
    match one.how:
        case "grant" | "tell":
            assert one.peer is not None
            does = "is granted chunks" if one.how == "grant" else "is asked again"
            return f"{names.peer(one.peer)} {does} {when}, at {_clock(one.at)}{_missing(told)}"
        case "ask":
            assert one.peer is not None
            return f"{names.peer(one.peer)}, just connected, is asked {when}, at {_clock(one.at)}"
        case "push" if one.cause == "unwritten":
            return f"this node tries again to write it {when}, at {_clock(one.at)}"
        case "push":
            return f"the want is pushed to all again {when}, at {_clock(one.at)}"
        case _:
            assert_never(one.how)


def _missing(told: Why) -> str:
    found = told.found
    if found is None or found.chunks_total is None:
        return ""
    missing = found.chunks_total - found.chunks_have - told.on_way
    return f" ({counted(missing, 'chunk')} to get)" if missing > 0 else ""


def _clock(at: float | None) -> str:
    """Return a time (seconds since 1970) as local time, such as `12:01:03`; `?` for None."""
    return "?" if at is None else datetime.fromtimestamp(at).strftime("%H:%M:%S")
