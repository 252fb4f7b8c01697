"""`flux-tui rm`: stop sharing objects."""

import contextlib
import time
from pathlib import Path

import click

from flux_tui.cli.arguments.completions import complete_shared
from flux_tui.cli.arguments.options import home_option, json_option
from flux_tui.cli.background import BUSY_SECONDS, StartDeadline
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series, read_cids, the_home
from flux_tui.cli.output import Failure, print_json, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.object_paths import is_path_or_address
from flux_tui.core.content.ticket import parse_ticket
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.state import State
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home, HomeBusyError
from flux_tui.path_arguments import literal_path
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.disk.piped_files import is_piped

POLL_SECONDS = 0.05
FREE_SECONDS = 3.0
"""Seconds to wait for a running node to free the chunks. The node goes on by itself afterwards."""


@click.command(
    short_help="Stop sharing objects; your files stay as they are.",
    epilog="""\b
Examples:
  flux-tui rm bafy…            what `add` printed, or `flux-tui state` lists
  flux-tui rm flux1… bafk…     tickets, too; several at once
  flux-tui rm --json bafy…     for a program""",
)
@click.argument("roots", nargs=-1, required=True, metavar="ROOT...", shell_complete=complete_shared)
@home_option
@json_option
def remove(roots: tuple[str, ...], home: Path | None, as_json: bool) -> None:
    """Stop sharing objects, each named by its root CID or a ticket.

    Peers that ask for them, or are fetching them, are answered NO. Your own files are never changed. Chunks
    that are only in the store (from `want`) are deleted, unless another object contains them.
    """
    place = the_home(home)
    found = tuple(dict.fromkeys(_roots(place, roots)))
    outcome = _Outcome(found)
    for event in _remove(place, cmd.Remove(found, new_mark()), outcome):
        outcome.see(event)
    outcome.tell(place, as_json)


class _Outcome:
    """The objects of one `rm` command, by their state: removed, freed (their chunks are deleted), or refused."""

    def __init__(self, roots: tuple[Cid, ...]) -> None:
        self._open = dict.fromkeys(roots)
        self._removed: dict[Cid, ev.ObjectRemoved] = {}
        self._freed: dict[Cid, ev.ObjectFreed] = {}
        self._errors: list[str] = []

    @property
    def done(self) -> bool:
        """Whether the node has finished with every object: the object's chunks are freed, or there was an error."""
        return len(self._errors) + len(self._freed) >= len(self._open)

    @property
    def told(self) -> bool:
        """Whether every object is removed or refused. The node may still be freeing the chunks."""
        return len(self._errors) + len(self._removed) >= len(self._open)

    def see(self, event: Event) -> None:
        """Note what an entry that this command caused says of an object: removed, freed, or an error."""
        match event:
            case ev.ObjectRemoved():
                self._removed[event.root] = event
            case ev.ObjectFreed():
                self._freed[event.root] = event
            case ev.ErrorOccurred():
                self._errors.append(event.text)
            case _:
                pass

    def tell(self, home: Home, as_json: bool) -> None:
        """Print the outcome for each object. Raises Failure if an object could not be removed."""
        running = home.running() is not None
        for root, removed in self._removed.items():
            freed = self._freed.get(root)
            if as_json:
                print_json(
                    {
                        "root": root,
                        "name": removed.name,
                        "size": removed.size,
                        "path": removed.path,
                        "freed_chunks": freed.chunks if freed is not None else None,
                        "freed_bytes": freed.size if freed is not None else None,
                        "told": len(removed.peers),
                        "running": running,
                    }
                )
            else:
                words = f"{removed.name or root} is no longer shared"
                if removed.path is not None and not _is_own(home, Path(removed.path)):
                    words += f"; {removed.path} stays as it is"
                if freed is not None:
                    words += (
                        f" ({counted(freed.chunks, 'chunk')} forgotten, {human_size(freed.size)})"
                        if freed.chunks
                        else "; its chunks stay, because another object has them"
                    )
                say(words)
        if self._errors:
            raise Failure("; ".join(self._errors))


def _is_own(home: Home, path: Path) -> bool:
    """Whether the store made the file at a path, so that it goes with its object."""
    return path.parent == home.path / KEPT or is_piped(home.path, path)


def _roots(home: Home, texts: tuple[str, ...]) -> list[Cid]:
    """Return the root CIDs that the arguments (CIDs, tickets, or `-` for standard input) name. Raises Failure.

    If an argument is the name or path of a shared object, the error tells the object's CID.
    """
    found: list[Cid] = []
    for text in texts:
        if text == "-":
            found += read_cids((text,))
            continue
        if is_path_or_address(text):
            found.append(_part(home, text))
            continue
        try:
            found.append(parse_ticket(text).root)
        except BadIdError as error:
            root = _called(home, text)
            if root is None:
                raise Failure(str(error)) from None
            raise Failure(f"{text} is shared as {root}: `flux-tui rm {root}` stops that") from None
    return found


def _part(home: Home, text: str) -> Cid:
    """Return the root of what a path inside an object leads to, if it is shared as an object of its own.

    Raises Failure, also if it is shared only as a part.
    """
    from flux_tui.cli.content.looking import known_part, read_path  # trio, which other arguments do not need

    path, cid = read_path(text), known_part(home, text)
    if path.names and cid not in _state(home).objects:
        whole = path.ticket.root
        raise Failure(
            f"{path.names[-1]} is shared as a part of {whole} only: `flux-tui rm {whole}` stops that"
        )
    return cid


def _state(home: Home) -> State:
    reader = open_series(home)
    state = fold(reader)
    reader.close()
    return state


def _called(home: Home, text: str) -> Cid | None:
    if not home.database.exists():
        return None
    state = _state(home)
    path = str(literal_path(text))
    return next((o.root for o in state.objects.values() if text == o.name or path == o.path), None)


def _remove(home: Home, command: cmd.Remove, outcome: _Outcome) -> list[Event]:
    """Remove objects through the running node, or in this process if no node runs.

    Returns the entries that this process appended. If the node removed the objects, the list is empty, and
    `outcome` has noted the node's entries. Raises Failure if the node stops, or another process goes on using the
    home.
    """
    open_series(home).close()  # fails if there is no home yet, before one is made
    deadline = StartDeadline(home, BUSY_SECONDS)
    from flux_tui.node.offline import remove_offline

    while True:
        while (owner := home.running()) is not None:
            if home.listening():
                _push(home, command, outcome)
                return []
            if deadline.is_over():
                raise Failure(
                    f"the home {home.path} is in use by the process with pid {owner}: wait until it is done"
                )
            time.sleep(POLL_SECONDS)
        with contextlib.suppress(HomeBusyError):  # a node has just taken the home
            return remove_offline(home, command)


def _push(home: Home, command: cmd.Remove, outcome: _Outcome) -> None:
    reader = open_series(home)
    try:
        state = fold(reader)

        def see(entry: Entry) -> None:
            if getattr(entry.event, "by", None) == command.by:
                outcome.see(entry.event)

        home.push(command)
        deadline = None
        while not outcome.done:
            catch_up(reader, state, None, see)
            if outcome.told:
                deadline = deadline or time.monotonic() + FREE_SECONDS
                if time.monotonic() > deadline:
                    break
            if home.running() is None:
                raise Failure("the node stopped before the object was removed: try again")
            time.sleep(POLL_SECONDS)
    finally:
        reader.close()


rm = remove
