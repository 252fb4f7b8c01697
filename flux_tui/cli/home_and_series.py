"""Code that several commands share: arguments, homes, and folding the series of a home."""

import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from flux_tui.cli.arguments.path_and_stdin_types import InputError, text_of_input
from flux_tui.cli.output import Failure
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import extend, restore
from flux_tui.core.series.state import State
from flux_tui.home import Home, HomeError, default_home
from flux_tui.store.series_reader import SeriesReader, SeriesSource, first_state

if TYPE_CHECKING:  # tickets are imported when one is read: the dashboard's first frame has none
    from flux_tui.core.content.ticket import Ticket

FOLD_PAGE = 10_000
"""How many entries are read at a time."""


def the_home(path: Path | None) -> Home:
    """Return the home at `path`, or the default home if `path` is None."""
    return Home(path or default_home())


def home_for_settings(path: Path | None) -> Home:
    """Return the home whose settings a dashboard uses when it shows a recording and not this home's node.

    If `path` is None and this machine has no folder for a default home, an empty home is returned, which has the
    default settings.
    """
    try:
        return the_home(path)
    except HomeError:
        return Home(os.devnull)


def new_mark() -> str:
    """Return a new random mark for a command. The entries that the command causes carry this mark (`by`)."""
    return os.urandom(6).hex()


def read_ticket(text: str) -> "Ticket":
    """Parse a ticket or CID argument. Raises Failure."""
    from flux_tui.core.content.ticket import parse_ticket

    try:
        return parse_ticket(text)
    except BadIdError as error:
        raise Failure(str(error)) from None


def read_cids(texts: Iterable[str]) -> tuple[Cid, ...]:
    """Parse CID or ticket arguments, and return their CIDs, each once.

    The argument `-` stands for the CIDs and tickets on standard input. Raises Failure, also if there is no CID.
    """
    from flux_tui.core.content.ticket import parse_ticket, ticket_words

    given = list(texts)
    try:
        words = ticket_words("\n".join(text_of_input() if text == "-" else text for text in given))
        found = [parse_ticket(word).root for word in words]
    except (BadIdError, InputError) as error:
        raise Failure(str(error)) from None
    if not found:
        raise Failure("there was no CID on standard input" if "-" in given else "the CID is empty")
    return tuple(dict.fromkeys(found))


def open_series(home: Home) -> SeriesReader:
    """Open the series of the home for reading. Raises HomeError if there is none."""
    if home.path.is_file():
        raise HomeError(f"the home {home.path} is a file, not a folder")
    if not home.database.exists():
        raise HomeError(
            f"there is nothing at {home.path} yet: `flux-tui add FILE` or `flux-tui node` creates it"
        )
    return SeriesReader.open(home.database)


def fold(reader: SeriesSource, until: int | None = None) -> State:
    """Return the state after entry number `until`, or after the newest entry if `until` is None.

    The fold starts from the nearest checkpoint. Raises Failure if the entry was pruned.
    """
    last = reader.last_seq() if until is None else until
    check_not_pruned(reader, last)
    found = reader.checkpoint(last)
    state = (restore(found[1]) if found else None) or first_state(reader)
    return catch_up(reader, state, last)


def check_not_pruned(reader: SeriesSource, seq: int) -> None:
    """Check that the state after entry `seq` can be told. Raises Failure if the entries there were pruned."""
    first = reader.first_seq()
    if seq < first - 1:
        raise Failure(f"history begins at entry {first}{_since(reader, first)}: older entries were pruned")


def _since(reader: SeriesSource, seq: int) -> str:
    """Return the time of an entry in words, for a sentence."""
    entries = reader.read(seq - 1, 1)
    return f" ({time.strftime('%Y-%m-%d %H:%M', time.localtime(entries[0].at))})" if entries else ""


def catch_up(
    reader: SeriesSource, state: State, until: int | None = None, see: Callable[[Entry], None] | None = None
) -> State:
    """Fold the entries after `state`, up to entry `until` (None: all), into `state`, and return it.

    `see` is called with each entry after it was folded.
    """
    while until is None or state.seq < until:
        page = reader.read(state.seq, FOLD_PAGE if until is None else min(FOLD_PAGE, until - state.seq))
        if not page:
            break
        if see is None:
            extend(state, page)
            continue
        for entry in page:
            extend(state, (entry,))
            see(entry)
    return state
