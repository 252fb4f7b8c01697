"""`flux-tui get`: fetch a file or folder. It pushes the want, and follows the series until the object is whole."""

import contextlib
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.completions import complete_pending
from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, json_option, load_settings, node_options
from flux_tui.cli.arguments.path_and_stdin_types import Output, OutputOrFolderType
from flux_tui.cli.arguments.time_limit import Patience, late, patience, timeout_option
from flux_tui.cli.background import ensure_node
from flux_tui.cli.commands.add import share
from flux_tui.cli.content.get_selected import get_selected
from flux_tui.cli.content.looking import part_ticket
from flux_tui.cli.get_destination import is_free, is_shared, state_of, target_of
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series, the_home
from flux_tui.cli.no_progress_words import Dials, waiting_for
from flux_tui.cli.output import Failure, are_words_for_programs, print_json, say, tell_path
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket
from flux_tui.core.ids import Cid, short
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import ObjectState
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.quantities import human_size
from flux_tui.home import Home, HomeError
from flux_tui.petnames import PetNames
from flux_tui.store.database import NoRoomError
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.part_names import part_path
from flux_tui.store.series_reader import SeriesReader, StoreError

POLL_SECONDS = 0.05
JSON_SECONDS = 0.5
"""Seconds between two lines of progress for a program."""
LOOK_BACK = 2_000
"""How many past entries are searched for results of dialling the ticket's addresses."""
SETTLE_SECONDS = 2.0
"""Seconds for the node to take a want, or to cancel it."""


@click.command(
    epilog="""\b
Examples:
  flux-tui get flux1…                fetch into this folder, under its own name
  flux-tui get flux1… -o film.mkv    under another name
  flux-tui get flux1… -o new/        into a new folder of this name
  flux-tui get bafy… -o /tmp/        a bare CID: the swarm is asked for it
  flux-tui get flux1… -o - | tar x   a file, written in order while it arrives
  flux-tui get flux1… --timeout 60   fail after a minute, and say why
  flux-tui get bafy…/a/b.txt         one file or folder of it; nothing else is fetched
  flux-tui get bafy… --only '*.jpg'  of a folder, what the pattern names
  flux-tui get bafy… --from https://ipfs.io      block by block from a gateway, and from peers

After an interruption, the same command goes on where it stopped."""
)
@click.argument("what", metavar="CID-or-TICKET[/PATH]", shell_complete=complete_pending)
@click.option("-o", "--output", type=OutputOrFolderType(), default=None, metavar="PATH",
              help="Where to put it: a new name, a folder that exists, `new/` for a new folder, or `-` for standard"
              " output. [default: its own name, in this folder]")  # fmt: skip
@click.option("--only", "patterns", multiple=True, metavar="GLOB", help="Of a folder, fetch only what this pattern"
              " names: `*.jpg` anywhere in it, `2024/*.jpg` from its top, `**/x` at any depth. Several are possible."
              " With it, -o names the folder that gets them.")  # fmt: skip
@click.option("--from", "gateways", multiple=True, metavar="URL", help="Ask this HTTP gateway, too, e.g."
              " https://ipfs.io. Its blocks are verified like those of any peer. Several are possible.")  # fmt: skip
@click.option("--go-on", "--keep", "go_on", is_flag=True, help="When this command is interrupted or ended, or its time"
              " is over, leave the want with the node: the node goes on fetching.")  # fmt: skip
@timeout_option
@home_option
@node_options
@json_option
def get(
    what: str,
    output: Output | None,
    patterns: tuple[str, ...],
    gateways: tuple[str, ...],
    go_on: bool,
    timeout: float | None,
    home: Path | None,
    as_json: bool,
    **flags: Any,
) -> None:
    """Fetch a file or folder from all peers that have it, and verify it.

    Starts this home's node in the background if none runs. The node goes on running, and shares what was fetched.
    """
    place, limit = the_home(home), patience(timeout, keep=go_on)
    to_stdout = output is not None and output.stdout
    if patterns and to_stdout:
        raise click.UsageError("--only names several files, which standard output cannot be")
    if to_stdout:
        _write_out(place, what, gateways, flags, limit)
        return
    if patterns:
        get_selected(place, what, patterns, output, as_json, flags, gateways, limit)
        return
    ticket = part_ticket(place, what, flags, gateways, limit, as_json=as_json)
    path = target_of(place, ticket, output)
    if is_free(place, ticket, path):
        _fetch(place, ticket, path, output, limit, as_json, flags)
    elif is_shared(place, ticket.root):
        _done(ticket, path, as_json, "is here already")
    else:
        ensure_node(place, node_flags(flags))
        _share_again(place, ticket.root, path)
        _done(ticket, path, as_json, "is here already, and is shared again")


