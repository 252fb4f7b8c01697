"""`flux-tui metrics`: print the metrics of a home, whether or not its node runs."""

import time
from contextlib import closing
from pathlib import Path

import click

from flux_tui.cli.arguments.options import home_option, json_option, load_settings
from flux_tui.cli.home_and_series import fold, open_series, the_home
from flux_tui.cli.output import Failure, print_exact, print_json
from flux_tui.metrics.exposition import MetricsError, openmetrics, prometheus_text
from flux_tui.metrics.families import Family, state_families
from flux_tui.metrics.machine_figures import disk_families


@click.command(
    epilog="""\b
Examples:
  flux-tui metrics                          as OpenMetrics text
  flux-tui metrics --format prometheus > /var/lib/node_exporter/flux.prom.part
  flux-tui metrics --json                   a line for each number, for a program
  flux-tui node --metrics 9464              lets Prometheus read http://127.0.0.1:9464/metrics

It works whether or not a node runs. A running node with --metrics tells a few numbers more: of its upload
queue, its process, and how late it is. assets/grafana.json is a dashboard for Grafana."""
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["openmetrics", "prometheus"]),
    default="openmetrics",
    show_default=True,
    help="The text format; `prometheus` is the older one, which node_exporter's textfile collector reads.",
)
@home_option
@json_option
def metrics(form: str, home: Path | None, as_json: bool) -> None:
    """Print this home's metrics for Prometheus, from its series."""
    found = _families(home)
    if as_json:
        for family in found:
            for sample in family.samples:
                labels = dict(zip(family.labels, sample.labels, strict=True))
                print_json(
                    {"name": family.name, "kind": family.kind, "labels": labels, "value": sample.value}
                )
        return
    try:
        text = openmetrics(found) if form == "openmetrics" else prometheus_text(found)
    except MetricsError as error:
        raise Failure(str(error)) from None
    print_exact(text.decode().removesuffix("\n"))


def _families(home: Path | None) -> list[Family]:
    here = the_home(home)
    with closing(open_series(here)) as reader:
        state = fold(reader)
    running = here.running() is not None
    keep_free = load_settings(here).keep_free
    return [
        *state_families(state, max(time.time(), state.at), running=running),
        *disk_families(here, keep_free),
    ]
