"""`flux-tui get`: push the intents and watch the series until it is there."""

import contextlib
import time
from pathlib import Path

import click

from flux_tui.cli.background import ensure_node
from flux_tui.cli.common import (
    catch_up,
    fold,
    home_option,
    json_option,
    new_mark,
    node_options,
    open_series,
    read_ticket,
    the_home,
)
from flux_tui.cli.output import Failure, print_json, say, tell_path
from flux_tui.cli.push import node_flags
from flux_tui.core import commands as cmd
from flux_tui.core import events as ev
from flux_tui.core.events import Entry
from flux_tui.core.ids import is_text, short
from flux_tui.core.state import ObjectState, State
from flux_tui.core.ticket import Ticket
from flux_tui.core.waiting import next_try
from flux_tui.core.words import human_seconds, human_size, reason_first, short_addr
from flux_tui.home import Home, HomeError
from flux_tui.paths import literal_path
from flux_tui.store.series import SeriesReader

POLL_SECONDS = 0.05
JSON_SECONDS = 0.5
"""Between two lines of progress for a program."""
LOOK_BACK = 2_000
"""Entries in which it is looked for what became of the ticket's addresses so far."""
REDIAL_SECONDS = 30.0
"""At most, between two tries to dial an address (net/host.py)."""


@click.command(
    epilog="""\b
Examples:
  flux-tui get flux1…                fetch into this folder, under its own name
  flux-tui get flux1… -o film.mkv    under another name
  flux-tui get bafy… -o /tmp/        a bare CID: from whoever in the swarm has it

Interrupt it as you like: the same command goes on where it was."""
)
@click.argument("what", metavar="CID-or-TICKET")
@click.option("-o", "--output", type=click.Path(path_type=Path, readable=False), default=None, metavar="PATH",
              help="Where to put it: a new name, or a folder. [default: its own name, here]")  # fmt: skip
@home_option
@node_options
@json_option
def get(what: str, output: Path | None, home: Path | None, as_json: bool, **flags: object) -> None:
    """Fetch a file or folder from everybody who has it, verified.

    Starts this home's node in the background if none runs; it stays, and shares what was fetched.
    """
    ticket = read_ticket(what)
    place = the_home(home)
    path = _target(ticket, output)
    if _already_there(place, ticket, path):
        _done(ticket, path, as_json, "is here already")
        return
    ensure_node(place, node_flags(flags))
    reader = open_series(place)
    try:
        _fetch(place, reader, ticket, path, as_json)
    finally:
        reader.close()


def _target(ticket: Ticket, output: Path | None) -> Path:
    name = Path((ticket.name or "").replace("\0", "")).name
    if name in ("", ".."):
        name = ticket.root  # what the ticket says is no name of a file
    path = Path(name) if output is None else output
    if path.is_dir() and output is not None:
        path = path / name
    path = literal_path(path)
    if not is_text(str(path)):
        raise Failure(f"{path} is not UTF-8: choose another name with -o")
    if not path.parent.is_dir():
        raise Failure(f"the folder {path.parent} does not exist")
    return path


def _already_there(home: Home, ticket: Ticket, path: Path) -> bool:
    """Whether this very object stands at the path. Raises Failure if something else does."""
    if not path.exists() and not path.is_symlink():
        return False
    if home.database.exists():
        reader = open_series(home)
        known = fold(reader).objects.get(ticket.root)
        reader.close()
        if known is not None and known.completed_at is not None and known.path == str(path):
            if path.is_dir() or path.stat().st_size == known.size:
                return True
            raise Failure(
                f"{path} was changed since it was fetched: move it away, or choose another name with -o"
            )
    raise Failure(f"{path} exists already: choose another name with -o")


