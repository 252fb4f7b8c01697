"""`flux-tui get --only`: fetch those parts of a folder that patterns name. Each part is an object of its own."""

import contextlib
import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.path_and_stdin_types import Output
from flux_tui.cli.arguments.time_limit import WITHOUT_END, Patience, late
from flux_tui.cli.background import ensure_node
from flux_tui.cli.content.looking import Looking, read_path, with_gateways
from flux_tui.cli.get_destination import is_free
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series
from flux_tui.cli.no_progress_words import waiting_for
from flux_tui.cli.output import Failure, print_json, say, tell_path
from flux_tui.core.api import commands as cmd
from flux_tui.core.content import nodes
from flux_tui.core.content.path_walk import list_folder
from flux_tui.core.content.selection import Selection
from flux_tui.core.content.ticket import Ticket
from flux_tui.core.content.unixfs_trees import decode_node, leads_out
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home, HomeError
from flux_tui.path_arguments import literal_path
from flux_tui.petnames import PetNames
from flux_tui.store.series_reader import StoreError

MAX_PARTS = 10_000
"""Parts that one command fetches. Each is an object of its own, with a want of its own."""
MAX_DEPTH = 256
"""Folders in folders that are searched."""
POLL_SECONDS = 0.05


class _Chosen(NamedTuple):
    names: tuple[str, ...]
    cid: Cid
    size: int
    target: str | None
    """Where a symbolic link leads; None: a file or folder."""

    @property
    def rel(self) -> str:
        return "/".join(self.names)


def get_selected(
    home: Home,
    what: str,
    patterns: Sequence[str],
    output: Output | None,
    as_json: bool,
    flags: Mapping[str, Any],
    gateways: Sequence[str] = (),
    patience: Patience = WITHOUT_END,
) -> None:
    """Fetch what the patterns name in a folder, to the same paths below the output folder. Raises Failure."""
    try:
        selection = Selection(patterns)
    except ValueError as error:
        raise Failure(str(error)) from None
    path = with_gateways(read_path(what), gateways) if gateways else read_path(what)
    with Looking(home, path.ticket, flags, patience, as_json=as_json) as looking:
        part = looking.resolve(path)
        name = part.name or path.ticket.name or part.cid
        if part.kind != "folder":
            raise Failure(f"{name} is not a folder, so --only has nothing to choose from")
        chosen = list(_search(looking, part.cid, (), selection))
    if not chosen:
        raise Failure(f"nothing in {what} is named so")
    if len(chosen) > MAX_PARTS:
        raise Failure(f"the patterns name more than {MAX_PARTS:,} parts: get the folder, or fewer at a time")
    folder = literal_path(output.path if output is not None else Path(name).name)
    parts = _Parts(home, path.ticket, folder, chosen, as_json, patience)
    if not parts.chosen:
        raise Failure(f"all that the patterns name in {what} are links that lead out of the folder")
    parts.run(flags)
    size = sum(one.size for one in parts.chosen)
    if as_json:
        print_json(
            {
                "event": "done",
                "root": part.cid,
                "path": str(folder),
                "parts": [one.rel for one in parts.chosen],
            }
        )
    else:
        say(f"{name}: {counted(len(parts.chosen), 'part')}, {human_size(size)}, whole and verified")
        tell_path(folder)


def _search(looking: Looking, cid: Cid, above: tuple[str, ...], selection: Selection) -> Iterator[_Chosen]:
    """Yield what the patterns choose below a folder. Only folders that they may match in are read."""
    if len(above) > MAX_DEPTH:
        raise Failure(f"there are more than {MAX_DEPTH} folders in each other")
    items = looking.walk(list_folder(cid))
    wanted = [
        item
        for item in items
        if selection.takes((*above, item.name)) or selection.may_be_below((*above, item.name))
    ]
    roots = looking.wait([item.cid for item in wanted if not is_leaf(item.cid)])
    for item in wanted:
        names = (*above, item.name)
        node = None if is_leaf(item.cid) else decode_node(item.cid, roots[item.cid])
        if selection.takes(names):
            target = node.target if isinstance(node, nodes.SymlinkNode) else None
            yield _Chosen(names, item.cid, item.tsize, target)
        elif isinstance(node, nodes.FolderNode | nodes.ShardNode):
            yield from _search(looking, item.cid, names, selection)