def _write_out(
    place: Home, what: str, gateways: tuple[str, ...], flags: Mapping[str, Any], limit: Patience
) -> None:
    """Write a file to standard output, in order, while it arrives (`-o -`), as `cat` does."""
    from flux_tui.cli.commands.content.cat import write_file
    from flux_tui.cli.content.looking import Looking, read_path, with_gateways

    path = with_gateways(read_path(what), gateways) if gateways else read_path(what)
    with Looking(place, path.ticket, flags, limit) as looking:
        write_file(looking, looking.resolve(path))


def _fetch(
    place: Home,
    ticket: Ticket,
    path: Path,
    output: Output | None,
    limit: Patience,
    as_json: bool,
    flags: Mapping[str, Any],
) -> None:
    _ask_for_room(place, ticket, path, load_settings(place, **flags).keep_free)
    ensure_node(place, node_flags(flags))
    if output is not None and output.folder:
        path.parent.mkdir(exist_ok=True)
    reader = open_series(place)
    try:
        whole = _Fetching(place, reader, ticket, path, as_json, limit).run()
    finally:
        reader.close()
    _done(ticket, path, as_json, f"{human_size(whole.size)}, whole and verified", whole.size)


def _ask_for_room(place: Home, ticket: Ticket, path: Path, keep_free: int) -> None:
    """Check that the disk has room for the object. If not, ask the person whether to fetch it anyway.

    Raises Failure if the person says no, or if there is no terminal to ask on. Does nothing if the ticket gives no
    size. Parts of the object that are already on the disk need no more room. `keep_free`: bytes that stay free.
    """
    if ticket.size is None:
        return
    folder = next((one for one in path.parents if one.is_dir()), Path("/"))
    part = part_path(place.path, path, ticket.root)
    came = _blocks(part) if part.exists() else 0
    try:
        DiskSpace(keep_free).check(folder, max(0, ticket.size - came))
    except NoRoomError as error:
        if not (sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()):
            raise Failure(str(error)) from None
        say(f"{error.problem}.")
        if not click.confirm("Fetch it anyway? It waits while the disk is full", err=True):
            raise Failure("nothing was fetched") from None


def _blocks(path: Path) -> int:
    """Return the bytes that a file or folder takes on its disk; 0 if it cannot be read."""
    try:
        inside = path.rglob("*") if path.is_dir() and not path.is_symlink() else ()
        return sum(os.lstat(one).st_blocks * 512 for one in (path, *inside))
    except OSError:
        return 0


def _share_again(home: Home, root: Cid, path: Path) -> None:
    """Share an object again that was removed from the store (`rm`) while its files stayed at `path`.

    Raises Failure if the files have changed, so that their root CID is not `root` any more.
    """
    before = state_of(home).objects
    added = share(home, path)
    if added.root == root:
        return
    if added.root not in before:
        home.push(cmd.Remove((added.root,), new_mark()))
    raise Failure(f"{path} exists already, and its root CID is another one now: choose another name with -o")


