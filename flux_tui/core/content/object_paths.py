"""Paths inside objects, as a person types or pastes them: `CID/a/b.txt`, `ipfs://CID/a`, addresses of gateways.

    bafy…/a/b.txt   flux1…/a/b.txt   /ipfs/bafy…/a   ipfs://bafy…/a   https://host/ipfs/bafy…/a   https://bafy….ipfs.host/a

In the forms with `://`, names are percent-encoded, and a query or fragment is left out. In the others, names stand
as they are. A name `.` or `..` is refused: no path leaves its object.

Sources: specs.ipfs.tech, path gateway and subdomain gateway.
"""

import re
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from flux_tui.core.content.ticket import Ticket, parse_ticket, ticket_words
from flux_tui.core.content.unixfs_trees import MAX_NAME
from flux_tui.core.ids import BadIdError, parse_cid

MAX_DEPTH = 512
"""Names in a path. Systems accept paths of 4,096 bytes at most."""
_SUBDOMAIN = re.compile(r"([a-zA-Z0-9]+)\.ipfs\.[^/]+")
_SCHEME = re.compile(r"(ipfs|https?)://", re.IGNORECASE)


class ObjectPath(NamedTuple):
    """An object, and the names that lead from its root to a part of it. No names: the whole object."""

    ticket: Ticket
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        return "/".join((self.ticket.root, *self.names))


def parse_object_path(text: str) -> ObjectPath:
    """Parse what a person typed or pasted. Raises BadIdError, whose message is one sentence."""
    word = text.strip().strip("\"'<>")
    if (scheme := _SCHEME.match(word)) is not None:
        return _from_address(word, scheme[1].lower())
    if word.startswith("/ipfs/"):
        word = word.removeprefix("/ipfs/")
    elif word.startswith("/ipns/"):
        raise BadIdError("names of IPNS are not resolved here: use the CID that the name stands for")
    head, slash, rest = word.partition("/")
    if not slash:
        return ObjectPath(parse_ticket(text))
    # A ticket or CID that mail broke into lines may end in this word; names may have spaces.
    return ObjectPath(parse_ticket("".join(ticket_words(head)) or head), split_names(rest))


def is_path_or_address(text: str) -> bool:
    """Whether a text names an object in a form that a ticket or CID has not: by a path, or an address of a gateway."""
    word = text.strip().strip("\"'<>").lower()
    return is_object_path(text) or (_SCHEME.match(word) is not None and not word.startswith("ipfs://"))


def is_object_path(text: str) -> bool:
    """Whether a text names a part of an object, not all of it. False if it cannot be parsed."""
    try:
        return bool(parse_object_path(text).names)
    except BadIdError:
        return False


def split_names(path: str) -> tuple[str, ...]:
    """Return the names in a path. Slashes at both ends, and several in a row, count as one. Raises BadIdError."""
    names = tuple(name for name in path.split("/") if name)
    if len(names) > MAX_DEPTH:
        raise BadIdError(f"that path has {len(names):,} names, at most {MAX_DEPTH} are possible")
    for name in names:
        if name in (".", ".."):
            raise BadIdError(f"a path inside an object cannot have the name {name!r}")
        if "\0" in name:
            raise BadIdError("a path inside an object cannot have a NUL character")
        if len(name.encode(errors="surrogatepass")) > MAX_NAME:
            raise BadIdError(f"a name in that path is longer than any name can be ({MAX_NAME} bytes)")
    return names


def decoded_names(path: str) -> tuple[str, ...]:
    """Return the names in a percent-encoded path. Raises BadIdError, also for a name with a slash in it."""
    names = []
    for part in path.split("/"):
        try:
            name = unquote(part, errors="strict")
        except UnicodeDecodeError:
            raise BadIdError("a name in that path is not UTF-8") from None
        if "/" in name:
            raise BadIdError("a name in that path has a slash in it")
        names.append(name)
    return split_names("/".join(names))


def _from_address(word: str, scheme: str) -> ObjectPath:
    try:
        parts = urlsplit(word)
        host = parts.hostname or ""
    except ValueError:
        raise BadIdError("that is not an address: it cannot be parsed") from None
    if scheme == "ipfs":
        head, _, rest = parts.path.partition("/") if not parts.netloc else (parts.netloc, "", parts.path)
        return ObjectPath(Ticket(parse_cid(head)), decoded_names(rest))
    if parts.path.startswith("/ipfs/"):
        head, _, rest = parts.path.removeprefix("/ipfs/").partition("/")
        return ObjectPath(Ticket(parse_cid(head)), decoded_names(rest))
    if (named := _SUBDOMAIN.fullmatch(host)) is not None:
        return ObjectPath(Ticket(parse_cid(named[1])), decoded_names(parts.path))
    raise BadIdError(f"that address names no object: expected …/ipfs/CID or CID.ipfs.…, not {word[:60]}")
