"""`flux-tui state`, `series` and `export`: read the series of a home, whether or not its node runs."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.completions import complete_kinds
from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.arguments.path_and_stdin_types import OutputType, PathType
from flux_tui.cli.arguments.time_limit import patience, timeout_option
from flux_tui.cli.home_and_series import fold, open_series, the_home
from flux_tui.cli.output import (
    Failure,
    is_for_programs,
    print_json,
    print_json_lines,
    say,
    tell,
    tell_lines,
)
from flux_tui.core.series.events import EVENT_KINDS, Entry, kind_of
from flux_tui.core.series.state import State
from flux_tui.core.text.as_json import entry_report, state_report
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.core.text.describe import entry_line
from flux_tui.core.text.names import NO_NAMES, StateNames
from flux_tui.core.text.quantities import human_size
from flux_tui.path_arguments import literal_path
from flux_tui.petnames import PetNames
from flux_tui.store.series_export import export as export_series
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.series_size import SeriesSize, series_size

FOLLOW_SECONDS = 0.1
SHOWN_AT_ONCE = 1_000
"""Entries that are printed together."""


@click.command()
@click.option(
    "--at", "at", type=click.IntRange(min=0), default=None, metavar="SEQ", help="The state after this entry."
)
@home_option
@json_option
def state(at: int | None, home: Path | None, as_json: bool) -> None:
    """Print the state that follows from the series: the current state, or the state after one entry."""
    reader = open_series(the_home(home))
    last = reader.last_seq()
    if at is not None and at > last:
        raise Failure(f"there is no entry {at}: the series ends with {last}")
    found = fold(reader, at)
    size = series_size(reader, the_home(home).database)
    reader.close()
    if as_json:
        print_json(state_report(found) | {"series": size._asdict()})
        return
    from flux_tui.cli.state_tables import print_state

    now = found.at if at is not None else _now(found, the_home(home).running() is not None)
    print_state(found, now, StateNames(found, PetNames(the_home(home)), whole=is_for_programs()))
    tell(_size_line(size))


def _size_line(size: SeriesSize) -> str:
    """Return what the series takes on disk, and what it will take, in words."""
    words = [f"series on disk: {human_size(size.segment_bytes + size.database_bytes)} with the chunk index"]
    if size.first > 1 and size.first_at is not None:
        since = time.strftime("%Y-%m-%d %H:%M", time.localtime(size.first_at))
        words.append(f"history begins at entry {size.first:,} ({since})")
    if size.month_bytes is not None:
        words.append(f"30 days at this rate: {human_size(size.month_bytes)}")
    return "; ".join(words)


def _now(found: State, running: bool) -> float:
    """Return the time from which the printed countdowns count, in seconds since 1970.

    `found`: the state; `running`: whether the node runs. If the node is stopped, the time is not before its
    last entry: the clock may have been set back since, and a stopped node cannot record that.
    """
    return time.time() if running else max(time.time(), found.at)


@click.command()
@click.option("--follow", "-f", is_flag=True, help="Print new entries as they come, until interrupted.")
@click.option(
    "--from", "start", type=click.IntRange(min=1), default=1, metavar="SEQ", help="Begin at this entry."
)
@click.option("--kind", "kinds", multiple=True, metavar="KIND", shell_complete=complete_kinds,
              help="Only this kind of entry, e.g. status_no. Repeatable.")  # fmt: skip
@home_option
@json_option
def series(follow: bool, start: int, kinds: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Print the entries of the series, one on each line."""
    for kind in kinds:
        if kind not in EVENT_KINDS:
            close = did_you_mean(kind, EVENT_KINDS)
            rest = close or f"; the kinds are: {', '.join(sorted(EVENT_KINDS))}"
            raise Failure(f"{kind!r} is not a kind of entry{rest}")
    reader = open_series(the_home(home))
    last = reader.last_seq()
    if start > last + 1 and not follow:  # the number after the last entry is allowed: it means nothing new
        raise Failure(f"there is no entry {start}: the series ends with {last}")
    names = (
        NO_NAMES if as_json else StateNames(fold(reader), PetNames(the_home(home)), whole=is_for_programs())
    )
    show: Callable[[Sequence[Entry]], None] = (
        (lambda page: print_json_lines([entry_report(entry) for entry in page]))
        if as_json
        else (lambda page: tell_lines([entry_line(entry, names) for entry in page]))
    )
    if start < (first := reader.first_seq()):
        say(f"history begins at entry {first:,}: older entries were pruned")
    after = _show_kinds(reader, kinds, start - 1, show) if kinds else start - 1
    while True:
        page = reader.read(after, SHOWN_AT_ONCE)
        show([entry for entry in page if not kinds or kind_of(entry.event) in kinds])
        after = page[-1].seq if page else after
        if not page:
            if not follow:
                break
            time.sleep(FOLLOW_SECONDS)
    reader.close()


def _show_kinds(
    reader: SeriesReader, kinds: tuple[str, ...], after: int, show: Callable[[Sequence[Entry]], None]
) -> int:
    """Show the entries of some kinds, which the segments have by kind. Return the last entry that was looked at."""
    seen = max(after, reader.last_seq())
    for page in reader.of_kinds(kinds, after):
        show(page)
        seen = max(seen, page[-1].seq) if page else seen
    return seen


@click.command()
@click.argument("file", type=PathType(), metavar="FILE")
@click.option("--force", is_flag=True, help="Replace an existing file.")
@click.option("--car", metavar="CID-or-TICKET[/PATH]", help="Write this object instead, as a CAR (version 1)."
              " FILE may be `-`: standard output.")  # fmt: skip
@timeout_option
@home_option
@node_options
@json_option
def export(
    file: Path,
    force: bool,
    car: str | None,
    timeout: float | None,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Write a copy of the series to a file that `flux-tui replay` opens; or, with --car, an object as a CAR.

    Every block in a CAR was verified. Those that are not here are fetched: the options of a node are for that.
    """
    if car is not None:
        from flux_tui.cli.content.export_car import export_car

        if as_json and str(file) == "-":
            raise click.UsageError("--json is for a file: standard output gets the CAR")
        limit = patience(timeout)
        export_car(the_home(home), car, str(file), force=force, flags=flags, patience=limit, as_json=as_json)
        return
    OutputType().convert(str(file), None, click.get_current_context())
    open_series(the_home(home)).close()
    count = export_series(the_home(home).database, literal_path(file), overwrite=force)
    if as_json:
        print_json({"event": "done", "path": str(literal_path(file)), "entries": count})
    else:
        say(f"{count:,} entries in {file}")
