"""Code that the commands share: options, errors, and folding the series of a home."""

import os
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from flux_tui.cli.output import Failure
from flux_tui.cli.params import InputError, PathType, text_of_input
from flux_tui.config import Settings
from flux_tui.core.content.ticket import Ticket, parse_ticket, ticket_words
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.limits import batches
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import extend, restore
from flux_tui.core.series.state import State
from flux_tui.home import Home, HomeError, default_home
from flux_tui.paths import literal_path
from flux_tui.store.series import SeriesReader, SeriesSource

F = TypeVar("F", bound=Callable[..., Any])

FOLD_PAGE = 10_000
"""How many entries are read at a time."""
CIDS_AT_ONCE = 10_000
"""How many CIDs go into one command. That is a sixth of its room, so the node takes it quickly."""


def home_option(command: F) -> F:
    """Add `--home`, which chooses the node."""
    return click.option(
        "--home",
        "home",
        type=PathType(),
        default=None,
        metavar="DIR",
        help="The node's folder. [env: FLUX_TUI_HOME; default: your platform's folder for user data]",
    )(command)


def json_option(command: F) -> F:
    """Add `--json`, for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable lines on stdout.")(command)


def node_options(command: F) -> F:
    """Add the options that a starting node takes."""
    options = [
        click.option(
            "--listen",
            multiple=True,
            metavar="MULTIADDR",
            help="Listen here, e.g. /ip4/127.0.0.1/tcp/0. Repeatable. [default: every address of this"
            " machine, at the port used last]",
        ),
        click.option(
            "--join",
            multiple=True,
            metavar="MULTIADDR",
            help="Connect to this peer and stay connected. Repeatable.",
        ),
        click.option("--no-mdns", is_flag=True, help="Do not look for peers on the local network."),
        click.option(
            "--swarm-key",
            type=PathType(),
            callback=lambda _context, _option, path: path and str(literal_path(path)),
            metavar="FILE",
            help="Talk only to nodes that have the same key (libp2p's /key/swarm/psk/1.0.0/).",
        ),
        click.option(
            "--relay",
            multiple=True,
            metavar="MULTIADDR",
            help="Be reached through this relay, because nobody can dial this node. Repeatable.",
        ),
        click.option("--serve-relay", is_flag=True, help="Be such a relay: pass bytes on for others."),
        click.option(
            "--max-pending", type=int, default=None, metavar="N", help="Intents in the network at once."
        ),
        click.option(
            "--keep-free",
            default=None,
            metavar="SIZE",
            help="Leave so much of each disk free. [default: 256 MiB]",
        ),
        *limit_options(),
    ]
    for option in reversed(options):
        command = option(command)
    return command


LIMITS = ("upload_limit", "per_peer_limit", "max_uploads", "quota", "max_object")
"""The options of limit_options that take one value."""


def limit_options() -> list[Callable[[F], F]]:
    """Return the options that limit what a node gives to others, at its start or while it runs (`limit`)."""
    return [
        click.option("--upload-limit", default=None, metavar="RATE", help="Bytes/s that leave this node, e.g. 2MB/s."
                     " [0: no limit]"),
        click.option("--per-peer-limit", default=None, metavar="RATE", help="Bytes/s to any one peer."),
        click.option("--max-uploads", type=int, default=None, metavar="N", help="Peers served at the same time."),
        click.option("--quota", default=None, metavar="SIZE", help="Bytes of replicas to keep for others, e.g. 10GiB."
                     " [default: none]"),
        click.option("--max-object", default=None, metavar="SIZE", help="The largest object to keep for others."),
        click.option("--allow", multiple=True, metavar="PEER-ID", help="Serve this peer, and nobody who is not named."
                     " Repeatable."),
        click.option("--deny", multiple=True, metavar="PEER-ID", help="Do not serve this peer. Repeatable."),
    ]  # fmt: skip


def the_home(path: Path | None) -> Home:
    """Return the named home, or the default one."""
    return Home(path or default_home())


def home_to_look_with(path: Path | None) -> Home:
    """Return the home whose settings a dashboard uses that shows something else, such as a recording.

    If there is no home, it is an empty one.
    """
    try:
        return the_home(path)
    except HomeError:
        return Home(os.devnull)


def load_settings(
    home: Home,
    listen: Iterable[str] = (),
    join: Iterable[str] = (),
    no_mdns: bool = False,
    swarm_key: str | None = None,
    relay: Iterable[str] = (),
    serve_relay: bool = False,
    max_pending: int | None = None,
    keep_free: str | None = None,
    allow: Iterable[str] = (),
    deny: Iterable[str] = (),
    **limits: Any,
) -> Settings:
    """Load the settings of the home. The flags override them."""
    return Settings.load(
        home,
        listen=tuple(listen) or None,
        join=tuple(join) or None,
        mdns=False if no_mdns else None,
        swarm_key=swarm_key,
        relay=tuple(relay) or None,
        serve_relay=True if serve_relay else None,
        max_pending=max_pending,
        keep_free=keep_free,
        allow=tuple(allow) or None,
        deny=tuple(deny) or None,
        **limits,
    )


def new_mark() -> str:
    """Return a mark for a command, to find its outcome in the series."""
    return secrets.token_hex(6)


def read_ticket(text: str) -> Ticket:
    """Parse a ticket or CID argument."""
    try:
        return parse_ticket(text)
    except BadIdError as error:
        raise Failure(str(error)) from None


def read_cids(texts: Iterable[str]) -> tuple[Cid, ...]:
    """Parse CID or ticket arguments. `-` stands for those on standard input."""
    given = list(texts)
    try:
        words = ticket_words("\n".join(text_of_input() if text == "-" else text for text in given))
        found = [parse_ticket(word).root for word in words]
    except (BadIdError, InputError) as error:
        raise Failure(str(error)) from None
    if not found:
        raise Failure("there was no CID on standard input" if "-" in given else "the CID is empty")
    return tuple(dict.fromkeys(found))


def in_parts(cids: Sequence[Cid]) -> Iterator[tuple[Cid, ...]]:
    """Split CIDs into parts that fit in one command."""
    return batches(cids, CIDS_AT_ONCE)


def open_series(home: Home) -> SeriesReader:
    """Open the series of the home for reading."""
    if home.path.is_file():
        raise HomeError(f"the home {home.path} is a file, not a folder")
    if not home.database.exists():
        raise HomeError(
            f"there is nothing at {home.path} yet: `flux-tui add FILE` or `flux-tui node` begins it"
        )
    return SeriesReader.open(home.database)


def fold(reader: SeriesSource, until: int | None = None) -> State:
    """Return the state after entry `until`, or after the newest one if it is None.

    The fold starts from the nearest checkpoint.
    """
    last = reader.last_seq() if until is None else until
    found = reader.checkpoint(last)
    state = (restore(found[1]) if found else None) or State()
    return catch_up(reader, state, last)


def catch_up(
    reader: SeriesSource, state: State, until: int | None = None, see: Callable[[Entry], None] | None = None
) -> State:
    """Fold new entries into `state`. `see` is called with each entry after it was folded."""
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
