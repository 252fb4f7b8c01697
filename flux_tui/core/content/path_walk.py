"""Walks inside an object that fetch only the blocks they need: to the end of a path, and through a folder.

A walk is a generator. It yields the CIDs of inner nodes that it needs next, and is sent their bytes. It knows
nothing of where blocks come from: the caller reads them from a store, or fetches them (cli/content/looking.py, the
readers in reading/).

Every node is decoded as one by a stranger. Raises BadBlockError.
"""

from collections.abc import Generator, Mapping
from typing import Literal, NamedTuple, TypeAlias, TypeVar

from flux_tui.core.content import hamt, nodes, unixfs_trees
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid, is_leaf

T = TypeVar("T")
Walk: TypeAlias = Generator[tuple[Cid, ...], Mapping[Cid, bytes], T]
"""Yields CIDs of inner nodes, each at most once; is sent the bytes of all of them; returns its result."""

MAX_ENTRIES = 4_000_000
"""Names of one folder, as for objects that are fetched (outline.MAX_PLACES)."""
AT_ONCE = 256
"""Inner nodes that a walk asks for at a time."""

PartKind = Literal["file", "folder", "link"]


class NoSuchNameError(BadBlockError):
    """A path leads to nothing: a folder does not have this name, or something on the way is no folder."""


class TooManyNamesError(BadBlockError):
    """A folder has more names than the caller takes."""


class Part(NamedTuple):
    """What a path inside an object leads to."""

    cid: Cid
    kind: PartKind
    name: str | None
    """The last name of the path; None: the path has no names."""
    size: int | None
    """Bytes of a file; None: a folder, or a file that is one leaf, which says its size when it is read."""
    target: str | None = None
    """Where a symbolic link leads."""
    mode: int | None = None
    roots: tuple[Cid, ...] = ()
    """The root CID of each name on the way, beginning with the object's own."""


class FolderItem(NamedTuple):
    """One name in a folder."""

    name: str
    cid: Cid
    tsize: int
    """Bytes of all blocks below the name, as the folder says."""


def resolve(root: Cid, names: tuple[str, ...]) -> Walk[Part]:
    """Walk from a root along these names. Only the nodes on the way are needed. Raises NoSuchNameError."""
    cid, roots = root, [root]
    for depth, name in enumerate(names):
        way = "/".join(names[:depth])
        cid = yield from _child(cid, name, f"{root}/{way}" if way else root)
        roots.append(cid)
    last = names[-1] if names else None
    if is_leaf(cid):
        return Part(cid, "file", last, None, roots=tuple(roots))
    node = unixfs_trees.decode_node(cid, (yield (cid,))[cid])
    match node:
        case nodes.FileNode():
            return Part(cid, "file", last, node.size, mode=node.mode, roots=tuple(roots))
        case nodes.SymlinkNode():
            return Part(cid, "link", last, None, node.target, roots=tuple(roots))
        case nodes.FolderNode() | nodes.ShardNode():
            return Part(cid, "folder", last, None, mode=node.mode, roots=tuple(roots))


def list_folder(cid: Cid, limit: int = MAX_ENTRIES) -> Walk[list[FolderItem]]:
    """Walk through all nodes of one folder, and return its names, sorted as bytes.

    `limit`: at most so many names; TooManyNamesError if there are more. Raises NoSuchNameError if it is no folder.
    """
    items: list[FolderItem] = []
    found: set[str] = set()
    waiting: list[tuple[Cid, hamt.Prefix]] = [(cid, hamt.Prefix())]
    first = True
    while waiting:
        batch, waiting = waiting[-AT_ONCE:], waiting[:-AT_ONCE]
        data = yield tuple(dict.fromkeys(one for one, _ in batch))
        for one, prefix in batch:
            node = unixfs_trees.decode_node(one, data[one])
            if not isinstance(node, nodes.FolderNode | nodes.ShardNode) or not (
                first or isinstance(node, nodes.ShardNode)
            ):
                raise NoSuchNameError(f"{one} is not a folder")
            first = False
            if isinstance(node, nodes.ShardNode):
                hamt.check(node, prefix)
                waiting += [
                    (child, prefix.below(slot, node.width))
                    for child, slot in zip(node.subshards, node.subshard_slots, strict=True)
                ]
            for entry in node.entries:
                if entry.name in found:
                    raise BadBlockError(f"a folder with the name {entry.name!r} twice")
                found.add(entry.name)
                items.append(FolderItem(*entry))
            if len(items) + len(waiting) > limit:
                raise TooManyNamesError(f"a folder with more than {limit:,} names")
    return sorted(items, key=lambda item: item.name.encode())


def _child(cid: Cid, name: str, way: str) -> Walk[Cid]:
    """Walk to the entry `name` of a folder. `way`: the folder's path, for errors."""
    if is_leaf(cid):
        raise NoSuchNameError(f"{way} is a file, so there is no {name!r} in it")
    prefix = hamt.Prefix()
    node = unixfs_trees.decode_node(cid, (yield (cid,))[cid])
    while isinstance(node, nodes.ShardNode):
        hamt.check(node, prefix)
        slot = hamt.slot_of(name, prefix, node.width)
        entry = next((entry for entry in node.entries if entry.name == name), None)
        if entry is not None:
            return entry.cid
        if slot not in node.subshard_slots:
            raise NoSuchNameError(f"there is no {name!r} in {way}")
        shard = node.subshards[node.subshard_slots.index(slot)]
        prefix = prefix.below(slot, node.width)
        node = unixfs_trees.decode_node(shard, (yield (shard,))[shard])
        if not isinstance(node, nodes.ShardNode):
            raise BadBlockError(f"a folder's shard that is not one: {shard}")
    if isinstance(node, nodes.FolderNode):
        entry = next((entry for entry in node.entries if entry.name == name), None)
        if entry is None:
            raise NoSuchNameError(f"there is no {name!r} in {way}")
        return entry.cid
    kind = "file" if isinstance(node, nodes.FileNode) else "symbolic link"
    raise NoSuchNameError(f"{way} is a {kind}, so there is no {name!r} in it")
