"""`flux-tui add`: share files and folders."""

import contextlib
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import click
import msgspec

from flux_tui.cli.arguments.options import home_option, json_option
from flux_tui.cli.arguments.path_and_stdin_types import STDIN, PathOrInputType, Stdin
from flux_tui.cli.background import BUSY_SECONDS, StartDeadline
from flux_tui.cli.content.piped_input import DEFAULT_NAME, name_error, piped_input
from flux_tui.cli.get_destination import state_of
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series, the_home
from flux_tui.cli.output import Failure, print_json, say, say_dark_on_light, tell
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import Cid, is_text
from flux_tui.core.peers.ticket_addrs import ticket_addrs
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import State
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home, HomeBusyError, HomeError
from flux_tui.path_arguments import literal_path
from flux_tui.qr_code import QrError, qr_lines
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.series_reader import SeriesReader, StoreError

POLL_SECONDS = 0.05
TAKE_BACK_SECONDS = 2.0
"""Seconds for a node to answer about an add that was interrupted."""


@click.command(
    epilog="""\b
Examples:
  flux-tui add film.mkv            prints its root CID and a ticket
  flux-tui add photos/ notes.txt   folders, too
  flux-tui add film.car            a CAR (version 1): the object in it is shared
  flux-tui add --json film.mkv     for a program
  tar c x | flux-tui add - --name x.tar      what comes on standard input, whatever its size
  flux-tui add --qr film.mkv       for a camera (an extra: pip install 'flux-tui[qr]')"""
)
@click.argument("paths", nargs=-1, required=True, type=PathOrInputType(), metavar="PATH...")
@click.option("--name", default=None, metavar="NAME", help="With `-` (standard input): the name under which it is"
              f" shared. [default: {DEFAULT_NAME}]")  # fmt: skip
@home_option
@json_option
@click.option(
    "--verify",
    is_flag=True,
    help="Read every file again, also those that look unchanged (same size, times and inode) since the last add.",
)
@click.option("--as-file", is_flag=True, help="Share a CAR as the file that it is, not the object in it.")
@click.option("--qr", "as_code", is_flag=True, help="Show each ticket as a QR code on stderr, too.")
def add(
    paths: tuple[Path | Stdin, ...],
    name: str | None,
    home: Path | None,
    as_json: bool,
    verify: bool,
    as_file: bool,
    as_code: bool,
) -> None:
    """Share files or folders: print the root CID and a ticket of each.

        Nothing is copied: the bytes stay where they are. If such a file is changed later, its
        changed parts are no longer sent. Add the same path again after a change: only files that
    were changed are read. Of a CAR, every block is verified, and stays in the CAR.

        `-` is standard input. What comes there is kept in the home until `flux-tui rm`. A program before the pipe that
        fails ends it like one that is done: in bash, `set -o pipefail` tells you.
    """
    if paths.count(STDIN) > 1:
        raise click.UsageError("standard input (`-`) can be read once only")
    if name is not None and STDIN not in paths:
        raise click.UsageError("--name is for standard input (`-`): a file is shared under its own name")
    if name is not None and (wrong := name_error(name)) is not None:
        raise click.UsageError(f"--name: {wrong}")
    if as_code:
        _check_qr_codes()
    place = the_home(home)
    for path in paths:
        if isinstance(path, Stdin):
            added = _share_input(place, name or DEFAULT_NAME)
        else:
            absolute = literal_path(path)
            if absolute.name in ("", ".."):
                absolute = absolute.resolve()  # an object is shared under its own name
            added = share(place, absolute, verify=verify or as_file, car=not as_file and _is_car(absolute))
        reader = open_series(place)
        state = fold(reader)
        reader.close()
        ticket = _tell(place, state, added, as_json)
        if as_code:
            _show_code(ticket)


