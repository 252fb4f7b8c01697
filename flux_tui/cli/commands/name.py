"""`flux-tui name`: give peers names, which are shown in place of their ids."""

from contextlib import closing
from pathlib import Path

import click

from flux_tui.cli.arguments.completions import complete_peers
from flux_tui.cli.arguments.options import home_option, json_option
from flux_tui.cli.home_and_series import fold, the_home
from flux_tui.cli.output import Failure, print_json, say, tell
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import State
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.core.text.names import StateNames, is_peer_id
from flux_tui.petnames import PetNames
from flux_tui.store.series_reader import SeriesReader


@click.command()
@click.argument("peer", required=False, metavar="[PEER]", shell_complete=complete_peers)
@click.argument("called", nargs=-1, metavar="[NAME]")
@home_option
@json_option
def name(peer: str | None, called: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Give a peer a name, shown here and in the dashboard. Without NAME: remove its name.

    PEER is a peer id, its short form, or its name. Without PEER: print all names.
    """
    here = the_home(home)
    names = PetNames(here)
    if peer is None:
        _print_all(names, as_json)
        return
    found = find_peer(peer, names, _state_of(here.database))
    here.prepare()
    try:
        kept = names.rename(found, " ".join(called))
    except ValueError as error:
        raise Failure(str(error)) from None
    if as_json:
        print_json({"peer": found, "name": kept or None})
    else:
        say(f"{found} is called {kept} now" if kept else f"{found} has no name any more")


def _print_all(names: PetNames, as_json: bool) -> None:
    for one, known in names.items():
        if as_json:
            print_json({"peer": one, "name": known})
        else:
            tell(f"{known}  {one}")
    if not names and not as_json:
        say("no peer has a name yet: `flux-tui name PEER NAME` gives it one")


def _state_of(database: Path) -> State:
    """Return the state of a home, or an empty one if it has no series yet."""
    if not database.exists():
        return State()
    with closing(SeriesReader.open(database)) as reader:
        return fold(reader)


def find_peer(text: str, names: PetNames, state: State) -> PeerId:
    """Return the peer that a person typed: its peer id, its short id as it is shown, or its name.

    A complete peer id need not be known here. Raises Failure if no known peer has the short id or name.
    """
    if is_peer_id(text):
        return PeerId(text)
    shown = StateNames(state, names)
    known: list[PeerId] = [*names, *state.peers]
    for one in known:
        if names.get(one, "").casefold() == text.casefold() or shown.peer(one) == text:
            return one
    called = [*names.values(), *map(str, map(shown.peer, known))]
    raise Failure(f"{text} is not a peer that this node knows: give its whole id{did_you_mean(text, called)}")
