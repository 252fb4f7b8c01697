"""Commands that push into the node: `want`, `hold`, `release`, `cancel`, `retry`, `join`, `limit`, `stop`."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.background import ensure_node
from flux_tui.cli.flags_for_node import limit_change, node_flags
from flux_tui.cli.home_and_series import catch_up, fold, open_series, read_cids, read_ticket, the_home
from flux_tui.cli.arguments.options import home_option, limit_options, node_options
from flux_tui.cli.output import Failure, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import addrs_to_join
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.series.state import State
from flux_tui.core.text.quantities import counted, some
from flux_tui.core.wire.messages import MAX_REPLICAS
from flux_tui.home import Home, NoNodeError

STOP_SECONDS = 10.0
SETTLE_SECONDS = 0.3
"""Seconds for earlier commands to reach the series."""


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...")
@home_option
@node_options
def want(cids: tuple[str, ...], home: Path | None, **flags: Any) -> None:
    """Push wants for chunks or objects into the store, and return at once.

    `-` reads CIDs from standard input. `flux-tui state` shows what arrived.
    """
    found = read_cids(cids)
    place = the_home(home)
    ensure_node(place, node_flags(flags))
    for part in cmd.in_parts(found):
        place.push(cmd.Want(part[0]) if len(part) == 1 else cmd.WantMany(part))
    say(f"pushed {len(found):,} {'want' if len(found) == 1 else 'wants'}")


@click.command(
    epilog="""\b
Examples:
  flux-tui hold flux1… --replicas 3     three replicas of the ticket's object
  flux-tui state                        who keeps it, and who refused"""
)
@click.argument("what", metavar="CID-or-TICKET")
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
    ticket = read_ticket(what)
    place = the_home(home)
    ensure_node(place, node_flags(flags))
    place.push(cmd.Hold(ticket.root, replicas, ticket.name, ticket.size, ticket.addrs))
    say(f"pushed a hold: {counted(replicas, 'replica')}")


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID...")
@home_option
def release(cids: tuple[str, ...], home: Path | None) -> None:
    """Release held objects: other peers need not keep them for this home any more.

    Objects that this home keeps for others are dropped. What you added or fetched yourself stays.
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


@click.command()
@click.argument("cids", nargs=-1, required=True, metavar="CID-or-TICKET...")
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
            place.push(cmd.Cancel(part))
        say(f"pushed {counted(len(pending), 'cancel')}")
    if rest := [cid for cid in found if cid not in state.pending]:
        text = f"not pending, so there is nothing to cancel: {some(rest)}"
        raise Failure(text + what_instead(state, rest))


def settled(home: Home, known: Callable[[State], bool]) -> State:
    """Return the home's state once `known(state)` is true, or after SETTLE_SECONDS in any case.

    Commands that were pushed earlier may need this time to reach the series.
    """
    reader = open_series(home)
    try:
        state = fold(reader)
        deadline = time.monotonic() + SETTLE_SECONDS
        while not known(state) and time.monotonic() < deadline:
            time.sleep(0.02)
            catch_up(reader, state)
    finally:
        reader.close()
    return state


def what_instead(state: State, cids: Iterable[Cid]) -> str:
    """Return the end of an error sentence: the command that fits the first of these CIDs that this home knows.

    Returns an empty string if it knows none of them.
    """
    for cid in cids:
        known, pending = state.objects.get(cid), state.pending.get(cid)
        if pending is not None and not pending.held:
            return f"; to stop fetching it: `flux-tui cancel {cid}`"
        if cid in state.kept or (known is None and cid in state.holds):
            return f"; if it is kept for others, or by others: `flux-tui release {cid}`"
        if known is not None:
            return f"; to stop sharing it: `flux-tui rm {cid}`"
    return ""


@click.command()
@click.argument("cids", nargs=-1, metavar="[CID-or-TICKET...]")
@home_option
def retry(cids: tuple[str, ...], home: Path | None) -> None:
    """Push pending wants again now, without waiting for their timers: all wants, or the named ones."""
    place = the_home(home)
    for part in cmd.in_parts(read_cids(cids)) if cids else [()]:
        place.push(cmd.Retry(part))
    say("pushed")


@click.command()
@click.argument("addrs", nargs=-1, required=True, metavar="MULTIADDR-or-TICKET...")
@home_option
@node_options
def join(addrs: tuple[str, ...], home: Path | None, **flags: Any) -> None:
    """Connect this home's node to peers, by their addresses or a ticket that names some, and stay connected."""
    try:
        found = [addr for given in (*addrs, *flags["join"]) for addr in addrs_to_join(given)]
    except BadIdError as error:
        raise Failure(str(error)) from None
    addrs = tuple(dict.fromkeys(found))
    place = the_home(home)
    ensure_node(place, node_flags(flags | {"join": ()}))
    place.push(*(cmd.Join(addr) for addr in addrs))
    say(f"pushed {len(addrs)} {'join' if len(addrs) == 1 else 'joins'}")


@click.command(
    epilog="""\b
Examples:
  flux-tui limit --upload-limit 2MB/s         from now on
  flux-tui limit --upload-limit 0             no limit any more
  flux-tui limit --deny 12D3KooW…             deny this peer, and no other
  flux-tui limit --deny none                  deny no peer"""
)
@limit_options
@home_option
def limit(home: Path | None, **flags: Any) -> None:
    """Change what this home's node gives to others, until it stops.

    For every start of the node, write the limit into settings.toml (upload_limit = "2MB/s").
    """
    change = limit_change(flags)
    if not change.given():
        raise click.UsageError("say what to change: --upload-limit, --deny, … (--help lists them)")
    the_home(home).push(cmd.Configure(change))
    say("pushed")


@click.command()
@home_option
def stop(home: Path | None) -> None:
    """Stop this home's node."""
    place = the_home(home)
    if place.running() is None:
        raise NoNodeError(f"no node is running for {place.path}")
    place.push(cmd.Stop())
    deadline = time.monotonic() + STOP_SECONDS
    while place.running() is not None:
        if time.monotonic() > deadline:
            raise Failure(f"the node of {place.path} does not stop: its pid is {place.running()}")
        time.sleep(0.02)
    say("stopped")
