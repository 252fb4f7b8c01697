"""Print a node's state for people, as a few tables."""

from rich.console import Console  # noqa: TID251 - its type
from rich.table import Table
from rich.text import Text

from flux_tui.cli.output import console, is_for_programs
from flux_tui.core.series.events import REASONS, HeldHow, RetryCause
from flux_tui.core.series.next_try import Tries, Try, asked_again_at
from flux_tui.core.series.state import State
from flux_tui.core.text.names import NO_NAMES, Names, short_addr
from flux_tui.core.text.phrases import object_words, way_words
from flux_tui.core.text.plain import plain, plain_lines
from flux_tui.core.text.quantities import counted, human_seconds, human_size

MAX_ROWS = 20
"""The most rows of a table. The rest is counted."""
MAX_REFUSED = 5
"""The most refusals shown for a hold, the latest."""
CAUSES: dict[RetryCause, str] = {
    "retry_after": "a NO said so", "eta": "a yes said so", "lapsed": "nobody sends it", "silence": "no answer",
    "asked": "asked for", "unwritten": "cannot be written",
}  # fmt: skip
_HOW: dict[HeldHow | None, str] = {None: "(told)", "begun": "(fetching)", "whole": "whole", "gone": "gone"}


def print_state(state: State, now: float, names: Names = NO_NAMES) -> None:
    """Print a node's state on stdout. `now`: the time (seconds) that countdowns start from. `names`: of peers."""
    out = console()
    who = names.peer(state.peer_id) if state.peer_id else "no node ran yet"
    out.print(
        Text(plain(who), "bold"), f" after entry {state.seq:,}, {counted(state.connected, 'peer')} connected"
    )
    out.print(
        f"{state.chunk_count:,} chunks, {human_size(state.chunk_bytes)} · received {human_size(state.received_bytes)}"
        f" (duplicate factor {state.duplicate_factor:.3f}) · sent {human_size(state.sent_bytes)}"
    )
    if state.announced_by is not None and state.running:
        left = counted(state.to_announce, "object")
        out.print(f"{left} to be announced, in {human_seconds(max(state.announced_by - now, 0.0))}")
    if state.provided_by is not None and state.running:
        left = counted(state.to_provide, "provider record")
        out.print(f"{left} to be sent to the DHT, in {human_seconds(max(state.provided_by - now, 0.0))}")
    for addr in state.addrs if state.running else ():
        out.print(Text(plain(addr), "dim"), soft_wrap=True)
    _tried(out, state)
    _objects(out, state)
    _pending(out, state, now, names)
    _holds(out, state, now, names)
    _kept(out, state, now, names)
    _noes(out, state, now, names)
    _peers(out, state, names)
    if state.last_error:
        out.print(Text("last error:", "red"), plain(state.last_error), soft_wrap=True)


def _tried(out: Console, state: State) -> None:
    """If the node runs and no peer is connected, print the addresses that were dialled without an answer."""
    if not state.running or state.connected or not state.tried:
        return
    table = Table("tried", "why nobody answers", title="no peer was heard", title_justify="left", box=None)
    for one in state.tried:
        _row(table, _addr(one.addr), one.why or "no answer yet")
    out.print(table)


def _peers(out: Console, state: State, names: Names) -> None:
    here = [peer for peer in state.peers.values() if peer.connected]
    if not here:
        return
    table = Table("peer", "way", "received", "sent", "address", title="peers", title_justify="left", box=None)
    for peer in here[-MAX_ROWS:]:
        sizes = human_size(peer.bytes_in), human_size(peer.bytes_out)
        _row(table, names.peer(peer.peer), way_words(peer), *sizes, _addr(peer.addr))
    out.print(table)
    _rest(out, len(here))


def _objects(out: Console, state: State) -> None:
    if not state.objects:
        return
    table = Table("object", "size", "chunks", "", "root", title="objects", title_justify="left", box=None)
    for found in list(state.objects.values())[-MAX_ROWS:]:
        status = object_words(found)
        total = "?" if found.chunks_total is None else f"{found.chunks_total:,}"
        size = human_size(found.size) if found.size is not None else "?"
        _row(table, found.name or "–", size, f"{found.chunks_have:,}/{total}", status, found.root)  # noqa: RUF001
    out.print(table)
    _rest(out, len(state.objects))


