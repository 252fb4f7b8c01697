"""The outline of an object: the contents of its inner nodes, checked and added up before any file is written.

A stranger made the blocks that describe an object. So the requester first fetches all inner nodes, each
distinct node once, and adds them here. When no node is missing, `sum_up` checks every node against what its
parents say of it. It also adds up what the object would be on disk: files, bytes, the longest path. It visits
each distinct node once. So a kilobyte of nodes that describes exabytes costs only a kilobyte's work. Such an
object is refused before anything of it is on disk and before any leaf is asked for.

A hash DAG has no cycles, but blocks may repeat. That makes a sparse file, or ten copies of a folder, cheap to
describe. A repeated leaf of a file stands for its bytes, so the limit on bytes limits the repeats. A block
without content (an empty folder, an empty leaf, an inner node of a file) may repeat too: `MAX_REPEATS` places
for each distinct block.

core/fetching/downloads/plan_builder.py decides where content belongs. The store decides whether there is room
for it (store/disk/disk_space.py).
"""

from collections.abc import Generator, Iterator
from typing import Literal, NamedTuple

from flux_tui.core.content import nodes, unixfs_trees
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.ids import Cid, is_leaf, raw_cid
from flux_tui.core.text.quantities import human_size
from flux_tui.core.wire.codec import MAX_PAYLOAD
from flux_tui.core.wire.message_limits import MAX_SIZE

MAX_PLACES = 4_000_000
"""Leaves and inner nodes of one object, repeats counted: 4 TiB of file, about 1 GB of memory."""
MAX_PATH = 1024
"""Bytes of a path inside an object. Together with its folder, systems accept 4,096, some only 1,024."""
FREE_PLACES = 16_384
"""Places that any object may have: as many as one node has links."""
MAX_REPEATS = 256
"""Places for each distinct block. A HAMT that contains only empty files has that many: the width of its
nodes."""
PLACE_BYTES = 65_536
"""Bytes of content that allow one more place."""
SUM_STEPS = 20_000
"""Links that are added up at a time: about 10 ms, in which the node does nothing else."""

ZEROS = raw_cid(bytes(unixfs_trees.CHUNK_SIZE))
"""The most frequent leaf of a sparse file."""

EdgeKind = Literal["any", "part", "shard"]
"""What a parent says a node is. any: a file, folder or link of its own; part: a part of a file; shard: a part
of a folder."""


class TooLargeError(ValueError):
    """An object has more bytes, more blocks or a longer path than this node accepts.

    Or it has more bytes than its ticket says.
    """


class Edge(NamedTuple):
    """A link from one inner node to another: what the parent says of the child."""

    child: Cid
    kind: EdgeKind
    size: int | None
    """Bytes of content that the parent says it has; None: it says nothing about that."""
    name: int
    """Bytes that it adds to a path."""


class Totals(NamedTuple):
    """Sums over everything below a node. A block that occurs in several places is counted in each."""

    places: int = 0
    """Number of blocks."""
    names: int = 0
    """Number of files, folders and links."""
    sure: int = 0
    """Bytes of content that the nodes of files say exactly."""
    told: int = 0
    """Bytes that folders say their leaves have, at most."""
    longest: int = 0
    """Bytes of the longest path."""

    zeros: int = 0
    """Bytes of chunks that are all zeros. On a disk that supports holes they cost nothing."""

    @property
    def size(self) -> int:
        """Bytes of content. The number is too large if a folder says that a leaf is longer than it is."""
        return self.sure + self.told


class _Inner(NamedTuple):
    kind: Literal["file", "folder", "shard", "link"]
    own: Totals
    """The node's own sums: its leaves, their names, and bytes that it carries."""
    edges: tuple[Edge, ...]
    size: int
    """Bytes of a file, or of a part of one."""


