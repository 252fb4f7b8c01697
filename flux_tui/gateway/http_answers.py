"""Status, headers and body of an answer."""

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import NamedTuple, TypeAlias
from urllib.parse import quote

from flux_tui.store.disk.file_io import FileStat


class FileRun(NamedTuple):
    """Bytes of a file on the disk that are sent as they are. `stat` proves that nobody changed the file."""

    path: Path
    offset: int
    size: int
    stat: FileStat


Piece: TypeAlias = bytes | memoryview | FileRun
Body: TypeAlias = bytes | AsyncGenerator[Piece, None]
"""All bytes, or pieces of them, as they can be sent."""

Headers: TypeAlias = Sequence[tuple[str, str]]


class Answer(NamedTuple):
    """One answer. `size`: bytes of the body; None: not known, it is sent in chunks."""

    status: int
    headers: Headers
    body: Body = b""
    size: int | None = None


class HttpError(Exception):
    """A request is refused. The message is one sentence for a person."""

    def __init__(self, status: int, sentence: str, headers: Headers = ()) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = tuple(headers)


class BrokenOffError(Exception):
    """The rest of a body cannot be sent. The connection is closed, so the client knows that the body is not whole."""


def disposition(kind: str, name: str) -> str:
    """Return the value of `Content-Disposition`. `kind`: inline or attachment. `name`: any text."""
    plain = "".join(one if one.isascii() and one.isprintable() and one not in '"\\' else "_" for one in name)
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def path_header(root: str, names: Sequence[str]) -> str:
    """Return the value of `X-Ipfs-Path`: percent-encoded, so that it is a header whatever the names are."""
    return "/ipfs/" + "/".join((root, *(quote(name, safe="") for name in names)))