def _share_input(home: Home, name: str) -> ev.ObjectAdded:
    """Share what comes on standard input. Returns the entry that records it. Raises Failure.

    It is kept in a file of the home. If the same bytes are shared already from a file that is still there, that file
    goes on being used, and the new one is deleted.
    """
    with piped_input(home, name) as piped:
        before = dict(state_of(home).objects) if home.database.exists() else {}
        added = share(home, piped.path)
        known = before.get(added.root)
        if (
            known is not None
            and known.completed_at is not None
            and not known.broken
            and known.path is not None
        ):
            place = Path(known.path)
            if place.is_file() and place.parent != home.path / KEPT:
                again = share(home, place)
                if again.root == added.root:
                    return msgspec.structs.replace(again, name=name)
        piped.keep()
        return added


def _is_car(path: Path) -> bool:
    if path.suffix.lower() != ".car":
        return False
    from flux_tui.node.disk.car_reader import is_car

    return is_car(path)


def share(home: Home, path: Path, *, verify: bool = False, car: bool = False) -> ev.ObjectAdded:
    """Share a file or folder: through the running node, or in this process if no node runs.

    `verify`: read files again that look unchanged. `car`: the path is a CAR file, and the object in it is shared.
    Returns the entry that records it. Raises Failure if the path cannot be shared, or if another process goes on
    using the home.
    """
    if not path.exists():
        raise Failure(f"{path} does not exist")
    if not is_text(str(path)):
        raise Failure(f"{path} is not UTF-8: rename it to share it")
    home.prepare()
    deadline = StartDeadline(home, BUSY_SECONDS)
    while True:
        if _wait_for_home(home, deadline):
            return _push_add(home, cmd.Add(str(path), new_mark(), verify, car))
        with contextlib.suppress(HomeBusyError):  # a node has just taken the home
            return _add_here(home, path, verify, car)


def _wait_for_home(home: Home, deadline: StartDeadline) -> bool:
    """Wait until a node listens (return True), or until no process uses the home (return False).

    Raises Failure if another process still uses the home when the deadline is over.
    """
    while (owner := home.running()) is not None:
        if home.listening():
            return True
        # A node is just starting, or another process adds while no node runs.
        if deadline.is_over():
            raise Failure(
                f"the home {home.path} is in use by the process with pid {owner}: wait until it is done"
            )
        time.sleep(POLL_SECONDS)
    return False


def _add_here(home: Home, path: Path, verify: bool, car: bool) -> ev.ObjectAdded:
    """Add the path in this process, without a node. Returns the entry that records it.

    Raises HomeBusyError if another process uses the home.
    """
    from flux_tui.cli.progress import Progress
    from flux_tui.node.offline import add_offline

    try:
        with Progress(f"adding {path.name}") as bar:
            return add_offline(home, path, new_mark(), bar.update, bar.tell, verify=verify, car=car)
    except KeyboardInterrupt:
        with contextlib.suppress(HomeError, StoreError), contextlib.closing(open_series(home)) as reader:
            _report_interrupted(path, fold(reader))
        raise


def _push_add(home: Home, command: cmd.Add) -> ev.ObjectAdded:
    """Ask the running node to add the path, and follow the series until the add is done.

    Returns the entry that records it. Raises Failure if the node reports an error or stops. Ctrl+C undoes the add.
    """
    from flux_tui.cli.progress import Progress

    reader = open_series(home)
    state = fold(reader)
    path, mark = Path(command.path), command.by
    assert mark is not None
    shared_before = frozenset(state.objects)
    outcome: list[ev.ObjectAdded] = []
    with Progress(f"adding {path.name}") as bar:

        def see(entry: Entry) -> None:
            match entry.event:
                case ev.ObjectAdded(by=by) if by == mark:
                    outcome.append(entry.event)
                case ev.AddProgressed(by=by) if by == mark:
                    bar.update(entry.event.bytes_done, entry.event.size)
                case ev.ErrorOccurred(by=by) if by == mark:
                    raise Failure(entry.event.text)
                case ev.ErrorOccurred(by=None, path=at, cid=root) if root is not None and at == str(path):
                    bar.tell(entry.event.text)

        try:
            home.push(command)
            while not outcome:
                catch_up(reader, state, None, see)
                if not outcome:
                    if home.running() is None:
                        raise Failure(f"the node stopped while it was adding {path}: try again")
                    time.sleep(POLL_SECONDS)
        except KeyboardInterrupt:
            _undo_add(home, reader, state, path, mark, shared_before)
            raise
    reader.close()
    return outcome[0]


