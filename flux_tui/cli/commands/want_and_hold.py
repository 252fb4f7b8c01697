"""The commands `want`, `cancel`, `retry`, `hold` and `release`: wants, and replicas at other peers."""

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.completions import complete_held, complete_pending, complete_shared
from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.arguments.time_limit import keep_option, patience, timeout_option, wait_option
from flux_tui.cli.background import ensure_node
from flux_tui.cli.content.awaiting import Awaiting
from flux_tui.cli.content.looking import known_cids, part_ticket, parts_and_cids
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.other_command import settled, what_instead
from flux_tui.cli.output import Failure, tell_pushed
from flux_tui.core.api import commands as cmd
from flux_tui.core.text.quantities import counted, some
from flux_tui.core.wire.message_limits import MAX_REPLICAS
from flux_tui.home import NoNodeError


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...")
@wait_option("all of it is here")
@timeout_option
@keep_option
@home_option
@node_options
@json_option
def want(
    cids: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    keep: bool,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Push wants for chunks or objects, and return at once. What arrives is kept in the store.

    `-` reads CIDs from standard input. `flux-tui state` shows what arrived.
    """
    place, limit = the_home(home), patience(timeout, keep=keep)
    waits = wait or timeout is not None
    found = parts_and_cids(place, cids, flags, limit)
    ensure_node(place, node_flags(flags))
    with Awaiting(place, limit, as_json=as_json) if waits else nullcontext() as awaiting:
        by = None if awaiting is None else awaiting.mark
        for part in cmd.in_parts(found):
            place.push(cmd.Want(part[0], by) if len(part) == 1 else cmd.WantMany(part, by), many=True)
        words = f"pushed {len(found):,} {'want' if len(found) == 1 else 'wants'}"
        tell_pushed(as_json, {"command": "want", "cids": found}, words)
        if awaiting is not None:
            awaiting.wants(found)


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID-or-TICKET...", shell_complete=complete_pending)
@home_option
@json_option
def cancel(cids: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Stop fetching these objects or chunks. The chunks that arrived are kept: a later want continues from them."""
    place = the_home(home)
    found = known_cids(place, cids)
    if place.running() is None:
        raise NoNodeError(f"no node is running for {place.path}")
    state = settled(place, lambda state: all(cid in state.pending for cid in found))
    pending = tuple(cid for cid in found if cid in state.pending)
    if pending:
        for part in cmd.in_parts(pending):
            place.push(cmd.Cancel(part), many=True)
        words = f"pushed {counted(len(pending), 'cancel')}"
        tell_pushed(as_json, {"command": "cancel", "cids": pending}, words)
    if rest := [cid for cid in found if cid not in state.pending]:
        text = f"not pending, so there is nothing to cancel: {some(rest)}"
        raise Failure(text + what_instead(state, rest))


@click.command()
@click.argument("cids", nargs=-1, metavar="[CID-or-TICKET...]", shell_complete=complete_pending)
@home_option
@json_option
def retry(cids: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Push pending wants again now, without waiting for their timers: all wants, or the named ones."""
    place = the_home(home)
    found = known_cids(place, cids) if cids else ()
    for part in cmd.in_parts(found) if cids else [()]:
        place.push(cmd.Retry(part), many=True)
    tell_pushed(as_json, {"command": "retry", "cids": found}, "pushed")


@click.command(
    epilog="""\b
Examples:
  flux-tui hold flux1… --replicas 3     three replicas of the ticket's object
  flux-tui state                        who keeps it, and who refused"""
)
@click.argument("what", metavar="CID-or-TICKET", shell_complete=complete_shared)
@click.option(
    "--replicas", type=click.IntRange(1, MAX_REPLICAS), default=1, show_default=True, metavar="N",
    help=f"How many peers should keep it, 1 to {MAX_REPLICAS}.",
)  # fmt: skip
@wait_option("all replicas are whole")
@timeout_option
@keep_option
@home_option
@node_options
@json_option
def hold(
    what: str,
    replicas: int,
    wait: bool,
    timeout: float | None,
    keep: bool,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Ask the swarm to keep replicas of an object, and return at once.

    A peer with a quota may keep a replica; the others answer why they do not. When a keeper leaves, another
    peer is asked, until `release`. `flux-tui state` shows who keeps what.
    """
    place, limit = the_home(home), patience(timeout, keep=keep)
    waits = wait or timeout is not None
    ticket = part_ticket(place, what, flags, patience=limit, as_json=as_json)
    ensure_node(place, node_flags(flags))
    with Awaiting(place, limit, as_json=as_json) if waits else nullcontext() as awaiting:
        by = None if awaiting is None else awaiting.mark
        place.push(cmd.Hold(ticket.root, replicas, ticket.name, ticket.size, ticket.addrs, by))
        fields = {"command": "hold", "cid": ticket.root, "replicas": replicas}
        tell_pushed(as_json, fields, f"pushed a hold: {counted(replicas, 'replica')}")
        if awaiting is not None:
            awaiting.replicas(ticket.root, replicas)


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...", shell_complete=complete_held)
@home_option
@json_option
def release(cids: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Release held objects: other peers need not keep them for this home any more.

    If this home keeps one of these objects for others, it drops that replica. What you added or fetched
    yourself stays.
    """
    place = the_home(home)
    found = known_cids(place, cids)
    if place.running() is None:
        raise NoNodeError(f"no node is running for {place.path}: start one with `flux-tui node`")
    state = settled(place, lambda state: all(cid in state.holds or cid in state.kept for cid in found))
    loose = [cid for cid in found if cid not in state.holds and cid not in state.kept]
    wrong = [cid for cid in loose if what_instead(state, [cid])]
    others = set(wrong)
    if rest := tuple(cid for cid in found if cid not in others):
        for part in cmd.in_parts(rest):
            place.push(cmd.Release(part))  # the node reports CIDs that the series does not know
        words = f"pushed {counted(len(rest), 'release')}"
        tell_pushed(as_json, {"command": "release", "cids": rest}, words)
    if wrong:
        why = "held neither by others for this home nor here for others, so there is nothing to release"
        raise Failure(f"{why}: {some(wrong)}{what_instead(state, wrong)}")