class _Parts:
    """The parts that one command fetches, and where they go."""

    def __init__(
        self,
        home: Home,
        ticket: Ticket,
        folder: Path,
        chosen: Sequence[_Chosen],
        as_json: bool,
        patience: Patience,
    ) -> None:
        self._patience = patience
        self._home = home
        self._ticket = ticket
        self._folder = folder
        self._as_json = as_json
        self._mark = new_mark()
        self._trouble: str | None = None
        self._missing: dict[Cid, Path] = {}
        """The path of each object that is not whole yet."""
        self._copies: list[tuple[Path, Path]] = []
        """Further paths of an object: from where, to where it is copied."""
        self._links: list[_Chosen] = []
        self._total = 0
        self.chosen = [one for one in chosen if _stays_inside(one)]
        first: dict[Cid, Path] = {}
        for one in self.chosen:
            at = folder.joinpath(*one.names)
            if one.target is not None:
                self._links.append(one)
            elif one.cid in first:
                self._copies.append((first[one.cid], at))
            else:
                first[one.cid] = at
                if is_free(home, Ticket(one.cid), at):
                    self._missing[one.cid] = at
                    self._total += one.size

    def run(self, flags: Mapping[str, Any]) -> None:
        """Fetch what is missing, then make copies and links. If it ends early, the wants end too. Raises Failure."""
        from flux_tui.cli.progress import Progress

        for at in (*self._missing.values(), *(to for _, to in self._copies)):
            at.parent.mkdir(parents=True, exist_ok=True)
        if self._missing:
            ensure_node(self._home, node_flags(flags))
            with contextlib.closing(open_series(self._home)) as reader:
                state = fold(reader)
                commands = [
                    cmd.Get(cid, str(at), at.name, addrs=self._ticket.addrs, by=self._mark)
                    for cid, at in self._missing.items()
                ]
                try:
                    self._home.push(*commands)
                    with Progress(self._folder.name, quiet=self._as_json) as bar:
                        while self._missing:
                            catch_up(reader, state, None, self._see)
                            if self._trouble is not None:
                                raise Failure(self._trouble)
                            if self._missing and self._patience.over:
                                raise late(
                                    state,
                                    next(iter(self._missing)),
                                    PetNames(self._home),
                                    as_json=self._as_json,
                                )
                            if self._missing and self._home.running() is None:
                                raise Failure(
                                    "the node stopped before all of it was whole: the same command goes on"
                                )
                            have = sum(
                                known.have_bytes
                                for command in commands
                                if (known := state.objects.get(command.root)) is not None
                            )
                            root = next(iter(self._missing), None)
                            ticket = self._ticket._replace(root=root or self._ticket.root)
                            bar.update(have, self._total, waiting_for(state, ticket, time.time()))
                            time.sleep(POLL_SECONDS)
                except BaseException:
                    with contextlib.suppress(HomeError, StoreError):  # then there is no want left to cancel
                        catch_up(reader, state, None, self._see)
                        if not self._patience.keep:
                            mine = tuple(cid for cid in self._missing if cid in state.pending)
                            self._home.push(*(cmd.Cancel(part, self._mark) for part in cmd.in_parts(mine)))
                    raise
        for origin, to in self._copies:
            _copy(origin, to)
        for link in self._links:
            self._make_link(link)

    def _see(self, entry: Entry) -> None:
        match entry.event:
            case ev.ObjectCompleted(root=root, path=at) if at == str(self._missing.get(root)):
                del self._missing[root]
            case ev.ErrorOccurred(by=by, text=text) if by == self._mark:
                self._trouble = self._trouble or text
            case _:
                pass

    def _make_link(self, link: _Chosen) -> None:
        assert link.target is not None
        at = self._folder.joinpath(*link.names)
        at.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileExistsError):
            at.symlink_to(link.target)


def _stays_inside(one: _Chosen) -> bool:
    """Whether a part is no link that leads out of the folder. Says so if it is one: it is left out."""
    if one.target is None or not leads_out(one.rel, one.target):
        return True
    say(f"{one.rel} → {one.target} leads out of the folder, so it is left out")
    return False


def _copy(origin: Path, to: Path) -> None:
    """Copy a file or folder, unless something is at the path already. Raises Failure."""
    if os.path.lexists(to):
        return
    try:
        if origin.is_dir():
            shutil.copytree(origin, to, symlinks=True)
        else:
            shutil.copy2(origin, to, follow_symlinks=False)
    except OSError as error:
        raise Failure(f"{to} cannot be written: {(error.strerror or str(error)).lower()}") from None
