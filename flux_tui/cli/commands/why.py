"""`flux-tui why`: explain why an object or chunk is not here yet, and what the node does next."""

import time
from pathlib import Path

import click

from flux_tui.cli.arguments.completions import complete_names_pending
from flux_tui.cli.arguments.moment import moment_in
from flux_tui.cli.arguments.options import home_option, json_option
from flux_tui.cli.arguments.path_and_stdin_types import PathType
from flux_tui.cli.home_and_series import fold, home_for_settings, open_series, the_home
from flux_tui.cli.output import Failure, is_for_programs, print_json, tell
from flux_tui.core.content.object_paths import is_path_or_address
from flux_tui.core.content.ticket import parse_ticket
from flux_tui.core.ids import BadIdError, Cid, short
from flux_tui.core.series.state import State
from flux_tui.core.series.want_explanation import why as explain
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.phrases import object_words
from flux_tui.core.text.why import WhyWords, why_words
from flux_tui.home import Home
from flux_tui.path_arguments import literal_path
from flux_tui.petnames import PetNames
from flux_tui.store.series_reader import SeriesReader

MAX_EXPLAINED = 20
"""How many pending objects and chunks are explained where none is named."""
MAX_NAMED = 8
"""How many pending names are listed in a sentence."""


@click.command()
@click.argument("wanted", nargs=-1, metavar="[NAME|CID]...", shell_complete=complete_names_pending)
@click.option("--at", "moment", default=None, metavar="MOMENT",
              help="As it was then: 12:01:03, -5m, or #1234 for an entry.")  # fmt: skip
@click.option("--series", "file", type=PathType(), default=None, metavar="FILE",
              help="Of a recorded series (see `flux-tui export`), not of the home.")  # fmt: skip
@home_option
@json_option
def why(
    wanted: tuple[str, ...], moment: str | None, file: Path | None, home: Path | None, as_json: bool
) -> None:
    """Explain why an object or chunk is not here yet: which peers have it, their answers, and the next try.

    Without a name: explain everything that is pending, objects first.
    """
    if file is not None:
        path = literal_path(file)
        if not path.is_file():
            raise Failure(f"there is no series at {path}")
        reader, running = SeriesReader.open(path), False
    else:
        reader, running = open_series(the_home(home)), the_home(home).running() is not None
    state, now = _state_at(reader, moment, running=running)
    reader.close()
    called = PetNames(home_for_settings(home))
    place = None if file is not None else the_home(home)
    cids = [find_pending(state, text, place) for text in wanted] or _all_pending(state)[:MAX_EXPLAINED]
    if not cids and not as_json:
        tell("nothing is pending")
    for number, cid in enumerate(dict.fromkeys(cids)):
        found = explain(state, cid, now)
        if as_json:
            print_json({"at": now, **found.as_json()})
            continue
        if number:
            tell("")
        live = running or file is not None or moment is not None
        _print(why_words(found, StateNames(state, called, whole=is_for_programs()), now, running=live))


def _state_at(reader: SeriesReader, text: str | None, *, running: bool) -> tuple[State, float]:
    """Return the state at the moment that a person typed (None: now), and the time of that moment.

    `running`: whether the node runs; if not, "now" is the time of its last entry. A time after the end of the
    series counts as its end. Raises Failure if the text is no moment, or an entry that the series does not have.
    """
    if text is None:
        state = fold(reader)
        return state, time.time() if running else state.at
    last = reader.last_seq()
    newest = reader.read_before(last + 1, 1)
    end = max(time.time(), newest[-1].at) if running and newest else newest[-1].at if newest else 0.0
    moment = moment_in(text, last, end)
    if moment.seq is not None:
        state = fold(reader, moment.seq)
        return state, state.at
    if moment.at is None or moment.at > end:
        return fold(reader), end
    return fold(reader, reader.seq_at(moment.at)), moment.at


def find_pending(state: State, text: str, home: Home | None = None) -> Cid:
    """Return the CID of the pending object or chunk that a person typed as a name, a ticket, a CID or a short CID.

    With a `home`, also as a path inside an object, whose folders have to be here.

    Raises Failure if the text fits nothing that is pending, or several pending objects.
    """
    named = [
        cid for cid in state.pending if (found := state.objects.get(cid)) is not None and found.name == text
    ]
    named = named or [cid for cid in state.pending if text in (cid, short(cid))]
    if len(named) > 1:
        raise Failure(f"{len(named)} pending objects are called {text}: give the CID of one")
    if named:
        return named[0]
    try:
        root = _named(text, home)
    except BadIdError:
        root = None
    if root is not None and root in state.pending:
        return root
    known = next((one for one in state.objects.values() if text == one.name or root == one.root), None)
    if known is not None:
        path = f", at {known.path}" if known.path and known.completed_at is not None else ""
        raise Failure(f"{text} is not pending: it is {object_words(known)}{path}")
    names = (
        found.name for cid in state.pending if (found := state.objects.get(cid)) is not None and found.name
    )
    raise Failure(f"{text} is not pending here; {did_you_mean(text, names)[2:] or _pending_words(state)}")


def _named(text: str, home: Home | None) -> Cid:
    if home is not None and is_path_or_address(text):
        from flux_tui.cli.content.looking import known_part  # trio, which other arguments do not need

        return known_part(home, text)
    return parse_ticket(text).root


def _pending_words(state: State) -> str:
    """Return the end of a sentence that says what is pending: up to MAX_NAMED names, and how many more there are."""
    if not state.pending:
        return "nothing is"
    names = [str(StateNames(state).name(cid)) for cid in _all_pending(state)[:MAX_NAMED]]
    more = len(state.pending) - len(names)
    return f"pending are {', '.join(names)}" + (f" and {more:,} more" if more > 0 else "")


def _all_pending(state: State) -> list[Cid]:
    """Return the CIDs of all pending wants: objects first, then loose chunks."""
    return sorted(state.pending, key=lambda cid: cid not in state.objects)


def _print(words: WhyWords) -> None:
    """Print one explanation of why something is not here, in columns."""
    tell(words.title)
    columns = [(peer.name, peer.has, peer.says, peer.did) for peer in words.peers]
    widths = [max(map(len, column)) for column in zip(*columns, strict=True)]
    for row in columns:
        cells = (f"{text:<{width}}" for text, width in zip(row, widths, strict=True))
        tell(f"  {'  '.join(cells)}".rstrip())
    if not words.peers:
        tell("  nobody is connected, and nobody has answered")
    for sentence in words.next:
        tell(sentence)
