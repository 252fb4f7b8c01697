"""Decide the path where `get` puts an object, and whether the object is there already."""

import contextlib
import os
from pathlib import Path

from flux_tui.cli.arguments.path_and_stdin_types import Output
from flux_tui.cli.home_and_series import FOLD_PAGE, fold, open_series
from flux_tui.cli.output import Failure
from flux_tui.core.content.ticket import Ticket
from flux_tui.core.ids import Cid, is_text
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import State
from flux_tui.home import Home
from flux_tui.path_arguments import literal_path
from flux_tui.store.disk.placement_check import placement


def target_of(home: Home, ticket: Ticket, output: Output | None) -> Path:
    """Return the path where `get` puts the object. `output`: the path that the person gave, if any.

    Raises Failure if the path is not UTF-8, or if its folder does not exist. Only the folder of `-o NEW/` may be
    missing: it is made later.
    """
    into_folder = output is not None and output.folder
    path = _named_path(home, ticket, output)
    if ".." in path.parts:
        path = path.parent.resolve() / path.name
    if not is_text(str(path)):
        raise Failure(f"{path} is not UTF-8: choose another name with -o")
    if not path.parent.is_dir() and not into_folder:
        raise Failure(f"the folder {path.parent} does not exist")
    return path


def _named_path(home: Home, ticket: Ticket, output: Output | None) -> Path:
    """Return the path that the person (`output`) or else the ticket names.

    If `output` is a folder, but not the object itself, the path is the ticket's name in it. If the ticket has no
    usable name, the root CID is the name. Raises Failure if `output` must be a folder and cannot be one.
    """
    name = Path((ticket.name or "").replace("\0", "")).name
    if name in ("", ".."):
        name = ticket.root  # the ticket's name is not a file name
    if output is None:
        return literal_path(name)
    path = literal_path(output.path)
    if output.folder:
        if path.exists() and not path.is_dir():
            raise Failure(f"{path} is a file, not a folder: choose another name with -o")
        if not path.parent.is_dir():
            raise Failure(f"the folder {path.parent} does not exist")
        return path / name
    if path.is_dir() and not _is_at(home, ticket, path):
        return path / name  # the path is a folder to put the object into, not the object
    return path


def is_free(home: Home, ticket: Ticket, path: Path) -> bool:
    """Return True if nothing is at the path, False if this object is, even if it was removed from the store (`rm`).

    Raises Failure if something else is there, or if the object's files were changed.
    """
    if not os.path.lexists(path):
        return True
    if not _is_at(home, ticket, path) and not _was_removed(home, ticket.root, path):
        raise Failure(f"{path} exists already: choose another name with -o")
    return False


def state_of(home: Home) -> State:
    """Return the state that follows from a home's whole series. Raises HomeError if there is no series."""
    with contextlib.closing(open_series(home)) as reader:
        return fold(reader)


def is_shared(home: Home, root: Cid) -> bool:
    """Return whether an object that is on this disk is shared. After `rm` it is not."""
    known = state_of(home).objects.get(root)
    return known is not None and known.completed_at is not None


def _was_removed(home: Home, root: Cid, path: Path) -> bool:
    """Return whether the object at this path was removed from the store (`rm`), while its files stayed."""
    if not home.database.exists():
        return False
    with contextlib.closing(open_series(home)) as reader:
        seq = reader.last_seq() + 1
        while page := reader.read_before(seq, FOLD_PAGE):
            seq = page[0].seq
            for entry in page:
                match entry.event:
                    case ev.ObjectRemoved(root=removed, path=at) if removed == root and at == str(path):
                        return True
    return False


def _is_at(home: Home, ticket: Ticket, path: Path) -> bool:
    """Return whether this object is at the path, as far as the home knows. Raises Failure if its files were changed."""
    if not home.database.exists():
        return False
    found = placement(home.database, ticket.root, path)
    if found is None:
        known = state_of(home).objects.get(ticket.root)
        if known is not None and known.completed_at is not None and known.path == str(path) and path.exists():
            found = "whole" if path.is_dir() or path.stat().st_size == known.size else "changed"
    if found == "changed":
        raise Failure(
            f"{path} was changed since it was fetched: move it away, or choose another name with -o"
        )
    return found == "whole"