def _fetch(home: Home, reader: SeriesReader, ticket: Ticket, path: Path, as_json: bool) -> None:
    from flux_tui.cli.progress import Progress

    state = fold(reader)
    mark = new_mark()
    whole: list[ev.ObjectCompleted] = []
    dials = Dials(ticket)
    for entry in reader.read_before(reader.last_seq() + 1, LOOK_BACK):
        dials.see(entry)

    def see(entry: Entry) -> None:
        dials.see(entry)
        match entry.event:
            case ev.ErrorOccurred(cid=cid, by=None) if cid == ticket.root:
                tell(entry.event.text)
            case ev.ObjectCompleted(root=root, path=at) if root == ticket.root and at == str(path):
                whole.append(entry.event)
            case ev.ErrorOccurred(cid=cid, by=by) if by == mark or (by and cid == ticket.root):
                raise Failure(entry.event.text)

    def tell(text: str) -> None:
        if as_json:
            print_json({"event": "trouble", "text": text})
        else:
            bar.tell(text)

    told = 0.0
    bar = Progress(ticket.name or short(ticket.root), quiet=as_json)
    try:
        home.push(
            cmd.Get(
                root=ticket.root,
                path=str(path),
                name=ticket.name,
                size=ticket.size,
                addrs=ticket.addrs,
                by=mark,
            )
        )
        with bar:
            while True:
                catch_up(reader, state, None, see)
                if whole:
                    break
                found = state.objects.get(ticket.root)
                done, size = _amount(found, ticket)
                note = waiting_for(state, ticket, time.time(), dials.failed)
                bar.update(done, size, note)
                if as_json and time.monotonic() - told >= JSON_SECONDS:
                    told = time.monotonic()
                    print_json({"event": "progress", "bytes": done, "size": size, "waiting_for": note})
                if home.running() is None:
                    raise Failure(
                        "the node stopped before it was done: the same command goes on where it was"
                    )
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        with contextlib.suppress(HomeError):  # then nothing is left to be cancelled
            home.push(cmd.Cancel((ticket.root,), mark))
        say("Interrupted. What came is kept: the same command goes on where it was.")
        raise
    _done(ticket, path, as_json, f"{human_size(whole[0].size)}, whole and verified", whole[0].size)


def _amount(found: ObjectState | None, ticket: Ticket) -> tuple[int, int]:
    size = (found.size if found else None) or ticket.size or 0
    return (found.have_bytes if found else 0), size


class Dials:
    """What became of the ticket's addresses."""

    def __init__(self, ticket: Ticket) -> None:
        self._addrs = ticket.addrs
        self.failed: str | None = None
        """Why the last one that failed did, in words; None once one answers."""

    def see(self, entry: Entry) -> None:
        match entry.event:
            case ev.ErrorOccurred(text=text):
                for addr in self._addrs:
                    if text.startswith(f"{addr} "):
                        self.failed = reason_first(text).replace(addr, short_addr(addr))
            case ev.PeerConnected(peer=peer) if any(addr.endswith(f"/p2p/{peer}") for addr in self._addrs):
                self.failed = None
            case _:
                pass


def waiting_for(state: State, ticket: Ticket, now: float, unreachable: str | None = None) -> str:
    """What a fetch that does not move waits for, in words; empty while chunks are under way.

    `unreachable`: why the ticket's addresses do not answer.
    """
    pending = state.pending.get(ticket.root)
    if pending is None:
        return ""
    one = next_try(state, pending, now)
    again = f", next try in {human_seconds(one.at - now)}" if one is not None else ""
    if pending.trouble is not None and pending.cause == "unwritten":
        return pending.trouble.partition(":")[0] + again
    senders = {lease.peer for lease in state.leases.values() if lease.root == ticket.root}
    if senders:
        return f"from {len(senders)} peers" if len(senders) > 1 else f"from {short(next(iter(senders)))}"
    if not state.connected and unreachable is not None:
        return f"{unreachable}; dialled again within {human_seconds(REDIAL_SECONDS)}"
    if not state.connected:
        return "no peer is connected yet" if ticket.addrs else "no peer is connected: use a ticket, or --join"
    if pending.queued:
        return f"waits for room: {state.max_pending} intents are out"
    if one is not None and one.peer is not None:
        return f"{one.reason or 'late'}{again}: {short(one.peer)}"
    if pending.holders:
        return f"{pending.holders} said yes, and nothing comes{again}"
    if (no := pending.last_no) is not None:
        return f"{no.reason}{again}: {short(no.peer)}"
    return f"nobody has answered yet{again}"


def _done(ticket: Ticket, path: Path, as_json: bool, words: str, size: int | None = None) -> None:
    if as_json:
        print_json({"event": "done", "root": ticket.root, "path": str(path), "size": size})
    else:
        say(f"{ticket.name or ticket.root}: {words}")
        tell_path(path)
