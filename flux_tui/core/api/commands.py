"""Commands: everything that a person or program can push into the node. A closed union.

The sender of a command does not wait for its outcome. The outcome is in the series, in entries that carry the
command's mark (`by`). The sender of the command chooses the mark.
"""

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Protocol, TypeAlias, assert_never, get_args

import msgspec

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import BadIdError, Cid, PeerId, is_cid, is_text, parse_peer_id
from flux_tui.core.limits import batches
from flux_tui.core.series.events import EVENT_KINDS
from flux_tui.core.series.giving_policy import POLICY, ObjectRule, PolicyChange
from flux_tui.core.series.keep_rule import BadRuleError, parse_keep_rule
from flux_tui.core.wire.message_limits import MAX_PAYLOAD_CUSTOM, MAX_REPLICAS, MAX_SIZE

DATA_KINDS: dict[str, tuple[str, ...]] = {
    "chunk": ("chunk_received",),
    "status": ("status_no", "delayed_yes"),
    "error": ("error", "error_received"),
}
"""The kinds of data that programs can listen for, and the events that each stands for."""
_KIND = r"[a-z][a-z0-9_.-]{0,63}"
MAX_COMMAND = 4 * 1024 * 1024
"""Bytes of one encoded command: about 60,000 CIDs pasted at once."""
CIDS_AT_ONCE = 4_000
"""CIDs that a sender puts into one command. The node takes one in some tenths of a second, and works in between."""


def in_parts(cids: Sequence[Cid]) -> Iterator[tuple[Cid, ...]]:
    """Split CIDs into tuples that each fit in one command."""
    return batches(cids, CIDS_AT_ONCE)


class PathLike(Protocol):
    """A path as an object: a `pathlib.Path`."""

    def __fspath__(self) -> str:
        """Return the path as text."""
        ...

    def absolute(self) -> "PathLike":
        """Return the absolute path: a relative one is in the working folder of the program that made it."""
        ...


class _Command(msgspec.Struct, frozen=True, array_like=True, tag_field="command"):
    """Base class of all commands."""


class _PathCommand(_Command, frozen=True):
    """Base class of the commands with a `path`. It may be given as text or as a `pathlib.Path`."""

    def __post_init__(self) -> None:
        """Turn a path that is an object into the text of the absolute path."""
        path: str | PathLike = getattr(self, "path")  # noqa: B009 - the subclasses have it
        if not isinstance(path, str):
            msgspec.structs.force_setattr(self, "path", path.absolute().__fspath__())


class Want(_Command, tag="want", frozen=True):
    """Want one object (by its root CID) or one loose chunk, and keep it in the store when it has come."""

    cid: Cid
    by: str | None = None
    block: bool = False
    """Want only the block that has this CID, also if it is the root of an object."""


class WantMany(_Command, tag="want_many", frozen=True):
    """Want many objects (by their root CIDs) or loose chunks at once, and keep them in the store."""

    cids: tuple[Cid, ...]
    by: str | None = None
    block: bool = False
    """Want only the blocks that have these CIDs, also if they are roots of objects."""


class Get(_PathCommand, tag="get", frozen=True):
    """Want an object, and write it as a file or folder to a path."""

    root: Cid
    path: str
    """Absolute. It must not exist; its parent must."""
    name: str | None = None
    size: int | None = None
    addrs: tuple[str, ...] = ()
    """Multiaddrs of holders, e.g. from a ticket; dialled first."""
    by: str | None = None

    if TYPE_CHECKING:

        def __init__(
            self,
            root: Cid,
            path: str | PathLike,
            name: str | None = None,
            size: int | None = None,
            addrs: tuple[str, ...] = (),
            by: str | None = None,
        ) -> None: ...


class Custom(_Command, tag="custom", frozen=True):
    """Push a custom message, whose kind a program has defined.

    It is a message to the peer `to`, or an intent to all nodes if `to` is None.
    """

    kind: str
    """Lower-case letters, digits, `_ . -`, at most 64; not a kind that this program uses itself."""
    payload: bytes = b""
    """At most 32 KiB."""
    to: PeerId | None = None
    by: str | None = None


