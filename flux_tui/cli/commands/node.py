"""`flux-tui node`: run a node in the foreground, without a dashboard."""

import sys
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, json_option, load_settings, node_options
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.logs import begin_logging
from flux_tui.cli.output import print_json
from flux_tui.cli.service_manager import READY, still_starting, tell_service_manager
from flux_tui.config import LogLevel
from flux_tui.core.ids import PeerId
from flux_tui.signals import noted_signals


@click.command(
    epilog="""\b
Examples:
  flux-tui node                                   share with this machine's networks
  flux-tui node --listen /ip4/127.0.0.1/tcp/0     only with this machine
  flux-tui node --join /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…
  flux-tui node --swarm-key ~/swarm.key           only with those who have the same key
  flux-tui node --relay /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…    reached through that one
  flux-tui node --metrics 9464 --log-json         for Prometheus, and for a collector of logs"""
)
@home_option
@node_options
@click.option("--verbose", "-v", is_flag=True, help="The same as --log-level info.")
@json_option
def node(home: Path | None, verbose: bool, as_json: bool, **flags: Any) -> None:
    """Run this home's node in the foreground until it is interrupted.

    The first line on stdout is one JSON object with its peer_id and addrs, with --json and without it.
    """
    del as_json  # all that it prints is for programs anyway
    place = the_home(home)
    settings = load_settings(place, **flags)
    level: LogLevel = "info" if verbose and settings.log_level in ("warning", "error") else settings.log_level
    begin_logging(level, as_json=settings.log_json)

    from flux_tui.node.process_priority import lower_priority

    if settings.low_priority:
        lower_priority()

    from flux_tui.node import process_memory

    process_memory.keep_freed()

    # Trio and libp2p take most of a second to import, so only this command imports them.
    import trio

    from flux_tui.node.serve import serve

    def announce(peer_id: PeerId, addrs: tuple[str, ...], urls: tuple[str, ...]) -> None:
        told = {"peer_id": peer_id, "addrs": list(addrs), "home": str(place.path)}
        if sys.stdout is not None:  # a program that starts a node may have closed it
            print_json(told | ({"metrics": list(urls)} if urls else {}))
        process_memory.exempt_all()
        tell_service_manager(READY)

    def read(done: int, total: int) -> None:
        tell_service_manager(still_starting(done, total))

    with noted_signals() as noted:
        trio.run(serve, place, settings, announce, node_flags(flags), noted, read)
