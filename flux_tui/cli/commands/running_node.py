"""Commands for the node of a home: `join`, `limit` and `stop`."""

import time
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.flags_for_node import limit_change, node_flags
from flux_tui.cli.arguments.options import home_option, limit_options, node_options
from flux_tui.cli.background import ensure_node
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.output import Failure, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import addrs_to_join
from flux_tui.core.ids import BadIdError
from flux_tui.home import NoNodeError

STOP_SECONDS = 10.0
"""Seconds until `stop` gives up waiting for the node."""


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
    """Change what this home's node gives to others, until the node stops.

    To keep a limit for later starts of the node, write it into settings.toml (upload_limit = "2MB/s").
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
