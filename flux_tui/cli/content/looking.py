"""Look into an object from the command line: what is here is read, and only blocks that lack are wanted."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.time_limit import WITHOUT_END, Patience, late
from flux_tui.cli.background import ensure_node
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series, read_cids
from flux_tui.cli.no_progress_words import Dials, waiting_for
from flux_tui.cli.output import Failure, are_words_for_programs, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.object_paths import ObjectPath, is_path_or_address, parse_object_path
from flux_tui.core.content.path_walk import Part, Walk, resolve
from flux_tui.core.content.ticket import Ticket
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import State
from flux_tui.core.text.names import StateNames
from flux_tui.home import Home
from flux_tui.petnames import PetNames
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.reading.home_blocks import HomeBlocks
from flux_tui.store.series_reader import SeriesReader

T = TypeVar("T")

PATIENT_SECONDS = 2.0
"""Seconds after which a command says what it waits for."""


def read_path(text: str) -> ObjectPath:
    """Parse an argument: a CID, a ticket, or a path inside one. Raises Failure."""
    try:
        return parse_object_path(text)
    except BadIdError as error:
        raise Failure(str(error)) from None


@contextmanager
def as_failures() -> Iterator[None]:
    """Turn the errors of reading an object into Failures, each with one sentence."""
    try:
        yield
    except (BadBlockError, ReadError) as error:
        raise Failure(str(error)) from None


@contextmanager
def bare_errors() -> Iterator[None]:
    """Raise the only error in groups of one bare, as it was raised in a nursery."""
    try:
        yield
    except BaseExceptionGroup as group:
        found: BaseException = group
        while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
            found = found.exceptions[0]
        raise found from None


class Follower:
    """Follows the series of a home while a command waits for blocks: errors, and what the want waits for.

    `mark`: the mark of the command's wants.
    """

    def __init__(self, home: Home, ticket: Ticket, mark: str) -> None:
        self._home = home
        self._mark = mark
        self._reader: SeriesReader | None = None
        self._state: State | None = None
        self._dials = Dials(ticket)
        self._ticket = ticket
        self.trouble: str | None = None
        """Why the fetch failed, in one sentence."""

    def look(self) -> None:
        """Read the new entries. Raises Failure if one of them says that the fetch failed."""
        if self._reader is None or self._state is None:
            self._reader = open_series(self._home)
            self._state = fold(self._reader)
        catch_up(self._reader, self._state, None, self._see)
        if self.trouble is not None:
            raise Failure(self.trouble)

    def waits_for(self, cid: Cid) -> str:
        """Return in words what the want for this block or object waits for. Empty: it is not wanted."""
        if self._state is None:
            return ""
        names = StateNames(self._state, PetNames(self._home), whole=are_words_for_programs())
        ticket = self._ticket._replace(root=cid)
        return waiting_for(self._state, ticket, time.time(), self._dials.failed, names)

    def late(self, cids: Sequence[Cid], *, as_json: bool = False) -> Failure:
        """Return the Failure that says why the first of these that is pending is not here. Reads the new entries."""
        try:
            self.look()
        except Failure as error:
            return error
        state = self._state or State()
        cid = next((one for one in cids if one in state.pending), cids[0])
        name = self._ticket.name if cid == self._ticket.root else None
        return late(state, cid, PetNames(self._home), name, as_json=as_json)

    def wanted_by(self, cid: Cid) -> str | None:
        """Return the mark of the command that wants an object, as far as the series was read; None: none does.

        Empty: the command has no mark.
        """
        pending = self._state.pending.get(cid) if self._state is not None else None
        return None if pending is None or pending.block else pending.by or ""

    def close(self) -> None:
        """Close the series."""
        if self._reader is not None:
            self._reader.close()

    def _see(self, entry: Entry) -> None:
        self._dials.see(entry)
        match entry.event:
            case ev.ErrorOccurred(by=by, text=text) if by == self._mark:
                self.trouble = self.trouble or text
            case _:
                pass


class Looking:
    """One command's look into objects of a home. Use it as a context manager.

    The home's node is started, with the options `flags`, when the first block lacks. `ticket`: whose addresses are
    dialled then. `patience`: how long it waits; after that, a Failure says why. `as_json`: a line for a program does,
    too.
    """

    def __init__(
        self,
        home: Home,
        ticket: Ticket,
        flags: Mapping[str, Any] | None,
        patience: Patience = WITHOUT_END,
        *,
        as_json: bool = False,
    ) -> None:
        self.home = home
        self.patience = patience
        self._as_json = as_json
        self.ticket = ticket
        self.mark = new_mark()
        self.follower = Follower(home, ticket, self.mark)
        self._flags = flags
        self._since = time.monotonic()
        self._told = ""
        self.begun = False
        """Whether a block lacked, so that a node was made sure of."""
        self.blocks = HomeBlocks(
            home, None if flags is None else self.begin, by=self.mark, waiting=self._waiting
        )

    def __enter__(self) -> "Looking":
        return self

    def __exit__(self, *_: object) -> None:
        with contextlib.suppress(ReadError):
            self.blocks.close(keep=self.patience.keep)
        self.follower.close()

    def begin(self) -> None:
        """Start the node if none runs, and have it dial the ticket's addresses."""
        ensure_node(self.home, node_flags(self._flags or {}))
        first, self.begun = not self.begun, True
        if first and self.ticket.addrs:
            self.home.push(*(cmd.Join(addr, self.mark) for addr in self.ticket.addrs))

    def walk(self, walk: Walk[T]) -> T:
        """Run a walk to its end (core/content/path_walk.py). Raises Failure."""
        with as_failures():
            try:
                wanted = next(walk)
                while True:
                    self._since = time.monotonic()
                    wanted = walk.send(self.blocks.wait(wanted, self._waiting))
            except StopIteration as end:
                result: T = end.value
                return result

    def resolve(self, path: ObjectPath) -> Part:
        """Return what a path leads to. Raises Failure."""
        return self.walk(resolve(path.ticket.root, path.names))

    def wait(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """Return the bytes of these blocks. Raises Failure."""
        self._since = time.monotonic()
        with as_failures():
            return self.blocks.wait(cids, self._waiting)

    def _waiting(self, cids: Sequence[Cid]) -> None:
        self.follower.look()
        self.check_patience(cids)
        if time.monotonic() - self._since >= PATIENT_SECONDS:
            self._since = time.monotonic()
            self.tell(self.follower.waits_for(cids[0]))

    def check_patience(self, cids: Sequence[Cid]) -> None:
        """Raise Failure with the reason if the time is over. `cids`: what lacks."""
        if self.patience.over:
            raise self.follower.late(cids, as_json=self._as_json)

    def tell(self, words: str) -> None:
        """Say what the command waits for, unless that was said last."""
        if words and words != self._told:
            self._told = words
            say(f"waiting: {words}")


def with_gateways(path: ObjectPath, gateways: Sequence[str]) -> ObjectPath:
    """Return the path with these gateways (`--from`) among the addresses of its ticket. Raises Failure."""
    from flux_tui.net.gateways.with_gateways import BadGatewayError, gateway_base

    try:
        addrs = (*path.ticket.addrs, *map(gateway_base, gateways))
    except BadGatewayError as error:
        raise Failure(str(error)) from None
    return path._replace(ticket=path.ticket._replace(addrs=addrs))


def part_ticket(
    home: Home,
    text: str,
    flags: Mapping[str, Any],
    gateways: Sequence[str] = (),
    patience: Patience = WITHOUT_END,
    *,
    as_json: bool = False,
) -> Ticket:
    """Return the ticket of what an argument names: an object, or the file or folder that its path leads to.

    Only the blocks on the way are fetched. `gateways`: gateways that are asked, too. `patience`, `as_json`: as for
    `Looking`.
    Raises Failure; also for a symbolic link, which has no content.
    """
    path = with_gateways(read_path(text), gateways) if gateways else read_path(text)
    if not path.names:
        return path.ticket
    with Looking(home, path.ticket, flags, patience, as_json=as_json) as looking:
        part = looking.resolve(path)
    if part.kind == "link":
        raise Failure(f"{part.name} is a symbolic link to {part.target}: name that instead")
    return Ticket(part.cid, part.name, part.size, path.ticket.addrs)


def known_cids(home: Home, texts: Sequence[str]) -> tuple[Cid, ...]:
    """Return the CIDs of arguments as `parts_and_cids` does, but fetch nothing.

    A path is followed in the blocks that are here. Raises Failure, also if they do not lead to its end.
    """
    return _cids(texts, lambda text: known_part(home, text))


def known_part(home: Home, text: str) -> Cid:
    """Return the CID of what an argument names, from the blocks that are here. Raises Failure."""
    path = read_path(text)
    if not path.names:
        return path.ticket.root
    with contextlib.closing(HomeBlocks(home)) as blocks:
        walk = resolve(path.ticket.root, path.names)
        try:
            wanted = next(walk)
            while True:
                wanted = walk.send(blocks.wait(wanted))
        except StopIteration as end:
            part: Part = end.value
            return part.cid
        except NotHereError:
            raise Failure(
                f"what {text} leads to is not known, because a folder on its way is not here: give the CID of the part"
            ) from None
        except (BadBlockError, ReadError) as error:
            raise Failure(str(error)) from None


def parts_and_cids(
    home: Home, texts: Sequence[str], flags: Mapping[str, Any], patience: Patience = WITHOUT_END
) -> tuple[Cid, ...]:
    """Return the CIDs of arguments that are CIDs, tickets, paths inside objects, or `-` (standard input).

    Each CID is returned once. Raises Failure, also if there is none.
    """
    return _cids(texts, lambda text: part_ticket(home, text, flags, patience=patience).root)


def _cids(texts: Sequence[str], part: Callable[[str], Cid]) -> tuple[Cid, ...]:
    """Return the CIDs of arguments. `part`: returns that of a path inside an object. Raises Failure."""
    paths = [text for text in texts if text != "-" and is_path_or_address(text)]
    rest = [text for text in texts if text not in paths]
    found = [part(text) for text in paths]
    return tuple(dict.fromkeys((*(read_cids(rest) if rest or not paths else ()), *found)))
