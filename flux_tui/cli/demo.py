"""`flux-tui demo`: a swarm of real nodes on this machine, narrated."""

from pathlib import Path

import click

from flux_tui.cli.common import Failure


@click.command()
@click.argument("scenarios", nargs=-1, metavar="[SCENARIO]")
@click.option("--list", "listed", is_flag=True, help="Print the scenarios, one a line.")
@click.option("--check", is_flag=True,
              help="Without a screen: exit 0 only if the stated outcome was observed. Of all, if none is named.")  # fmt: skip
def demo(scenarios: tuple[str, ...], listed: bool, check: bool) -> None:
    """Demo."""
    from flux_tui.demo.scenario import load, names
    from flux_tui.demo.check import check as play
    if listed:
        for name in names():
            click.echo(f"{name:<14}{load(name).about}")
        return
    if not play(scenarios or names(), click.echo):
        raise Failure("not observed")
