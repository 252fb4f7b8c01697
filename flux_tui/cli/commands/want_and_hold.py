"""The commands `want`, `cancel`, `retry`, `hold` and `release`: wants, and replicas at other peers."""

from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.completions import complete_held, complete_pending, complete_shared
from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, node_options
from flux_tui.cli.background import ensure_node
from flux_tui.cli.content.looking import part_ticket, parts_and_cids
from flux_tui.cli.home_and_series import read_cids, the_home
from flux_tui.cli.other_command import settled, what_instead
from flux_tui.cli.output import Failure, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.text.quantities import counted, some
from flux_tui.core.wire.message_limits import MAX_REPLICAS
from flux_tui.home import NoNodeError


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...")
@home_option
@node_options
def want(cids: tuple[str, ...], home: Path | None, **flags: Any) -> None:
    """Push wants for chunks or objects, and return at once. What arrives is kept in the store.

    `-` reads CIDs from standard input. `flux-tui state` shows what arrived.
    """
    place = the_home(home)
    found = parts_and_cids(place, cids, flags)
    ensure_node(place, node_flags(flags))
    for part in cmd.in_parts(found):
        place.push(cmd.Want(part[0]) if len(part) == 1 else cmd.WantMany(part), many=True)
    say(f"pushed {len(found):,} {'want' if len(found) == 1 else 'wants'}")


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID-or-TICKET...", shell_complete=complete_pending)
@home_option
def cancel(cids: tuple[str, ...], home: Path | None) -> None:
    """Stop fetching these objects or chunks. The chunks that arrived are kept: a later want continues from them."""
    found = read_cids(cids)
    place = the_home(home)
    if place.running() is None:
        raise NoNodeError(f"no node is running for {place.path}")
    state = settled(place, lambda state: all(cid in state.pending for cid in found))
    pending = tuple(cid for cid in found if cid in state.pending)
    if pending:
        for part in cmd.in_parts(pending):
            place.push(cmd.Cancel(part), many=True)
        say(f"pushed {counted(len(pending), 'cancel')}")
    if rest := [cid for cid in found if cid not in state.pending]:
        text = f"not pending, so there is nothing to cancel: {some(rest)}"
        raise Failure(text + what_instead(state, rest))


@click.command()
@click.argument("cids", nargs=-1, metavar="[CID-or-TICKET...]", shell_complete=complete_pending)
@home_option
def retry(cids: tuple[str, ...], home: Path | None) -> None:
    """Push pending wants again now, without waiting for their timers: all wants, or the named ones."""
    place = the_home(home)
    for part in cmd.in_parts(read_cids(cids)) if cids else [()]:
        place.push(cmd.Retry(part), many=True)
    say("pushed")


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
@home_option
@node_options
def hold(what: str, replicas: int, home: Path | None, **flags: Any) -> None:
    """Ask the swarm to keep replicas of an object, and return at once.

    A peer with a quota may keep a replica; the others answer why they do not. When a keeper leaves, another
    peer is asked, until `release`. `flux-tui state` shows who keeps what.
    """
    place = the_home(home)
    ticket = part_ticket(place, what, flags)
    ensure_node(place, node_flags(flags))
    place.push(cmd.Hold(ticket.root, replicas, ticket.name, ticket.size, ticket.addrs))
    say(f"pushed a hold: {counted(replicas, 'replica')}")


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...", shell_complete=complete_held)
@home_option
def release(cids: tuple[str, ...], home: Path | None) -> None:
    """Release held objects: other peers need not keep them for this home any more.

    If this home keeps one of these objects for others, it drops that replica. What you added or fetched
    yourself stays.
    """
    found = read_cids(cids)
    place = the_home(home)
    if place.running() is None:
        raise NoNodeError(f"no node is running for {place.path}: start one with `flux-tui node`")
    state = settled(place, lambda state: all(cid in state.holds or cid in state.kept for cid in found))
    loose = [cid for cid in found if cid not in state.holds and cid not in state.kept]
    wrong = [cid for cid in loose if what_instead(state, [cid])]
    others = set(wrong)
    if rest := tuple(cid for cid in found if cid not in others):
        for part in cmd.in_parts(rest):
            place.push(cmd.Release(part))  # the node reports CIDs that the series does not know
        say(f"pushed {counted(len(rest), 'release')}")
    if wrong:
        why = "held neither by others for this home nor here for others, so there is nothing to release"
        raise Failure(f"{why}: {some(wrong)}{what_instead(state, wrong)}")
