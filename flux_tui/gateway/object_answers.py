"""An object as an answer: one block, a CAR, a file, or the page of a folder."""

from collections.abc import AsyncGenerator, Mapping
from contextlib import aclosing
from urllib.parse import quote

import trio

from flux_tui.core.content.car import encode_header, encode_section
from flux_tui.core.content.path_walk import FolderItem, NoSuchNameError, Part, TooManyNamesError
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid
from flux_tui.gateway.content_types import SNIFFED, UNKNOWN, content_type
from flux_tui.gateway.http_answers import Answer, Body, FileRun, HttpError, Piece, disposition, path_header
from flux_tui.gateway.http_ranges import ByteRange, UnsatisfiableError, entity_range, parse_range
from flux_tui.gateway.http_requests import CAR, EMPTY_BLOCK, RAW, Wanted
from flux_tui.gateway.pages import POLICY, content_policy, folder_page
from flux_tui.reading.dag_blocks import blocks_for_gateway
from flux_tui.reading.home_blocks import HomeBlocks
from flux_tui.reading.object_reader import Leaf, ObjectReader, whole
from flux_tui.store.index.block_reader import Extent

IMMUTABLE = "public, max-age=29030400, immutable"
"""Bytes with this address never change."""
FOLDER_CACHE = "public, max-age=604800"
"""The page of a folder may look different in a later version."""
PAGE_VERSION = 1
MAX_ROWS = 20_000
"""Names that the page of a folder shows: 4 MB of HTML."""
LEAVES_AT_ONCE = 64
"""Leaves that are looked up together."""
RUN_BYTES = 64 * 1024 * 1024
"""Bytes of a file that are sent in one run."""