class Cancel(_Command, tag="cancel", frozen=True):
    """Stop wanting these objects or chunks."""

    cids: tuple[Cid, ...]
    by: str | None = None


class Retry(_Command, tag="retry", frozen=True):
    """Push the wants for these CIDs again now, without waiting for their timers. Empty: all pending wants."""

    cids: tuple[Cid, ...] = ()
    by: str | None = None


class Add(_PathCommand, tag="add", frozen=True):
    """Share a file or folder of this machine. Its bytes are not copied."""

    path: str
    """Absolute path of the file or folder to share."""
    by: str | None = None
    verify: bool = False
    """Read files again that are unchanged since the last add of this path, by their size, times and inode."""
    car: bool = False
    """Whether the path is a CAR file, and the object in it is to be shared. Its bytes stay in the CAR."""

    if TYPE_CHECKING:

        def __init__(
            self, path: str | PathLike, by: str | None = None, verify: bool = False, car: bool = False
        ) -> None: ...


class CancelAdd(_PathCommand, tag="cancel_add", frozen=True):
    """Cancel an `Add` that is not done yet. Nothing of its file or folder is shared then."""

    path: str
    """The path of that `add`."""
    mark: str | None = None
    """The mark of that `add`; None: every `add` of this path."""
    by: str | None = None

    if TYPE_CHECKING:

        def __init__(self, path: str | PathLike, mark: str | None = None, by: str | None = None) -> None: ...


class Remove(_Command, tag="remove", frozen=True):
    """Stop sharing these objects or loose chunks, and remove their blocks that no other object here contains.

    The user's own files stay as they are.
    """

    cids: tuple[Cid, ...]
    by: str | None = None


class Hold(_Command, tag="hold", frozen=True):
    """Ask the swarm to keep replicas of an object, until it is released."""

    root: Cid
    replicas: int = 1
    """1 … MAX_REPLICAS. When the command is pushed again with another number, that number counts."""
    name: str | None = None
    size: int | None = None
    addrs: tuple[str, ...] = ()
    """Multiaddrs of holders, e.g. from a ticket; dialled first."""
    by: str | None = None


class Release(_Command, tag="release", frozen=True):
    """End the keeping of these objects' replicas.

    Other nodes need not keep them for this node any more. If this node keeps them for others, it stops.
    """

    cids: tuple[Cid, ...]
    by: str | None = None


class Join(_Command, tag="join", frozen=True):
    """Connect to the peer at a multiaddr, which ends in /p2p/PEER-ID, and stay connected."""

    addr: str
    by: str | None = None


class Leave(_Command, tag="leave", frozen=True):
    """Disconnect from a peer, and do not dial it any more, until it is joined again.

    A peer that stays connected to this node by its own wish comes back: `deny` is what keeps it from being served.
    """

    peer: str
    """A peer id, or a multiaddr that ends in one."""
    by: str | None = None


class Configure(_Command, tag="configure", frozen=True):
    """Change the policy of the running node. After a restart, the policy of its settings applies again."""

    change: PolicyChange
    by: str | None = None


class Prune(_Command, tag="prune", frozen=True):
    """Drop the oldest segments of the series, or move them to an archive folder."""

    keep: str
    """What to keep: an age such as `30d`, or a size such as `10GiB` (core/series/keep_rule.py)."""
    archive: str | None = None
    """The absolute path of the folder. None: they are deleted."""
    by: str | None = None


class Stop(_Command, tag="stop", frozen=True):
    """Stop the node after it has written all its data."""

    by: str | None = None


Command: TypeAlias = (
    Want
    | WantMany
    | Get
    | Custom
    | Cancel
    | Retry
    | Add
    | CancelAdd
    | Remove
    | Hold
    | Release
    | Join
    | Leave
    | Configure
    | Prune
    | Stop
)

COMMAND_TYPES: tuple[type[Command], ...] = get_args(Command)

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Command] = msgspec.msgpack.Decoder(Command)


class BadCommandError(FluxError, ValueError):
    """The bytes on the command socket are not a valid command, or the command can never succeed."""


