"""The dashboard, on a home or on a recording."""

import time
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.common import Failure, the_home
from flux_tui.home import Home, HomeError


@click.command()
@click.argument("file", type=click.Path(path_type=Path, readable=False), metavar="FILE")
def replay(file: Path) -> None:
    """The dashboard on a recorded series (see `flux-tui export`): nothing runs, all can be scrubbed."""
    path = file.expanduser().absolute()
    if not path.is_file():
        raise Failure(f"there is no series at {path}")

    from flux_tui.store.series import SeriesReader
    from flux_tui.ui.app import run_dashboard

    SeriesReader.open(path).close()  # what is wrong with it is said before the screen is taken
    run_dashboard(path, title=path.name, push=None, node_alive=lambda: False, recording=True)


def show_dashboard(home: Path | None, flags: dict[str, Any]) -> None:
    """The dashboard of a home; a node is started beside it, not before it."""
    import threading

    from flux_tui.ui.app import run_dashboard

    place = the_home(home)
    place.prepare()
    started: list[bool] = []
    failed: list[str] = []

    def start() -> None:
        # The first frame does not wait for a node, which takes a second to come up.
        from flux_tui.cli.background import ensure_node
        from flux_tui.cli.push import node_flags

        try:
            started.append(ensure_node(place, node_flags(flags)))
        except HomeError as error:
            failed.append(str(error))

    starter = threading.Thread(target=start, daemon=True)
    starter.start()
    leave_running = run_dashboard(
        place.database,
        title=str(place.path),
        push=place.push,
        node_alive=lambda: place.running() is not None,
        trouble=lambda: failed[-1] if failed else None,
        crash_log=place.crash_log,
    )
    starter.join(timeout=1)
    if started == [True] and not leave_running:
        _stop(place)


def _stop(home: Home) -> None:
    """End the node that this dashboard started."""
    from flux_tui.core import commands as cmd

    try:
        home.push(cmd.Stop())
    except HomeError:
        return
    deadline = time.monotonic() + 1
    while home.running() is not None and time.monotonic() < deadline:
        time.sleep(0.02)
