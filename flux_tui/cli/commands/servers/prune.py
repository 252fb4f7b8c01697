"""`flux-tui prune`: drop the oldest entries of the series, or move them to an archive."""

import time
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.completions import complete_folder, complete_keep
from flux_tui.cli.arguments.options import home_option, json_option
from flux_tui.cli.home_and_series import new_mark, open_series, the_home
from flux_tui.cli.output import Failure, print_json, say
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from flux_tui.core.series.keep_rule import BadRuleError, KeepRule, parse_keep_rule
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home
from flux_tui.path_arguments import literal_path
from flux_tui.store.segments.pruning import superfluous

POLL_SECONDS = 0.05
ANSWER_SECONDS = 120.0
"""Seconds to wait for a running node: it may be packing entries just now."""


@click.command()
@click.option(
    "--keep",
    metavar="KEEP",
    default=None,
    shell_complete=complete_keep,
    help="What stays: an age such as 30d, or a size such as 10GiB. [default: that of the settings]",
)
@click.option(
    "--archive",
    metavar="FOLDER",
    default=None,
    shell_complete=complete_folder,
    help="Move the entries to this folder, which `flux-tui replay` opens, instead of deleting them.",
)
@click.option("--dry-run", is_flag=True, help="Only tell what would go.")
@home_option
@json_option
def prune(keep: str | None, archive: str | None, dry_run: bool, home: Path | None, as_json: bool) -> None:
    """Drop the oldest entries of the series. The state stays as it is.

    Entries go in whole segments of some 20,000; the newest entries always stay. The node may run.
    """
    place = the_home(home)
    open_series(place).close()  # fails if there is no home
    settings = Settings.load(place)
    keep = keep or settings.series_keep
    try:
        rule = parse_keep_rule(keep)
    except BadRuleError as error:
        raise Failure(f"--keep: {error}") from None
    folder = literal_path(archive) if archive is not None else settings.archive_folder(place)
    if dry_run:
        _tell(_planned(place, rule), folder, as_json, dry=True)
    elif place.running() is not None:
        _tell(
            _by_the_node(place, cmd.Prune(keep, str(folder) if folder else None, new_mark())), folder, as_json
        )
    else:
        from flux_tui.node.offline import prune_offline

        _tell(prune_offline(place, rule, folder), folder, as_json)


def _planned(home: Home, rule: KeepRule) -> ev.SeriesPruned:
    """Return what a prune would drop. Some of it may have to stay, because the rest begins with it."""
    with closing(open_series(home)) as reader:
        gone = superfluous(reader.segments(), rule, time.time(), 0)
        if not gone:
            return ev.SeriesPruned(entries=0, size=0, first=reader.first_seq())
    entries = gone[-1].last - gone[0].first + 1
    return ev.SeriesPruned(entries=entries, size=sum(one.size for one in gone), first=gone[-1].last + 1)


def _by_the_node(home: Home, command: cmd.Prune) -> ev.SeriesPruned:
    """Have the running node prune, and return the entry about it. Raises Failure."""
    with closing(open_series(home)) as reader:
        seq = reader.last_seq()
        home.push(command)
        deadline = time.monotonic() + ANSWER_SECONDS
        while time.monotonic() < deadline:
            for entry in reader.read(seq, 1000):
                seq = entry.seq
                match entry.event:
                    case ev.SeriesPruned(by=command.by):
                        return entry.event
                    case ev.ErrorOccurred(by=command.by, text=text):
                        raise Failure(text)
                    case _:
                        pass
            if home.running() is None:
                raise Failure("the node stopped before it had pruned: try again")
            time.sleep(POLL_SECONDS)
    raise Failure("the node is busy, and has not pruned yet: its series will tell")


def _tell(pruned: ev.SeriesPruned, folder: Path | None, as_json: bool, *, dry: bool = False) -> None:
    told: dict[str, Any] = {
        "entries": pruned.entries, "bytes": pruned.size, "first": pruned.first,
        "archive": str(folder) if folder is not None and pruned.entries else None, "dry_run": dry,
    }  # fmt: skip
    if as_json:
        print_json(told)
    elif not pruned.entries:
        say(f"nothing to drop: history begins at entry {pruned.first:,}")
    else:
        moved = f"moved to {folder}" if folder is not None else "dropped"
        way = f"would be {moved}" if dry else moved
        begins = "would begin" if dry else "begins"
        count = counted(pruned.entries, "entry", "entries")
        say(f"{count} {way}, {human_size(pruned.size)}; history {begins} at entry {pruned.first:,}")
