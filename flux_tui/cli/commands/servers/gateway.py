"""`flux-tui gateway`: serve the objects of a home over HTTP."""

import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.background import ensure_node
from flux_tui.cli.content.trio_runs import run_in_trio
from flux_tui.cli.home_and_series import new_mark, open_series, the_home
from flux_tui.cli.output import Failure, print_json, say, tell
from flux_tui.home import Home
from flux_tui.reading.blocks import ReadError

PORT = 8080
SECONDS, CONNECTIONS = 60, 128


@click.command(
    epilog="""\b
Examples:
  flux-tui gateway                       then open http://127.0.0.1:8080/ipfs/CID in a browser
  flux-tui gateway --port 0              at any port that is free
  flux-tui gateway --fetch               fetch what is not here from the swarm
  flux-tui gateway --host 0.0.0.0 --host-name files.example

\b
  curl -s 'http://127.0.0.1:8080/ipfs/CID?format=raw' | sha256sum
  flux-tui get CID --from http://192.0.2.7:8080        from another machine

Anybody who can reach it and knows a CID can read that object. Without --host, only this machine can reach it."""
)
@click.option("--host", default="127.0.0.1", show_default=True, metavar="ADDRESS", help="Where to listen.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=PORT, show_default=True, metavar="N", help="0: any."
)
@click.option("--host-name", "hosts", multiple=True, metavar="NAME", help="A further name by which this machine may be"
              " asked. IP addresses, localhost and its own host name always may; several are possible.")  # fmt: skip
@click.option(
    "--fetch", is_flag=True, help="Fetch what is not here from the swarm. What came stays in the store."
)
@click.option("--fetch-seconds", type=click.FloatRange(min=0.1), default=SECONDS, show_default=True, metavar="SECONDS",
              help="After so long without it, a request is answered 504.")  # fmt: skip
@click.option("--max-connections", type=click.IntRange(min=1), default=CONNECTIONS, show_default=True, metavar="N",
              help="One more is answered 503.")  # fmt: skip
@home_option
@node_options
@json_option
def gateway(
    host: str,
    port: int,
    hosts: tuple[str, ...],
    fetch: bool,
    fetch_seconds: float,
    max_connections: int,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Serve what is here over HTTP, until interrupted: files and folders for a browser, blocks and CARs for programs.

    It is a trustless gateway: a client can ask for blocks and verify them itself. The first line on stdout is the
    address. Without --fetch, no node has to run, and nothing is fetched.
    """
    from flux_tui.gateway.gateway import Gateway, GatewayError

    place = the_home(home)
    begin = None
    if fetch:
        begin = partial(_begin_again, place, node_flags(flags))
        _begin(place, node_flags(flags))
    open_series(place).close()
    served = Gateway(
        place,
        hosts=hosts,
        begin=begin,
        by=new_mark(),
        max_connections=max_connections,
        fetch_seconds=fetch_seconds,
    )

    def started(urls: Sequence[str]) -> None:
        if as_json:
            print_json({"event": "listening", "urls": urls})
        for url in () if as_json else urls:
            tell(url)
        if sys.stdout is not None:
            sys.stdout.flush()
        say(
            "ctrl+c ends it"
            if fetch
            else "only what is here is served (--fetch fetches the rest); ctrl+c ends it"
        )

    try:
        run_in_trio(partial(served.run, host, port, started))
    except GatewayError as error:
        raise Failure(str(error)) from None


def _begin_again(place: Home, flags: list[str]) -> None:
    """Make sure that a node still runs. Raises ReadError: then one request is refused, and the gateway goes on."""
    try:
        _begin(place, flags)
    except Failure as error:
        raise ReadError(str(error)) from None


def _begin(place: Home, flags: list[str]) -> None:
    """Make sure that a node runs. The options are given once."""
    ensure_node(place, flags if place.running() is None else None)