class ObjectAnswers:
    """Answers one request out of one place with blocks. `conditions`: the request's headers, names in lower case."""

    def __init__(self, blocks: HomeBlocks, conditions: Mapping[str, str]) -> None:
        self._blocks = blocks
        self._reader = ObjectReader(blocks)
        self._headers = conditions

    async def answer(self, wanted: Wanted) -> Answer:
        """Answer what is wanted. Raises HttpError, BadBlockError, ReadError."""
        if wanted.root is None:
            return self._empty(wanted)
        part = await self._reader.resolve(wanted.root, wanted.names)
        match wanted.form:
            case "raw":
                return await self._raw(wanted, part)
            case "car":
                return await self._car(wanted, part)
            case "page" if part.kind == "file":
                return await self._file(wanted, part)
            case "page" if part.kind == "folder":
                return await self._folder(wanted, part)
            case _:
                raise HttpError(404, f"that is a symbolic link to {part.target}")

    def _empty(self, wanted: Wanted) -> Answer:
        media = RAW if wanted.form == "raw" else UNKNOWN
        return Answer(
            200,
            [("Content-Type", media), ("Etag", f'"{EMPTY_BLOCK}.raw"'), ("Cache-Control", IMMUTABLE)],
            b"",
        )

    # ── blocks ──────────────────────────────────────────────────────────────────────────────────

    async def _raw(self, wanted: Wanted, part: Part) -> Answer:
        etag = f'"{part.cid}.raw"'
        headers = [
            *self._common(wanted, part, etag, IMMUTABLE),
            ("Content-Type", RAW),
            ("Content-Disposition", disposition("attachment", wanted.filename or f"{part.cid}.bin")),
            ("Accept-Ranges", "bytes"),
        ]
        if self._is_known(etag):
            return Answer(304, headers)
        data = (await self._blocks.read((part.cid,)))[part.cid]
        found = self._range(len(data), etag)
        if found is None:
            return Answer(200, headers, bytes(data))
        headers.append(("Content-Range", f"bytes {found.start}-{found.stop - 1}/{len(data)}"))
        return Answer(206, headers, bytes(data[found.start : found.stop]))

    async def _car(self, wanted: Wanted, part: Part) -> Answer:
        assert wanted.root is not None
        etag = f'W/"{wanted.root}.car.{wanted.key}"'
        headers = [
            *self._common(wanted, part, etag, IMMUTABLE),
            ("Content-Type", f"{CAR}; version=1; order=dfs; dups=n"),
            ("Content-Disposition", disposition("attachment", wanted.filename or _car_name(wanted))),
            ("Accept-Ranges", "none"),
        ]
        if self._is_known(etag):
            return Answer(304, headers)
        return Answer(200, headers, self._car_pieces(wanted, part))

    async def _car_pieces(self, wanted: Wanted, part: Part) -> AsyncGenerator[Piece, None]:
        start, stop = 0, None
        if wanted.entity_bytes is not None and wanted.scope == "entity" and part.kind == "file":
            start, stop = entity_range(*wanted.entity_bytes, await self._reader.size_of_file(part))
        yield encode_header([part.cid])
        blocks = blocks_for_gateway(self._reader, part, wanted.names, wanted.scope, start, stop)
        async with aclosing(blocks):
            async for block in blocks:
                yield encode_section(block.cid, len(block.data)) + block.data

    # ── files ───────────────────────────────────────────────────────────────────────────────────

    async def _file(self, wanted: Wanted, part: Part) -> Answer:
        etag = f'"{part.cid}"'
        size = await self._reader.size_of_file(part)
        name = wanted.filename or part.name
        kind = content_type(name)
        if kind is None:
            kind = (
                content_type(name, await whole(self._reader.read(part.cid, 0, min(size, SNIFFED)))) or UNKNOWN
            )
        headers = [
            *self._common(wanted, part, etag, IMMUTABLE),
            ("Content-Type", kind),
            ("Accept-Ranges", "bytes"),
            ("Content-Security-Policy", content_policy(kind)),
        ]
        if name is not None or wanted.download:
            way = "attachment" if wanted.download else "inline"
            headers.append(("Content-Disposition", disposition(way, name or part.cid)))
        if self._is_known(etag):
            return Answer(304, headers)
        found = self._range(size, etag)
        if found is None:
            return Answer(200, headers, self._pieces(part.cid, 0, size), size)
        headers.append(("Content-Range", f"bytes {found.start}-{found.stop - 1}/{size}"))
        return Answer(206, headers, self._pieces(part.cid, *found), found.stop - found.start)

    def _pieces(self, cid: Cid, start: int, stop: int) -> Body:
        return (
            self._fast_pieces(cid, start, stop)
            if self._blocks.only_here
            else self._reader.read(cid, start, stop)
        )

    async def _fast_pieces(self, cid: Cid, start: int, stop: int) -> AsyncGenerator[Piece, None]:
        """Yield the bytes of a file: runs of a file on the disk, if its stat proves them, else bytes that are read."""
        run: FileRun | None = None
        async with aclosing(self._reader.leaves(cid, start, stop)) as leaves:
            while batch := await _next_leaves(leaves):
                wanted = tuple(dict.fromkeys(leaf.cid for leaf in batch if leaf.data is None))
                extents = await trio.to_thread.run_sync(self._blocks.extents, wanted)
                for leaf in batch:
                    here = None if leaf.data is not None else _run_of(leaf, extents.get(leaf.cid))
                    joined = _joined(run, here) if run is not None and here is not None else None
                    if run is not None and joined is None:
                        yield run
                    run = joined or here
                    if here is None:
                        yield await self._slice(leaf)
        if run is not None:
            yield run

    async def _slice(self, leaf: Leaf) -> memoryview:
        data = leaf.data or (await self._blocks.read((leaf.cid,)))[leaf.cid]
        if leaf.size is not None and len(data) != leaf.size:
            raise BadBlockError(f"the leaf {leaf.cid} has another length than its file says")
        return memoryview(data)[leaf.start : leaf.stop]

    # ── folders ─────────────────────────────────────────────────────────────────────────────────

    async def _folder(self, wanted: Wanted, part: Part) -> Answer:
        assert wanted.root is not None
        if not wanted.path.endswith("/"):
            place = (
                path_header(wanted.root, wanted.names) + "/" + (f"?{wanted.query}" if wanted.query else "")
            )
            return Answer(301, [("Location", place), ("Content-Type", "text/plain; charset=utf-8")], b"")
        try:
            index = await self._reader.resolve(part.cid, ("index.html",))
        except NoSuchNameError:
            index = None
        if index is not None and index.kind == "file":
            return await self._file(wanted, index._replace(roots=(*part.roots, index.cid)))
        etag = f'W/"DirIndex-{PAGE_VERSION}_CID-{part.cid}"'
        headers = [
            *self._common(wanted, part, etag, FOLDER_CACHE),
            ("Content-Type", "text/html; charset=utf-8"),
            ("Content-Security-Policy", POLICY),
        ]
        if self._is_known(etag):
            return Answer(304, headers)
        try:
            items = await self._reader.list_folder(part.cid, MAX_ROWS)
        except TooManyNamesError:
            raise HttpError(
                413, f"that folder has more than {MAX_ROWS:,} names, which no page shows: name a path in it"
            ) from None
        return Answer(200, headers, _as_body(wanted.root, wanted.names, items))

    # ── headers ─────────────────────────────────────────────────────────────────────────────────

    def _common(self, wanted: Wanted, part: Part, etag: str, cache: str) -> list[tuple[str, str]]:
        assert wanted.root is not None
        headers = [
            ("Etag", etag),
            ("Cache-Control", cache),
            ("X-Ipfs-Path", path_header(wanted.root, wanted.names)),
            ("X-Ipfs-Roots", ",".join(part.roots)),
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
        ]
        return headers if wanted.by_query else [*headers, ("Vary", "Accept")]

    def _is_known(self, etag: str) -> bool:
        """Whether the client has this answer already (`If-None-Match`, compared weakly)."""
        known = [one.strip() for one in self._headers.get("if-none-match", "").split(",")]
        return "*" in known or etag.removeprefix("W/") in {one.removeprefix("W/") for one in known}

    def _range(self, size: int, etag: str) -> ByteRange | None:
        """Return the wanted range of a body; None: all of it. Raises HttpError if it is beyond the end."""
        header = self._headers.get("range")
        if header is None or self._headers.get("if-range", etag) != etag:
            return None
        try:
            return parse_range(header, size)
        except UnsatisfiableError as error:
            raise HttpError(416, str(error), [("Content-Range", f"bytes */{size}")]) from None