def encode_command(command: Command) -> bytes:
    """Encode a command for the command socket. The length prefix is not part of the bytes."""
    return _encoder.encode(command)


def decode_command(data: bytes) -> Command:
    """Decode a command from the command socket. Raises BadCommandError with the reason."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise BadCommandError(f"not a command: {error}") from None


def check_command(command: Command) -> None:  # noqa: C901 - a flat match: one line a case
    """Raise BadCommandError if this command can never succeed.

    For example, a want without a valid CID would stay in the series and disturb each later start of the node.
    """
    match command:
        case Want():
            _check_cids((command.cid,))
        case WantMany() | Cancel() | Retry() | Release() | Remove():
            _check_cids(command.cids)
        case Get():
            _check_cids((command.root,))
            _check_path(command.path)
            if not command.path.strip("/."):
                raise BadCommandError(f"{command.path!r} is not a place for a file")
            _check_size(command.size)
        case Custom():
            _check_custom(command)
        case Hold():
            _check_cids((command.root,))
            if not 1 <= command.replicas <= MAX_REPLICAS:
                raise BadCommandError(f"replicas have to be 1 to {MAX_REPLICAS}, not {command.replicas}")
            _check_size(command.size)
        case Add() | CancelAdd():
            _check_path(command.path)
        case Configure():
            _check_change(command.change)
        case Leave():
            _check_peer(peer_of(command.peer))
        case Prune():
            _check_prune(command)
        case Join() | Stop():
            pass  # dialling reports a bad address
        case _:
            assert_never(command)


def _check_prune(command: Prune) -> None:
    try:
        parse_keep_rule(command.keep)
    except BadRuleError as error:
        raise BadCommandError(str(error)) from None
    if command.archive is not None:
        _check_path(command.archive)


def _check_custom(custom: Custom) -> None:
    check_kind(custom.kind)
    if len(custom.payload) > MAX_PAYLOAD_CUSTOM:
        raise BadCommandError(
            f"{custom.kind} carries {len(custom.payload):,} bytes, at most {MAX_PAYLOAD_CUSTOM:,} go"
        )
    if custom.to is not None:
        _check_peer(custom.to)


def _check_size(size: int | None) -> None:
    if size is not None and not 0 <= size <= MAX_SIZE:
        raise BadCommandError(f"{size} is not a size")


def _check_cids(cids: tuple[Cid, ...]) -> None:
    for cid in cids:
        if not is_cid(cid):
            raise BadCommandError(f"{cid!r} is not a CID")


def _check_change(change: PolicyChange) -> None:
    for name, value in change.given().items():
        if isinstance(value, int) and value < POLICY[name].kind.least:
            raise BadCommandError(f"{name} cannot be {value}")
        for item in value if isinstance(value, tuple) else ():
            if isinstance(item, ObjectRule):
                _check_cids((item.cid,))
            if (peer := item.peer if isinstance(item, ObjectRule) else item) is not None:
                _check_peer(peer)


def peer_of(addr: str) -> PeerId:
    """Return the peer id at the end of a multiaddr; of a bare peer id, the id itself. It is not checked."""
    return PeerId(addr.rpartition("/p2p/")[2])


def check_kind(kind: str) -> None:
    """Raise BadCommandError if a program cannot use `kind` as a kind of custom message.

    It has wrong characters, is too long, or is the name of a kind of entry or data of flux-tui itself.
    """
    if re.fullmatch(_KIND, kind) is None:
        raise BadCommandError(
            f"{kind!r} is not a kind: lower-case letters, digits, _ . -, at most 64 of them"
        )
    if kind in EVENT_KINDS or kind in DATA_KINDS:
        raise BadCommandError(f"{kind!r} is a kind of flux's own: choose another word")


def _check_peer(peer: str) -> None:
    try:
        parse_peer_id(peer)
    except BadIdError as error:
        raise BadCommandError(str(error)) from None


def _check_path(path: str) -> None:
    if not path.startswith("/") or "\0" in path:
        raise BadCommandError(f"{path!r} is not an absolute path")
    if not is_text(path):
        raise BadCommandError(f"{path!r} is not UTF-8, which the series is written in")
