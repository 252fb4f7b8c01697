"""What a request wants: an object or a part of it, and in which form. Pure: it knows text only."""

import hashlib
from collections.abc import Mapping
from typing import Literal, NamedTuple
from urllib.parse import parse_qsl

from flux_tui.core.content.object_paths import decoded_names
from flux_tui.core.ids import BadIdError, Cid, parse_cid
from flux_tui.gateway.http_answers import HttpError
from flux_tui.gateway.http_ranges import parse_entity_bytes
from flux_tui.reading.dag_blocks import Scope

MAX_TARGET = 8 * 1024
"""Bytes of a target."""
MAX_FIELDS = 32
"""Parameters of a query."""
RAW, CAR, RECORD = "application/vnd.ipld.raw", "application/vnd.ipld.car", "application/vnd.ipfs.ipns-record"
EMPTY_BLOCK = "bafkqaaa"
"""A CID of no bytes, which holds them itself. Clients probe with it whether something is a gateway."""

Form = Literal["raw", "car", "page"]
"""raw: one block; car: blocks as a CAR; page: a file or folder for a browser."""


class Wanted(NamedTuple):
    """What one request wants."""

    root: Cid | None
    """None: the empty block (EMPTY_BLOCK)."""
    names: tuple[str, ...]
    form: Form
    path: str
    """The path as it stands in the target, percent-encoded, without the query."""
    query: str = ""
    scope: Scope = "all"
    entity_bytes: tuple[int, int | None] | None = None
    filename: str | None = None
    download: bool = False
    by_query: bool = False
    """Whether the query names the form, so that the answer does not vary with `Accept`."""

    @property
    def key(self) -> str:
        """A short text that is another one for each other choice of blocks of a CAR."""
        text = f"{'/'.join(self.names)} {self.scope} {self.entity_bytes}"
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def read_target(target: str, accept: str) -> Wanted:
    """Parse the target and the `Accept` of a request. Raises HttpError."""
    if len(target) > MAX_TARGET:
        raise HttpError(414, "that address is too long")
    path, _, query = target.partition("?")
    if path.startswith("/ipns/"):
        raise HttpError(501, "names of IPNS are not resolved here: use the CID that the name stands for")
    if not path.startswith("/ipfs/"):
        raise HttpError(404, "objects are at /ipfs/CID")
    fields = _fields(query)
    form, by_query = _form(fields.get("format"), accept)
    head, _, rest = path.removeprefix("/ipfs/").partition("/")
    if head == EMPTY_BLOCK and not rest.strip("/"):
        return Wanted(None, (), form, path, query, by_query=by_query)
    try:
        root, names = parse_cid(head), decoded_names(rest)
    except BadIdError as error:
        raise HttpError(400, str(error)) from None
    scope, entity = _blocks(fields)
    return Wanted(
        root,
        names,
        form,
        path,
        query,
        scope,
        entity,
        fields.get("filename", "")[:255] or None,
        fields.get("download", "").lower() == "true",
        by_query,
    )


def _fields(query: str) -> Mapping[str, str]:
    try:
        return dict(parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS))
    except ValueError:
        raise HttpError(400, "that query cannot be parsed") from None


def _blocks(fields: Mapping[str, str]) -> tuple[Scope, tuple[int, int | None] | None]:
    """Return what `dag-scope` and `entity-bytes` say."""
    try:
        entity = parse_entity_bytes(fields["entity-bytes"]) if "entity-bytes" in fields else None
    except ValueError as error:
        raise HttpError(400, str(error)) from None
    match fields.get("dag-scope", "all" if entity is None else "entity"):
        case "block":
            return "block", entity
        case "entity":
            return "entity", entity
        case "all":
            return "all", entity
        case _:
            raise HttpError(400, "dag-scope has to be block, entity or all")


def _form(named: str | None, accept: str) -> tuple[Form, bool]:
    """Return the wanted form, and whether the query names it. A parameter of the query goes before `Accept`."""
    match named:
        case "raw":
            return "raw", True
        case "car":
            _check_car(_accepted(accept).get(CAR, {}))
            return "car", True
        case None | "":
            pass
        case "ipns-record":
            raise HttpError(400, "records of IPNS are not served here")
        case _:
            raise HttpError(400, "that format is not served here: raw and car are")
    types = _accepted(accept)
    if RAW in types:
        return "raw", False
    if CAR in types:
        _check_car(types[CAR])
        return "car", False
    if types and not any(one in ("*/*", "text/html") or _is_plain(one) for one in types):
        raise HttpError(406, f"none of the accepted types is served here: {RAW} and {CAR} are, and files")
    return "page", False


def _is_plain(media: str) -> bool:
    """Whether a file could have this type. Those of blocks and records it cannot."""
    return not media.startswith(("application/vnd.ipld.", "application/vnd.ipfs."))


def _check_car(parameters: Mapping[str, str]) -> None:
    if parameters.get("version", "1") != "1":
        raise HttpError(406, "only CARs of version 1 are served here")


def _accepted(accept: str) -> dict[str, dict[str, str]]:
    """Return the types in an `Accept` header with their parameters. One with `q=0` is left out."""
    found: dict[str, dict[str, str]] = {}
    for item in accept.split(",")[:MAX_FIELDS]:
        media, *rest = (part.strip() for part in item.split(";"))
        parameters = {
            name.strip().lower(): value.strip().strip('"')
            for name, _, value in (one.partition("=") for one in rest)
        }
        if media and parameters.get("q") not in ("0", "0.0", "0.00", "0.000"):
            found.setdefault(media.lower(), parameters)
    return found