def _pending(out: Console, state: State, now: float, names: Names) -> None:
    if not state.pending:
        return
    table = Table(
        "next try", "waits for", "pushes", "cid", title="pending", title_justify="left", box=None
    )  # fmt: skip
    table.columns[-1].overflow = "fold"
    tries = Tries(state, now)
    for pending in list(state.pending.values())[:MAX_ROWS]:
        soon, why = "waits for room" if pending.queued else "–", ""  # noqa: RUF001
        one = tries.next_of(pending)
        if not pending.queued and not state.connected:
            soon = "with the first peer"  # the first peer is asked at once, whatever the timer says
        elif one is not None:
            soon = f"in {human_seconds(one.at - now)}"
            why = _step_cause(one, names)
        _row(table, soon, why, str(pending.pushes), pending.cid)
    out.print(table)
    _rest(out, len(state.pending))


def _step_cause(one: Try, names: Names) -> str:
    """Return in words what a want waits for until its next try (`one`)."""
    if one.peer is None:
        return CAUSES[one.cause]
    why = "just connected:" if one.how == "ask" else one.reason or "late"
    return f"{why} {names.peer(one.peer)}"


def _holds(out: Console, state: State, now: float, names: Names) -> None:
    """Print the replicas that other nodes keep for this node."""
    if not state.holds:
        return
    table = Table("object", "replicas", "kept by", "refused by", "next push", "root",
                  title="held by others", title_justify="left", box=None)  # fmt: skip
    for hold in list(state.holds.values())[-MAX_ROWS:]:
        keepers = [f"{names.peer(replica.peer)} {_HOW[replica.how]}" for replica in hold.keepers.values()]
        refused = [
            f"{names.peer(no.peer)} {no.reason}"
            for no in hold.refused.values()
            if no.peer not in hold.keepers
        ]
        soon = "–"  # noqa: RUF001
        if hold.lacking and hold.next_push_at is not None:
            soon = f"in {human_seconds(hold.next_push_at - now)}"
        _row(
            table,
            hold.name or "–",  # noqa: RUF001
            f"{hold.whole} of {hold.replicas}",
            keepers or "nobody yet",
            refused[-MAX_REFUSED:],
            soon,
            hold.root,
        )
    out.print(table)
    _rest(out, len(state.holds))


def _kept(out: Console, state: State, now: float, names: Names) -> None:
    """Print the replicas that this node keeps for other nodes."""
    if not state.kept:
        return
    used, quota = human_size(state.kept_bytes), human_size(state.policy.quota)
    table = Table("object", "size", "", "for", "last wanted", "root",
                  title=f"kept for others, {used} of {quota}", title_justify="left", box=None)  # fmt: skip
    for kept in list(state.kept.values())[-MAX_ROWS:]:
        found = state.objects.get(kept.root)
        share = "whole" if kept.whole else f"{found.progress:.0%}" if found is not None else "0%"
        _row(
            table,
            kept.name or "–",  # noqa: RUF001
            human_size(kept.size),
            f"{share}, yours too" if kept.own else share,
            ", ".join(names.peer(peer) for peer in kept.origins),
            f"{human_seconds(now - kept.last_wanted)} ago",
            kept.root,
        )
    out.print(table)
    _rest(out, len(state.kept))


def _noes(out: Console, state: State, now: float, names: Names) -> None:
    noes = [peer for peer in state.peers.values() if peer.counts]
    if not noes:
        return
    reasons = [reason for reason in REASONS if any(reason in peer.counts for peer in noes)]
    table = Table("node", "has it", *reasons, "again", title="NO by node", title_justify="left", box=None)
    for peer in noes[:MAX_ROWS]:
        at = asked_again_at(state, peer)
        again = human_seconds(at - now) if at is not None and at > now else ""
        counts = [str(peer.counts.get(reason, "")) for reason in reasons]
        _row(table, names.peer(peer.peer), peer.has, *counts, again)
    out.print(table)
    _rest(out, len(noes))


def _row(table: Table, *cells: str | list[str]) -> None:
    """Add a row to a table. A cell is one line or a list of lines. Text from peers is made safe to show."""
    table.add_row(*(Text(plain(cell) if isinstance(cell, str) else plain_lines(*cell)) for cell in cells))


def _addr(addr: str) -> str:
    """Return an address as it is shown: short on a terminal."""
    return addr if is_for_programs() else short_addr(addr)


def _rest(out: Console, count: int) -> None:
    if count > MAX_ROWS:
        out.print(Text(f"… and {count - MAX_ROWS:,} more", "dim"))
