"""Commands for the node of a home: `join`, `leave`, `custom`, `limit` and `stop`."""

import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import click
import msgspec

from flux_tui.cli.arguments.completions import complete_peers
from flux_tui.cli.arguments.flags_for_node import limit_change, node_flags
from flux_tui.cli.arguments.options import home_option, json_option, limit_options, node_options
from flux_tui.cli.arguments.path_and_stdin_types import InputError, bytes_of_input
from flux_tui.cli.arguments.time_limit import keep_option, patience, timeout_option, wait_option
from flux_tui.cli.background import ensure_node
from flux_tui.cli.commands.name import find_peer
from flux_tui.cli.content.awaiting import Awaiting
from flux_tui.cli.get_destination import state_of
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.output import Failure, print_json, say, tell_pushed
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import addrs_to_join
from flux_tui.core.ids import BadIdError
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import NoNodeError
from flux_tui.petnames import PetNames

STOP_SECONDS = 10.0
"""Seconds until `stop` gives up waiting for the node."""


@click.command()
@click.argument("addrs", nargs=-1, required=True, metavar="MULTIADDR-or-TICKET...")
@wait_option("the peers are connected")
@timeout_option
@keep_option
@home_option
@node_options
@json_option
def join(
    addrs: tuple[str, ...],
    wait: bool,
    timeout: float | None,
    keep: bool,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Connect this home's node to peers, by their addresses or a ticket that names some, and stay connected."""
    try:
        found = [addr for given in (*addrs, *flags["join"]) for addr in addrs_to_join(given)]
    except BadIdError as error:
        raise Failure(str(error)) from None
    addrs = tuple(dict.fromkeys(found))
    place = the_home(home)
    ensure_node(place, node_flags(flags | {"join": ()}))
    limit = patience(timeout, keep=keep)
    waits = wait or timeout is not None
    with Awaiting(place, limit, as_json=as_json) if waits else nullcontext() as awaiting:
        place.push(*(cmd.Join(addr) for addr in addrs))
        words = f"pushed {len(addrs)} {'join' if len(addrs) == 1 else 'joins'}"
        tell_pushed(as_json, {"command": "join", "addrs": addrs}, words)
        if awaiting is not None:
            awaiting.peers(addrs)


@click.command(
    epilog="""\b
Examples:
  flux-tui leave 12D3KooW…       by its id, its short form, or its name
  flux-tui limit --deny 12D3KooW…      serve it no more, if it comes back by itself"""
)
@click.argument("peers", nargs=-1, required=True, metavar="PEER...", shell_complete=complete_peers)
@home_option
@json_option
def leave(peers: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Disconnect this home's node from peers, and do not dial them any more, until they are joined again.

    A peer that wants to stay connected to this node comes back.
    """
    place = the_home(home)
    names, state = PetNames(place), state_of(place)
    found = tuple(dict.fromkeys(find_peer(cmd.peer_of(peer), names, state) for peer in peers))
    place.push(*(cmd.Leave(peer) for peer in found))
    tell_pushed(as_json, {"command": "leave", "peers": found}, f"pushed {counted(len(found), 'leave')}")


@click.command(
    epilog="""\b
Examples:
  flux-tui custom chat.say hello             to all nodes
  flux-tui custom chat.say hello --to ada    to one peer that is connected
  date | flux-tui custom clock.tick -        what comes on standard input
  flux-tui series --follow --json --kind custom_received

What comes is in the series. Its content is kept only by a program that listens for the kind."""
)
@click.argument("kind", metavar="KIND")
@click.argument("payload", required=False, default="", metavar="[TEXT|-]")
@click.option("--to", default=None, metavar="PEER", shell_complete=complete_peers, help="To this peer alone.")
@home_option
@json_option
def custom(kind: str, payload: str, to: str | None, home: Path | None, as_json: bool) -> None:
    """Push a message of a program's own kind: to all nodes, or to one peer.

    KIND: lower-case letters, digits, `_ . -`, at most 64. At most 32 KiB go in one message.
    """
    place = the_home(home)
    try:
        data = bytes_of_input() if payload == "-" else payload.encode(errors="surrogateescape")
    except InputError as error:
        raise Failure(str(error)) from None
    peer = None if to is None else find_peer(to, PetNames(place), state_of(place))
    command = cmd.Custom(kind, data, peer)
    try:
        cmd.check_command(command)
    except cmd.BadCommandError as error:
        raise Failure(str(error)) from None
    place.push(command)
    fields = {"command": "custom", "kind": kind, "bytes": len(data), "to": peer}
    tell_pushed(as_json, fields, f"pushed {human_size(len(data))}")


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
@json_option
def limit(home: Path | None, as_json: bool, **flags: Any) -> None:
    """Change what this home's node gives to others, until the node stops.

    To keep a limit for later starts of the node, write it into settings.toml (upload_limit = "2MB/s").
    """
    change = limit_change(flags)
    if not change.given():
        raise click.UsageError("say what to change: --upload-limit, --deny, … (--help lists them)")
    the_home(home).push(cmd.Configure(change))
    tell_pushed(as_json, {"command": "limit", "change": msgspec.to_builtins(change.given())}, "pushed")


@click.command()
@click.option(
    "--timeout",
    type=click.FloatRange(min=0),
    default=STOP_SECONDS,
    show_default=True,
    metavar="SECONDS",
    help="Fail if the node still runs after so many seconds.",
)
@home_option
@json_option
def stop(timeout: float, home: Path | None, as_json: bool) -> None:
    """Stop this home's node, and wait until it is gone."""
    place = the_home(home)
    pid = place.running()
    if pid is None:
        raise NoNodeError(f"no node is running for {place.path}")
    place.push(cmd.Stop())
    deadline = time.monotonic() + timeout
    while place.running() is not None:
        if time.monotonic() > deadline:
            raise Failure(f"the node of {place.path} does not stop: its pid is {place.running()}")
        time.sleep(0.02)
    if as_json:
        print_json({"event": "stopped", "pid": pid})
    else:
        say("stopped")