class _Fetching:
    """One run of `get`: pushes the want for the object, and follows the series until the object is whole."""

    def __init__(
        self,
        home: Home,
        reader: SeriesReader,
        ticket: Ticket,
        path: Path,
        as_json: bool,
        limit: Patience,
    ) -> None:
        from flux_tui.cli.progress import Progress

        self._home = home
        self._limit = limit
        self._reader = reader
        self._ticket = ticket
        self._path = path
        self._as_json = as_json
        self._state = fold(reader)
        self._called = PetNames(home)
        self._mark = new_mark()
        self._dials = Dials(ticket)
        for entry in reader.read_before(reader.last_seq() + 1, LOOK_BACK):
            self._dials.see(entry)
        self._mine = False
        """Whether this want made the node start the fetch."""
        self._whole: ev.ObjectCompleted | None = None
        self._trouble: str | None = None
        """Why the fetch failed, in one sentence."""
        self._told_at = 0.0
        self._told_trouble: str | None = None
        """The last reason for not being able to write that was shown to the person."""
        self._bar = Progress(
            ticket.name or (ticket.root if are_words_for_programs() else short(ticket.root)), quiet=as_json
        )

    def run(self) -> ev.ObjectCompleted:
        """Push the want, wait until the object is whole, and return the entry that says so. Raises Failure.

        If this fails or is interrupted, the want is cancelled, unless the object was wanted before, or the limit says
        that it is kept: then the node goes on fetching.
        """
        ticket = self._ticket
        want = cmd.Get(
            ticket.root, str(self._path), ticket.name, ticket.size, addrs=ticket.addrs, by=self._mark
        )
        try:
            self._home.push(want)
            with self._bar:
                return self._follow()
        except BaseException as error:
            with contextlib.suppress(HomeError, StoreError):  # then there is no want left to cancel
                self._leave(self._limit.keep, ended=isinstance(error, KeyboardInterrupt))
            raise

    def _follow(self) -> ev.ObjectCompleted:
        while True:
            catch_up(self._reader, self._state, None, self._see)
            if self._whole is not None:
                return self._whole
            if self._trouble is not None:
                raise Failure(self._trouble)
            if self._limit.over:
                ticket = self._ticket
                raise late(self._state, ticket.root, self._called, ticket.name, as_json=self._as_json)
            self._show()
            if self._home.running() is None:
                raise Failure(
                    "the node stopped before the object was whole: the same command goes on where it stopped"
                )
            time.sleep(POLL_SECONDS)

    def _see(self, entry: Entry) -> None:
        root, mark = self._ticket.root, self._mark
        self._dials.see(entry)
        match entry.event:
            case ev.Requested(cid=cid, by=by) if cid == root and by == mark:
                self._mine = True
            case ev.ErrorOccurred(cid=cid, by=None) if cid == root:
                self._tell_trouble(entry.event.text)
            case ev.ObjectCompleted(root=whole, path=at) if whole == root and at == str(self._path):
                self._whole = entry.event
            case ev.ErrorOccurred(cid=cid, by=by) if by == mark or (by and cid == root):
                self._trouble = self._trouble or entry.event.text

    def _tell_trouble(self, text: str) -> None:
        """Tell the person why the object cannot be written here at the moment. The same text is not repeated."""
        if text == self._told_trouble:
            return
        self._told_trouble = text
        if self._as_json:
            print_json({"event": "trouble", "text": text})
        else:
            self._bar.tell(text)

    def _show(self) -> None:
        done, size = _amount(self._state.objects.get(self._ticket.root), self._ticket)
        pending = self._state.pending.get(self._ticket.root)
        if pending is not None and pending.trouble is not None:  # it may be from before this command
            self._tell_trouble(pending.trouble)
        else:
            self._told_trouble = None
        names = StateNames(self._state, self._called, whole=are_words_for_programs())
        note = waiting_for(self._state, self._ticket, time.time(), self._dials.failed, names)
        self._bar.update(done, size, note)
        if self._as_json and time.monotonic() - self._told_at >= JSON_SECONDS:
            self._told_at = time.monotonic()
            print_json({"event": "progress", "bytes": done, "size": size, "waiting_for": note})

    def _leave(self, go_on: bool, *, ended: bool) -> None:
        """Cancel the want, unless `go_on`, or the object was wanted before this command.

        If the person ended the command (`ended`), say what the node does next.
        """
        root = self._ticket.root
        came, _ = _amount(self._state.objects.get(root), self._ticket)
        self._wait(lambda: self._mine or root in self._state.pending or self._trouble is not None)
        pending = root in self._state.pending
        if pending and self._mine and not go_on:
            self._home.push(cmd.Cancel((root,), self._mark))
            self._wait(lambda: root not in self._state.pending)
        if not ended:
            return
        if pending and go_on:
            say(f"The node goes on: `flux-tui cancel {root}` ends that.")
        elif pending and not self._mine:
            say(f"It was wanted before, so the node goes on: `flux-tui cancel {root}` ends that.")
        elif came:
            say("Interrupted. The chunks that arrived are kept: the same command goes on where it stopped.")
        else:
            say("Interrupted before anything arrived: the same command asks again.")

    def _wait(self, what: Callable[[], bool]) -> None:
        """Follow the series until `what()` returns true, the node stops, or SETTLE_SECONDS have passed."""
        deadline = time.monotonic() + SETTLE_SECONDS
        while not what() and time.monotonic() < deadline and self._home.running() is not None:
            time.sleep(POLL_SECONDS)
            with contextlib.suppress(BrokenPipeError):
                catch_up(self._reader, self._state, None, self._see)


def _amount(found: ObjectState | None, ticket: Ticket) -> tuple[int, int]:
    size = (found.size if found else None) or ticket.size or 0
    return (found.have_bytes if found else 0), size


def _done(ticket: Ticket, path: Path, as_json: bool, words: str, size: int | None = None) -> None:
    if as_json:
        print_json({"event": "done", "root": ticket.root, "path": str(path), "size": size})
    else:
        say(f"{ticket.name or ticket.root}: {words}")
        tell_path(path)