def _undo_add(
    home: Home, reader: SeriesReader, state: State, path: Path, mark: str, shared_before: Collection[Cid]
) -> None:
    """Undo an interrupted add: the node stops reading the path, or stops sharing the object that it has just added.

    Then tell the person whether the path is shared. `reader`, `state`: the home's series, and the state that was
    folded from it so far. `mark`: the mark of the add command, by which its entries are found. `shared_before`: the
    root CIDs that were shared before the add; such an object stays shared.
    """
    done: list[Entry] = []

    def see(entry: Entry) -> None:
        if isinstance(entry.event, ev.AddCancelled | ev.ObjectAdded) and entry.event.by == mark:
            done.append(entry)

    with contextlib.suppress(HomeError):  # then no node reads it any more
        home.push(cmd.CancelAdd(str(path), mark))
        deadline = time.monotonic() + TAKE_BACK_SECONDS
        while not done and time.monotonic() < deadline:
            catch_up(reader, state, None, see)
            time.sleep(POLL_SECONDS)
        added = done[0].event if done else None
        if isinstance(added, ev.ObjectAdded) and added.root not in shared_before:
            home.push(cmd.Remove((added.root,)))
            del state.objects[added.root]
    _report_interrupted(path, state)


def _report_interrupted(path: Path, state: State) -> None:
    """Tell the person whether this path is still shared after an interrupted add (an earlier add may share it)."""
    if any(known.path == str(path) and known.completed_at is not None for known in state.objects.values()):
        say(f"Interrupted: {path.name} was shared before, and still is.")
    else:
        say(f"Interrupted: {path.name} is not shared.")


def _addrs_of_a_stopped_node(home: Home, state: State) -> tuple[str, ...]:
    """Return the addresses at which the stopped node of this home can probably be dialled when it runs again.

    They are this machine's addresses with the port of the last run, and addresses through relays. If the person
    chose where the node listens, they are the addresses of its last run. Empty: it never ran.
    """
    port = home.last_port()
    listen = Settings.load(home).listen_addrs(home)
    if state.peer_id is None or port is None or not any(f"/tcp/{port}/" in addr for addr in state.addrs):
        return state.addrs  # it listened at addresses that the person chose
    from flux_tui.net.addresses.own_addrs import dialable

    relayed = tuple(addr for addr in state.addrs if "/p2p-circuit/" in addr)
    return (*relayed, *dialable(listen, state.peer_id))


def _check_qr_codes() -> None:
    """Raise Failure if no QR code can be made, before anything is added."""
    try:
        qr_lines("flux1")
    except QrError as error:
        raise Failure(str(error)) from None


def _show_code(ticket: str) -> None:
    try:
        say_dark_on_light(qr_lines(ticket))
    except QrError as error:
        say(str(error))


def _tell(home: Home, state: State, added: ev.ObjectAdded, as_json: bool) -> str:
    """Print what was added, and return its ticket."""
    alive = home.running() is not None
    addrs = state.addrs if alive else _addrs_of_a_stopped_node(home, state)
    named = ticket_addrs(state) if alive else addrs
    ticket = format_ticket(Ticket(added.root, added.name, added.size, named))
    if as_json:
        found: dict[str, Any] = {
            "root": added.root,
            "name": added.name,
            "size": added.size,
            "chunks": added.chunks,
            "path": added.path,
            "ticket": ticket,
            "addrs": list(addrs),
            "running": alive,
        }
        print_json(found)
    else:
        say(f"{added.name}: {human_size(added.size)} in {counted(added.chunks, 'chunk')}")
        tell(added.root)
        tell(ticket)
    if not alive:
        say("No node is running, so nobody can fetch it yet: start one with `flux-tui node`.")
        if not addrs:
            say("The ticket has no address, because this home's node never ran: add again once it does.")
    return ticket