async def _as_body(root: Cid, names: tuple[str, ...], items: list[FolderItem]) -> AsyncGenerator[Piece, None]:
    for part in folder_page(root, names, items):
        await trio.lowlevel.checkpoint()
        yield part


async def _next_leaves(leaves: AsyncGenerator[Leaf, None]) -> list[Leaf]:
    """Return the next leaves of a file, at most LEAVES_AT_ONCE; none at its end. At most one has its bytes with it."""
    batch: list[Leaf] = []
    while len(batch) < LEAVES_AT_ONCE and (leaf := await anext(leaves, None)) is not None:
        batch.append(leaf)
        if leaf.data is not None:
            break
    return batch


def _run_of(leaf: Leaf, extent: Extent | None) -> FileRun | None:
    """Return the bytes of a leaf as a run of a file, if a file has the leaf, with the length that its parents say."""
    if extent is None or extent.stat is None or leaf.size not in (None, extent.size):
        return None
    end = extent.size if leaf.stop is None else min(leaf.stop, extent.size)
    return FileRun(extent.path, extent.offset + leaf.start, end - leaf.start, extent.stat)


def _joined(one: FileRun, other: FileRun) -> FileRun | None:
    """Return two runs as one, if the second follows the first in the same file."""
    follows = one.path == other.path and one.offset + one.size == other.offset and one.stat == other.stat
    size = one.size + other.size
    return one._replace(size=size) if follows and size <= RUN_BYTES else None


def _car_name(wanted: Wanted) -> str:
    return "_".join((str(wanted.root), *(quote(name, safe=" ") for name in wanted.names)))[:200] + ".car"