class Outline:
    """All inner nodes of one object that have come so far."""

    def __init__(self, root: Cid) -> None:
        self.root = root
        self.lacking: set[Cid] = {root}
        """Inner nodes that are linked to but not added yet."""
        self.sizes: dict[Cid, int] = {}
        """Every distinct leaf, and its bytes as its parents say: exactly, or at most."""
        self.at_most: set[Cid] = set()
        """Leaves that only folders describe. In objects by some tools the folders' numbers are larger than
        the truth."""
        self.carried_bytes = 0
        """Bytes of content in those inner nodes of files that have no links, each counted once. Older IPFS tools write
        the leaves of files so."""
        self._known: dict[Cid, _Inner] = {}

    @property
    def complete(self) -> bool:
        """Whether every inner node of the object has come."""
        return not self.lacking

    @property
    def size_so_far(self) -> int:
        """Bytes of content that the root says it has; 0 if the root has not come, or is not a file."""
        root = self._known.get(self.root)
        return root.size if root is not None and root.kind == "file" else 0

    def __len__(self) -> int:
        return len(self._known)

    def add(self, cid: Cid, data: bytes) -> list[Cid]:
        """Add an inner node that came. Returns the CIDs of inner nodes that are needed now for the first time.

        Returns none if the node was added before. Raises BadBlockError or TooLargeError.
        """
        if cid in self._known:
            return []
        return self.add_decoded(cid, unixfs_trees.decode_node(cid, data))

    def add_decoded(self, cid: Cid, node: nodes.Node) -> list[Cid]:
        """Do the same as `add` for a node that is decoded already. Raises BadBlockError or TooLargeError."""
        self.lacking.discard(cid)
        if cid in self._known:
            return []
        inner = self._known[cid] = self._read(node)
        if not inner.edges and not inner.own.places:
            self.carried_bytes += inner.size
        if len(self._known) + len(self.sizes) > MAX_PLACES:
            raise TooLargeError(f"it has more than {MAX_PLACES:,} parts")
        found = list(dict.fromkeys(edge.child for edge in inner.edges if edge.child not in self._known))
        found = [child for child in found if child not in self.lacking]
        self.lacking.update(found)
        return found

    def _read(self, node: nodes.Node) -> _Inner:
        match node:
            case nodes.FileNode():
                return self._file(node)
            case nodes.FolderNode():
                return self._names("folder", node.entries, ())
            case nodes.ShardNode():
                return self._names("shard", node.entries, node.subshards)
            case nodes.SymlinkNode():
                return _Inner("link", Totals(), (), 0)

    def _file(self, node: nodes.FileNode) -> _Inner:
        edges = []
        leaves = zeros = 0
        for child, _, size in node.children:
            if is_leaf(child):
                self._leaf(child, size, exact=True)
                leaves += 1
                zeros += size if child == ZEROS else 0
            else:
                edges.append(Edge(child, "part", size, 0))
        own = node.size - sum(edge.size or 0 for edge in edges)
        return _Inner("file", Totals(places=leaves, sure=own, zeros=zeros), tuple(edges), node.size)

    def _names(
        self,
        kind: Literal["folder", "shard"],
        entries: tuple[nodes.FolderEntry, ...],
        shards: tuple[Cid, ...],
    ) -> _Inner:
        edges = [Edge(shard, "shard", None, 0) for shard in shards]
        leaves = told = longest = 0
        sizes, at_most = self.sizes, self.at_most
        for name, child, tsize in entries:
            length = len(name) + 1 if name.isascii() else len(name.encode()) + 1
            if is_leaf(child):
                if child in sizes or tsize > MAX_PAYLOAD:
                    self._leaf(child, tsize, exact=False)
                else:
                    sizes[child] = tsize
                    at_most.add(child)
                leaves += 1
                told += tsize
                longest = max(longest, length)
            else:
                edges.append(Edge(child, "any", None, length))
        own = Totals(places=leaves, names=leaves, told=told, longest=longest)
        return _Inner(kind, own, tuple(edges), 0)

    def _leaf(self, cid: Cid, size: int, *, exact: bool) -> None:
        """Record the length in bytes (`size`) that a parent gives for a leaf.

        `exact`: the leaf must have exactly this length (the parent is a file); otherwise at most this length. Raises
        BadBlockError if another parent gave another length, or if no block can be so long.
        """
        if size > MAX_PAYLOAD:
            raise BadBlockError(f"the leaf {cid} is said to have {size:,} bytes, more than a block can have")
        known = self.sizes.get(cid)
        if known is None:
            self.sizes[cid] = size
            if not exact:
                self.at_most.add(cid)
        elif known != size:
            raise BadBlockError(f"the leaf {cid} is said to have {known:,} bytes, and {size:,}")
        elif exact:
            self.at_most.discard(cid)

    def sum_up(self) -> Generator[None, None, Totals]:
        """Check all nodes against what their parents say of them, and return the totals.

        A generator: it yields from time to time, so that the caller can do other work. Raises BadBlockError or
        TooLargeError.
        """
        done: dict[Cid, Totals] = {}
        stack = [self.root]
        steps = 0
        while stack:
            cid = stack[-1]
            if cid in done:
                stack.pop()
                continue
            inner = self._known[cid]
            below = [edge.child for edge in inner.edges if edge.child not in done]
            if below:
                stack += dict.fromkeys(below)
            else:
                done[stack.pop()] = self._sum(inner, done)
            steps += 1 + len(inner.edges)
            if steps > SUM_STEPS:
                steps = 0
                yield
        totals = done[self.root]
        return self._bound(totals._replace(places=totals.places + 1, names=totals.names + 1))

    def _sum(self, inner: _Inner, done: dict[Cid, Totals]) -> Totals:
        places, names, sure, told, longest, zeros = inner.own
        for child, kind, size, name in inner.edges:
            self._check(child, kind, size)
            below = done[child]
            places += below.places + 1
            names += below.names + (kind == "any")
            sure += below.sure
            told += below.told
            zeros += below.zeros
            longest = max(longest, name + below.longest)
        if places > MAX_PLACES:
            raise TooLargeError(f"it has more than {MAX_PLACES:,} parts")
        if sure + told > MAX_SIZE:
            raise TooLargeError("it is larger than anything can be")
        if longest > MAX_PATH + 1:  # the first name has no slash before it
            raise TooLargeError(f"a path in it is over {MAX_PATH:,} bytes long")
        return Totals(places, names, sure, told, longest, zeros)

    def _check(self, child: Cid, kind: EdgeKind, size: int | None) -> None:
        """Raise BadBlockError if a node's kind or size is not the one that its parent gives.

        `kind`: what the parent says the node is. `size`: bytes of content, which only the parent in a file
        gives.
        """
        inner = self._known[child]
        if kind == "part":
            if inner.kind != "file":
                raise BadBlockError(f"a part of a file is a {_WORDS[inner.kind]}: {child}")
            if size != inner.size:
                raise BadBlockError(
                    f"a part of a file has {inner.size:,} bytes, and should have {size:,}: {child}"
                )
        elif kind == "shard" and inner.kind != "shard":
            raise BadBlockError(f"a folder's shard is a {_WORDS[inner.kind]}: {child}")

    def _bound(self, totals: Totals) -> Totals:
        blocks = len(self._known) + len(self.sizes)
        if totals.places > FREE_PLACES + MAX_REPEATS * blocks + totals.sure // PLACE_BYTES:
            raise TooLargeError(f"its {blocks:,} blocks repeat each other to {totals.places:,} parts")
        return totals


def more_than_said(size: int, limit: int) -> str:
    """Return the reason to show for an object that is refused because it has more bytes than its ticket says.

    `size`: its bytes; `limit`: the bytes that the ticket says.
    """
    return (
        f"it has {human_size(size)}, and its ticket says {human_size(limit)}; "
        "get it by its CID alone, if you want all of it"
    )


_WORDS = {"file": "file", "folder": "folder of its own", "shard": "folder", "link": "symbolic link"}


def slices(outline: Outline, count: int) -> Iterator[list[tuple[Cid, int]]]:
    """Yield every distinct leaf and the length in bytes that its parents give, in lists of at most `count`."""
    part: list[tuple[Cid, int]] = []
    for item in outline.sizes.items():
        part.append(item)
        if len(part) == count:
            yield part
            part = []
    if part:
        yield part
