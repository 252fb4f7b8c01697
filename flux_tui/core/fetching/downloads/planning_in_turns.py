"""Planning: make each wanted object into a plan for the store, a little with each input of the machine.

1. Inner nodes are read from the store, or fetched, until the outline has all of them (outline.py).
2. The outline is added up. An object is refused here, while nothing of it is on disk, if it is larger than
   its ticket says or larger than any node accepts.
3. The tree is walked again from its root. The content of each node is handed to the store in slices.

A plan has a row for each file, folder, link and leaf. Each run plans at most `TURN_ROWS` rows, and alternates
between the objects. So a large object delays neither
the node nor other objects. At most `OPEN_ROWS` rows of one object wait for the store, whose worker takes the
plans of all objects in order.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from math import inf
from typing import NamedTuple

from flux_tui.core.api.effects import FinishTree, Place, ReadNode
from flux_tui.core.content import nodes
from flux_tui.core.content.outline import TooLargeError, Totals, more_than_said
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.plan_builder import SLICE, PlanSlice, plan_node, plan_replica
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger

TURN_ROWS = 2 * SLICE
"""Rows that are planned in one turn: about 10 ms."""
NODE_ROWS = 10
"""Rows that reading one inner node counts for."""
OPEN_ROWS = 4 * SLICE
"""Rows of one object that may wait for the store: about 0.2 s of its worker."""

DATA_ROW = 4096
"""Bytes of content in an inner node that count for one row."""

_Work = Iterator[int]


class _Task(NamedTuple):
    download: Download
    work: _Work


class _OpenRequest(NamedTuple):
    """A request to the store that is not answered yet: the download it is for, and how many rows of the plan it has."""

    download: Download
    rows: int


class _Gathered:
    """Plans of one object that were made in one run of the planning, and are sent to the store together."""

    def __init__(self, download: Download) -> None:
        self.download = download
        self.places: list[Place] = []
        self.rows = 0


class Planning:
    """Makes the plans of all downloads. It shares the table `downloads` with the requester.

    `miss` is called for a block that must come from the swarm. `refuse` is called with the reason for an object
    whose blocks are invalid or too large.
    """

    def __init__(
        self,
        ledger: Ledger,
        downloads: dict[Cid, Download],
        miss: Callable[[Download, Cid], None],
        refuse: Callable[[Download, object], None],
    ) -> None:
        self.ledger = ledger
        self.downloads = downloads
        self._miss = miss
        self._refuse = refuse
        self._tasks: dict[Cid, deque[_Task]] = {}
        """Plans to be made, by root."""
        self._gathered: dict[Cid, _Gathered] = {}
        """Plans made in this turn, by root."""
        self._rows: dict[Cid, int] = {}
        """Rows that the store has not answered yet, by root."""
        self._open: dict[Cid, deque[_OpenRequest]] = {}
        """Requests to the store, by root, in the order in which it answers."""
        self._running = False

    # ── the store ───────────────────────────────────────────────────────────────────────────────

    def ask(self, download: Download, effect: Place | ReadNode) -> None:
        """Ask the store to carry out this effect. The store answers the requests for one root in their order."""
        download.begin_request()
        rows = _rows(effect)
        self._open.setdefault(download.root, deque()).append(_OpenRequest(download, rows))
        self._rows[download.root] = self._rows.get(download.root, 0) + rows
        self.ledger.do(effect)

    def ask_again(self, download: Download) -> None:
        """Ask the store again to carry out the effects that it had no room for."""
        for effect in download.take_postponed():
            if isinstance(effect, Place | ReadNode):
                self.ask(download, effect)
            else:
                self.ledger.do(effect)

    def answered(self, root: Cid) -> Download | None:
        """Record that the store answered the oldest request for this root.

        Returns the request's download; None if that download has ended. If no request is open, returns the current
        download of this root, or None.
        """
        current = self.downloads.get(root)
        waiting = self._open.get(root)
        if not waiting:
            return current
        download, rows = waiting.popleft()
        self._rows[root] -= rows
        if not waiting:
            del self._open[root], self._rows[root]
        if download is not current:
            return None
        download.end_request()
        return download

    def read(self, download: Download, cid: Cid) -> None:
        """Get an inner node: from memory, or ask the store for it, or let it be fetched from the swarm."""
        if (block := download.cached(cid)) is not None:
            self._begin(download, self._plan(download, cid, block))
        elif self.ledger.holdings.size_of(cid) is not None:
            self.ask(download, ReadNode(root=download.root, cid=cid))
        else:
            self._miss(download, cid)

    def learn(self, download: Download, cid: Cid, data: bytes) -> None:
        """Handle an inner node that is here now.

        While the outline is not complete, the node is added to it. After that, the node's content is planned. The
        object is refused if the node is invalid, or makes it too large.
        """
        download.found(cid, 0)
        if download.totals is not None:
            if cid in download.locations:  # otherwise it was read twice, and the first read was enough
                self._begin(download, self._plan(download, cid, data))
        else:
            try:
                found = download.add_node(cid, data)
            except (BadBlockError, TooLargeError) as error:
                self._refuse(download, error)
                return
            for child in found:
                self.read(download, child)
            assert download.outline is not None
            known = len(download.outline)
            if download.outline.complete:
                self._begin(download, self._sum(download))
            elif known & (known - 1) == 0:
                self.mapped(download)
        self.run()

    # ── a little in each turn ───────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """Return when `run` has work: now, or infinity if nothing is to be planned or all plans wait for the store."""
        if not self._tasks:
            return inf
        return self.ledger.now if any(self._may_go_on(root) for root in self._tasks) else inf

    def run(self) -> None:
        """Plan up to TURN_ROWS more rows, alternating between the objects that have something to plan."""
        if self._running or not self._tasks:
            return
        self._running = True
        left = TURN_ROWS
        while left > 0:
            root = next((root for root in self._tasks if self._may_go_on(root)), None)
            if root is None:
                break
            tasks = self._tasks.pop(root)
            self._tasks[root] = tasks  # to the end: the other objects go first
            left -= self._go_on(tasks)
            if not tasks:
                self._tasks.pop(root, None)
        for root in list(self._gathered):
            self._hand_over(root)
        self._running = False

    def _go_on(self, tasks: deque[_Task]) -> int:
        """Run one of an object's planning tasks until it yields, and put it back to the end. Returns the rows it made.

        A task that has ended, or whose download has ended, is not put back; it counts as one row.
        """
        task = tasks.popleft()
        download = task.download
        if self.downloads.get(download.root) is not download:
            return 1
        try:
            rows = next(task.work)
        except StopIteration:
            download.end_plan()
            return 1
        except (BadBlockError, TooLargeError) as error:
            self._refuse(download, error)
            return 1
        tasks.append(task)
        return rows

    def mapped(self, download: Download) -> None:
        """Record in the series how many bytes and chunks of an object are known and here."""
        carried = download.outline.carried_bytes if download.outline is not None else 0
        self.ledger.emit(
            ev.ObjectMapped(
                root=download.root,
                size=download.size,
                chunks=len(download.blocks),
                have=len(download.have),
                have_bytes=max(download.have_bytes, carried),
            )
        )

    def finish_if_whole(self, download: Download) -> None:
        """If every block of an object is here, tell the store to move the object to its path."""
        if self.downloads.get(download.root) is download and download.finish():
            self.ledger.do(FinishTree(root=download.root))

    def _gather(self, download: Download, place: Place, rows: int) -> None:
        """Collect a plan of `rows` rows. It goes to the store together with others of its object.

        They go when they have SLICE rows, or at the end of `run`. Each request to the store costs time.
        """
        gathered = self._gathered.get(download.root)
        if gathered is None:
            gathered = self._gathered[download.root] = _Gathered(download)
        gathered.places.append(place)
        gathered.rows += rows
        if gathered.rows >= SLICE:
            self._hand_over(download.root)

    def _hand_over(self, root: Cid) -> None:
        gathered = self._gathered.pop(root)
        download = gathered.download
        if self.downloads.get(root) is download:
            self.ask(download, _joined(gathered.places, download.totals or Totals()))

    def _begin(self, download: Download, work: _Work) -> None:
        download.begin_plan()
        self._tasks.setdefault(download.root, deque()).append(_Task(download, work))

    def _may_go_on(self, root: Cid) -> bool:
        download = self.downloads.get(root)
        if download is not None and download.postponed:
            return False
        return self._rows.get(root, 0) < OPEN_ROWS

    def _sum(self, download: Download) -> Generator[int, None, None]:
        assert download.outline is not None
        adding = download.outline.sum_up()
        while True:
            try:
                next(adding)
            except StopIteration as end:
                totals: Totals = end.value
                break
            yield TURN_ROWS
        if download.limit is not None and totals.sure > download.limit:
            raise TooLargeError(more_than_said(totals.sure, download.limit))
        download.add_up(totals)
        if download.held:
            self.mapped(download)  # decide whether there is room for it before any of it is asked for
            yield from self._steps(download, plan_replica(download))
        else:
            self.read(download, download.root)

    def _plan(self, download: Download, cid: Cid, block: bytes | nodes.Node) -> _Work:
        yield from self._steps(download, plan_node(download, cid, block))

    def _steps(self, download: Download, steps: Iterable[PlanSlice]) -> _Work:
        for place, inner in steps:
            if rows := _rows(place):
                self._gather(download, place, rows)
            for child in dict.fromkeys(inner):
                self.read(download, child)
            yield NODE_ROWS + rows


def _rows(effect: Place | ReadNode) -> int:
    """Return how many rows a request counts for: none for a ReadNode. Content that a Place carries counts too."""
    if isinstance(effect, ReadNode):
        return 0
    files = sum(1 + len(file.leaves) + len(file.data) // DATA_ROW for file in effect.files)
    return len(effect.folders) + files + len(effect.symlinks) + len(effect.blocks)


def _joined(places: list[Place], totals: Totals) -> Place:
    """Join several plans of one object into one. `totals`: the size of the whole object, which the store checks."""
    return Place(
        root=places[0].root,
        folders=tuple(folder for place in places for folder in place.folders),
        files=tuple(file for place in places for file in place.files),
        symlinks=tuple(link for place in places for link in place.symlinks),
        modes=tuple(mode for place in places for mode in place.modes),
        blocks=tuple(leaf for place in places for leaf in place.blocks),
        size=totals.size - totals.zeros,
        names=totals.names,
    )
