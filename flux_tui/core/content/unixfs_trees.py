"""UnixFS: files and folders as blocks under one root CID, with the profile `unixfs-v1-2025` (IPIP-0499).

CIDv1, sha2-256, raw leaves, 1 MiB chunks, a balanced tree of at most 1,024 links a node. A file of at most one
chunk is a single raw leaf. So IPFS tools with this profile give the same bytes the same CID.

The usual permissions are not recorded, so they change no CID: 0644 for a file, 0755 for a folder, whatever the
group and others may write. Other permissions are recorded in the `mode` of the root of the file or folder. A
raw leaf cannot carry a mode. So such a file is a node above its leaf, however small it is.

Building streams: a FileBuilder keeps one open node per level, whatever the file's size. Decoding trusts
nothing. BadBlockError is raised for names that could leave a folder, sums that do not add up, and nodes that
contradict themselves.

Sources: IPIP-0499, ipfs/specs UNIXFS.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import (
    Block,
    FileChild,
    FileNode,
    FileRoot,
    FolderEntry,
    FolderNode,
    FolderRoot,
    Node,
    ShardNode,
    SymlinkNode,
)
from flux_tui.core.content.protobufs import BadBlockError, PBLink, UnixFS
from flux_tui.core.ids import CID_BYTES, Cid, dag_cid, is_leaf

__all__ = [
    "BadBlockError", "Block", "FileBuilder", "FileChild", "FileNode", "FileRoot", "FolderEntry",
    "FolderNode", "FolderRoot", "Node", "ShardNode", "SymlinkNode", "applied_mode", "build_folder",
    "build_symlink", "decode_node", "leads_out", "recorded_mode",
]  # fmt: skip

CHUNK_SIZE = 1 << 20
"""Bytes of a leaf."""
MAX_LINKS = 1024
"""Links of one inner node of a file."""
MAX_NAME = 255
"""Bytes of one name, as in file systems."""
_NO_LINKS = b"\x0a"
"""How a node begins whose first field is not a link."""
_USUAL_NAME = re.compile(r"[a-zA-Z0-9_-][ -.0-~]{0,199}")
"""ASCII without slashes and control characters, and with no dot at its beginning. It is always allowed."""
_SLOTS = {f"{slot:02X}": slot for slot in range(256)}
"""The slots of a shard with 256 of them, by their digits."""
_HEX_DIGITS = frozenset("0123456789ABCDEF")
"""The digits of a slot before a name in a shard."""
SHARD_THRESHOLD = 256 * 1024
"""Bytes of a folder's block above which it becomes a HAMT (the profile's `block-bytes`)."""


class _Part(NamedTuple):
    """A finished subtree of a file: the CID and sizes that its parent node records."""

    cid: Cid
    size: int
    tsize: int


class FileBuilder:
    """Builds the tree of a file: it is given the leaves in order, and returns the inner nodes.

    The default parameters are those of the profile. Tests use smaller ones.
    """

    def __init__(self, chunk_size: int = CHUNK_SIZE, max_links: int = MAX_LINKS) -> None:
        self.chunk_size = chunk_size
        self.max_links = max_links
        self._levels: list[list[_Part]] = [[]]
        self._chunks = 0

    def add_leaf(self, cid: Cid, size: int) -> list[Block]:
        """Add the next leaf, of `size` bytes. Returns the inner nodes that this leaf has completed."""
        blocks: list[Block] = []
        self._chunks += 1
        self._put(0, _Part(cid, size, size), blocks)
        return blocks

    def finish(self, mode: int | None = None) -> FileRoot:
        """Finish the file, and return its root. `mode`: permissions to record.

        Raises ValueError if no leaf was added. An empty file has one empty leaf.
        """
        if not self._chunks:
            raise ValueError("a file has at least one leaf: an empty one, if it is empty")
        blocks: list[Block] = []
        level = 0
        if mode is not None and len(self._levels) == 1 and len(self._levels[0]) == 1:
            return self._above_leaf(self._levels[0][0], mode)
        # Close the open node of each level into the next one, until only one part is left.
        while level < len(self._levels) - 1 or len(self._levels[level]) > 1:
            parts = self._levels[level]
            if parts:
                self._levels[level] = []
                # A single part is not passed up as it is: it gets a node of its own, as the balanced layout
                # requires. So all leaves are equally deep.
                is_root = level == len(self._levels) - 1
                self._put(level + 1, self._close(parts, blocks, mode if is_root else None), blocks)
            level += 1
        root = self._levels[level][0]
        return FileRoot(root.cid, root.size, root.tsize, tuple(blocks), self._chunks)

    def _put(self, level: int, part: _Part, blocks: list[Block]) -> None:
        if level == len(self._levels):
            self._levels.append([])
        parts = self._levels[level]
        if len(parts) == self.max_links:
            # Close it only when another part follows: a full node may turn out to be the root.
            self._levels[level] = [part]
            self._put(level + 1, self._close(parts, blocks), blocks)
        else:
            parts.append(part)

    def _above_leaf(self, leaf: _Part, mode: int) -> FileRoot:
        """Return the root of a file of one chunk whose permissions are recorded: a node above its leaf.

        If the file is empty, the node has no leaf.
        """
        blocks: list[Block] = []
        root = self._close([leaf] if leaf.size else [], blocks, mode)
        return FileRoot(root.cid, root.size, root.tsize, tuple(blocks), 2 if leaf.size else 1)

    def _close(self, parts: list[_Part], blocks: list[Block], mode: int | None = None) -> _Part:
        size = sum(part.size for part in parts)
        body = UnixFS(protobufs.FILE, filesize=size, blocksizes=tuple(part.size for part in parts), mode=mode)
        data = protobufs.encode_node((PBLink(part.cid, "", part.tsize) for part in parts), body)
        cid = dag_cid(data)
        blocks.append(Block(cid, data))
        self._chunks += 1
        return _Part(cid, size, len(data) + sum(part.tsize for part in parts))


def recorded_mode(mode: int, *, folder: bool) -> int | None:
    """Return the permissions to record for a file or folder. None: they are the usual ones, so none are recorded.

    Write permission of the group and others is ignored, because it depends on the umask of the person who made
    the file. Permissions with which the owner could not even read the file are not recorded either.
    """
    bits = mode & 0o777
    usual, needed = (0o777, 0o500) if folder else (0o666, 0o400)
    return None if bits | 0o022 == usual or bits & needed != needed else bits


def applied_mode(mode: int, *, folder: bool) -> int | None:
    """Return the permissions of an object that may be set on the user's file or folder; None if none may.

    Never setuid, setgid or sticky. Never permissions with which the owner could not read the file.
    """
    bits, needed = mode & 0o777, 0o500 if folder else 0o400
    return bits if bits & needed == needed else None


def build_folder(entries: Iterable[FolderEntry], mode: int | None = None) -> FolderRoot:
    """Build a folder of these names: one block, or a HAMT if that block would be too large.

    `mode`: permissions to record. Raises ValueError for names that no folder can have, and for a name that
    occurs twice.
    """
    ordered = sorted(entries, key=lambda entry: entry.name.encode())
    previous = None
    for name, _, _ in ordered:
        if (wrong := _wrong_name(name)) is not None:
            raise ValueError(f"a name in a folder that is not allowed: {wrong}")
        if name == previous:
            raise ValueError(f"a folder with the name {name!r} twice")
        previous = name
    body = UnixFS(protobufs.DIRECTORY, mode=mode)
    # Each link has at least its CID, six bytes around it, and its name.
    least = sum(CID_BYTES + 6 + len(name) for name, _, _ in ordered)
    data = b""
    if least <= SHARD_THRESHOLD:
        data = protobufs.encode_node((PBLink(e.cid, e.name, e.tsize) for e in ordered), body)
    if max(least, len(data)) > SHARD_THRESHOLD:
        from flux_tui.core.content import hamt

        return hamt.build(ordered, mode)
    cid = dag_cid(data)
    return FolderRoot(cid, len(data) + sum(entry.tsize for entry in ordered), (Block(cid, data),))


def build_symlink(target: str) -> Block:
    """Build the block of a symbolic link to `target`."""
    body = target.encode()
    data = protobufs.encode_node((), UnixFS(protobufs.SYMLINK, data=body))
    return Block(dag_cid(data), data)


def leads_out(rel: str, target: str) -> bool:
    """Whether a symbolic link at path `rel` inside an object could resolve to something outside of the object.

    A `..` is safe only after real folders. The folders above the link are real. But a name in the target could
    itself be a link to a deeper place. So `..` may stand at the beginning of a target, at most as often as the
    link has folders above it, and never after a name. If the object itself is a link, every target is outside.
    """
    steps = [step for step in target.split("/") if step not in ("", ".")]
    up = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
    return not rel or target.startswith("/") or up > rel.count("/") or ".." in steps[up:]


def decode_node(cid: Cid, data: bytes) -> Node:
    """Decode an inner node of a file or folder. Raises BadBlockError."""
    if is_leaf(cid):
        raise BadBlockError(f"{cid} is a leaf, not an inner node")
    links, body = protobufs.decode_node(data)
    match body.kind:
        case protobufs.FILE | protobufs.RAW:
            return _file(links, body)
        case protobufs.DIRECTORY:
            return FolderNode(
                _checked([FolderEntry(name, cid, tsize) for cid, name, tsize in links]), body.mode
            )
        case protobufs.HAMT_SHARD:
            return _shard(links, body)
        case protobufs.SYMLINK:
            return _symlink(links, body)
        case _:
            raise BadBlockError(f"a UnixFS node of unknown type {body.kind}")


def carried_bytes(data: bytes) -> int:
    """Return the bytes of content that a file's node carries, if it has no links; 0 for every other block.

    Older IPFS tools write the leaves of files so, as dag-pb nodes.
    """
    if not data.startswith(_NO_LINKS):
        return 0
    try:
        links, body = protobufs.decode_node(data)
    except BadBlockError:
        return 0
    return len(body.data) if not links and body.kind in (protobufs.FILE, protobufs.RAW) else 0


def _file(links: tuple[PBLink, ...], body: UnixFS) -> FileNode:
    if len(links) != len(body.blocksizes):
        raise BadBlockError(f"a file with {len(links)} parts and {len(body.blocksizes)} sizes")
    offset = len(body.data)
    children = []
    for link, size in zip(links, body.blocksizes, strict=True):
        children.append(FileChild(link.cid, offset, size))
        offset += size
    if body.filesize is not None and body.filesize != offset:
        raise BadBlockError(f"a file of {body.filesize} bytes whose parts have {offset}")
    if offset > 1 << 53:
        raise BadBlockError("a file larger than any file")
    return FileNode(offset, tuple(children), body.data, body.mode)


def _shard(links: tuple[PBLink, ...], body: UnixFS) -> ShardNode:
    if body.fanout is None or not 8 <= body.fanout <= 1024 or body.fanout & (body.fanout - 1):
        raise BadBlockError("a folder's shard with an impossible fanout")
    if body.hash_type != protobufs.MURMUR3_X64_64:
        raise BadBlockError("a folder's shard whose names are hashed in an unknown way")
    digits = len(f"{body.fanout - 1:X}")
    entries: list[FolderEntry] = []
    shards: list[Cid] = []
    entry_slots: list[int] = []
    shard_slots: list[int] = []
    slots: Mapping[str, int] = _SLOTS if body.fanout == len(_SLOTS) else {}
    for cid, numbered, tsize in links:
        if (slot := slots.get(numbered[:digits])) is None:
            slot = _slot(numbered[:digits], digits, body.fanout)
        if name := numbered[digits:]:
            entries.append(FolderEntry(name, cid, tsize))
            entry_slots.append(slot)
        elif is_leaf(cid):
            raise BadBlockError("a folder's shard that is a leaf")
        else:
            shards.append(cid)
            shard_slots.append(slot)
    if len({*entry_slots, *shard_slots}) < len(links):
        raise BadBlockError("a folder's shard with two things in one slot")
    return ShardNode(
        _checked(entries),
        tuple(shards),
        body.fanout.bit_length() - 1,
        tuple(entry_slots),
        tuple(shard_slots),
        body.mode,
    )


def _slot(text: str, digits: int, fanout: int) -> int:
    if len(text) < digits:
        raise BadBlockError("a folder's shard with a name that is too short")
    if not _HEX_DIGITS.issuperset(text) or (slot := int(text, 16)) >= fanout:
        raise BadBlockError(f"a folder's shard with a slot that there is not: {text!r}")
    return slot


def _symlink(links: tuple[PBLink, ...], body: UnixFS) -> SymlinkNode:
    if links:
        raise BadBlockError("a symbolic link with parts")
    try:
        target = body.data.decode()
    except UnicodeDecodeError:
        raise BadBlockError("a symbolic link whose target is not UTF-8") from None
    if not target or "\0" in target:
        raise BadBlockError("a symbolic link to nothing")
    return SymlinkNode(target)


def _checked(entries: Sequence[FolderEntry]) -> tuple[FolderEntry, ...]:
    for name, _, _ in entries:
        if not _USUAL_NAME.fullmatch(name) and (wrong := _wrong_name(name)) is not None:
            raise BadBlockError(f"a folder with a name that is not allowed: {wrong}")
    if len({name for name, _, _ in entries}) < len(entries):
        seen: set[str] = set()
        for name, _, _ in entries:
            if name in seen:
                raise BadBlockError(f"a folder with the name {name!r} twice")
            seen.add(name)
    return tuple(entries)


def _wrong_name(name: str) -> str | None:
    """If a name is not allowed, return it in quotes, for an error message. None: the name is fine.

    Names that could leave their folder are not allowed, nor names that no folder can have. A name that is too long
    is cut, and the limit is added.
    """
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        return repr(name)
    try:
        too_long = len(name.encode()) > MAX_NAME
    except UnicodeEncodeError:
        return repr(name)
    return f"{name[:20]!r}… (over {MAX_NAME} bytes)" if too_long else None
