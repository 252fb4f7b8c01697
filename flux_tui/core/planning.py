"""How an object becomes a plan for the store, a little in each turn.

1. Inner nodes are read from the store, or fetched, until the outline has all of them (outline.py).
2. The outline is added up. What is more than its ticket says, or than any node takes on, is refused here, while
   nothing of it is on disk.
3. The tree is walked again from its root; each node's content is handed to the store in slices.

A turn does at most `TURN_ROWS` of this, and each object in its turn: so a large object holds up neither the node
nor the objects beside it. No more than `OPEN_ROWS` of one object wait for the store, whose worker takes the plans
of all objects one after the other.
"""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple

import msgspec

from flux_tui.core import events as ev
from flux_tui.core.effects import Place, ReadNode
from flux_tui.core.fetch import SLICE, Fetch, Step
from flux_tui.core.ids import Cid
from flux_tui.core.ledger import Ledger
from flux_tui.core.outline import TooLargeError, Totals, more_than_said
from flux_tui.core.unixfs import BadBlockError

TURN_ROWS = 2 * SLICE
"""Rows that are planned in one turn: some 10 ms."""
NODE_ROWS = 10
"""Rows that reading one more inner node is worth."""
OPEN_ROWS = 4 * SLICE
"""Rows of one object that wait for the store: some 0.2 s of its worker."""

_Work = Iterator[int]


class _Task(NamedTuple):
    fetch: Fetch
    work: _Work


class _Open(NamedTuple):
    """Something that the store has not answered yet: of which fetch, and how many rows."""

    fetch: Fetch
    rows: int


class Planning:
    """The plans of all fetches. `fetches` is the requester's own table, shared."""

    def __init__(
        self,
        ledger: Ledger,
        fetches: dict[Cid, Fetch],
        miss: Callable[[Fetch, Cid], None],
        fail: Callable[[Fetch, str], None],
    ) -> None:
        self.ledger = ledger
        self.fetches = fetches
        self._miss = miss
        self._fail = fail
        self._tasks: deque[_Task] = deque()
        self._open: dict[Cid, deque[_Open]] = {}
        """What the store was told to do, by root, in the order in which it answers."""
        self._running = False

    # ── the store ───────────────────────────────────────────────────────────────────────────────

    def ask(self, fetch: Fetch, effect: Place | ReadNode) -> None:
        """Tell the store to do this. It answers in the order in which it was told."""
        fetch.open_ops += 1
        self._open.setdefault(fetch.root, deque()).append(_Open(fetch, _rows(effect)))
        self.ledger.do(effect)

    def answered(self, root: Cid) -> Fetch | None:
        """The store answered the oldest of these. None: the fetch that it was for is over."""
        current = self.fetches.get(root)
        waiting = self._open.get(root)
        if not waiting:
            return current
        fetch, _ = waiting.popleft()
        if not waiting:
            del self._open[root]
        if fetch is not current:
            return None
        fetch.open_ops -= 1
        return fetch

    def read(self, fetch: Fetch, cid: Cid) -> None:
        """An inner node is needed: from memory, from the store, or from the swarm."""
        if (data := fetch.cached(cid)) is not None:
            self._begin(fetch, self._plan(fetch, cid, data))
        elif self.ledger.holdings.size_of(cid) is not None:
            self.ask(fetch, ReadNode(root=fetch.root, cid=cid))
        else:
            self._miss(fetch, cid)

    def learn(self, fetch: Fetch, cid: Cid, data: bytes) -> None:
        """An inner node is here."""
        fetch.count(cid, 0)
        if fetch.totals is not None:
            if cid in fetch.spots:  # else it was read twice, and the first read served both
                self._begin(fetch, self._plan(fetch, cid, data))
        else:
            try:
                found = fetch.note(cid, data)
            except (BadBlockError, TooLargeError) as error:
                self._refuse(fetch, error)
                return
            for child in found:
                self.read(fetch, child)
            assert fetch.outline is not None
            known = len(fetch.outline)
            if fetch.outline.complete:
                self._begin(fetch, self._sum(fetch))
            elif known & (known - 1) == 0:
                self.mapped(fetch)
        self.run()

    # ── a little in each turn ───────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """When `run` has something to do: now, or when the store has answered."""
        return self.ledger.now if any(self._may_go_on(task.fetch) for task in self._tasks) else float("inf")

    def run(self) -> None:
        """Plan some more, each object in its turn."""
        if self._running:
            return
        self._running = True
        left, idle = TURN_ROWS, 0
        while left > 0 and idle < len(self._tasks):
            task = self._tasks.popleft()
            fetch = task.fetch
            if self.fetches.get(fetch.root) is not fetch:
                continue
            if not self._may_go_on(fetch):
                self._tasks.append(task)
                idle += 1
                continue
            idle = 0
            try:
                left -= next(task.work)
                self._tasks.append(task)
            except StopIteration:
                fetch.open_ops -= 1
                fetch.planning -= 1
                left -= 1
            except (BadBlockError, TooLargeError) as error:
                self._refuse(fetch, error)
        self._running = False

    def mapped(self, fetch: Fetch) -> None:
        """More of an object is known."""
        self.ledger.emit(
            ev.ObjectMapped(
                root=fetch.root,
                size=fetch.size,
                chunks=len(fetch.blocks),
                have=len(fetch.counted),
                have_bytes=fetch.have_bytes,
            )
        )

    def _begin(self, fetch: Fetch, work: _Work) -> None:
        fetch.open_ops += 1
        fetch.planning += 1
        self._tasks.append(_Task(fetch, work))

    def _may_go_on(self, fetch: Fetch) -> bool:
        if fetch.postponed:
            return False
        return sum(waiting.rows for waiting in self._open.get(fetch.root, ())) < OPEN_ROWS

    def _refuse(self, fetch: Fetch, error: Exception) -> None:
        self._fail(fetch, f"the object {fetch.root} cannot be had: {error}")

    def _sum(self, fetch: Fetch) -> Generator[int, None, None]:
        assert fetch.outline is not None
        adding = fetch.outline.sum_up()
        while True:
            try:
                next(adding)
            except StopIteration as end:
                totals: Totals = end.value
                break
            yield TURN_ROWS
        if fetch.limit is not None and totals.sure > fetch.limit:
            raise TooLargeError(more_than_said(totals.sure, fetch.limit))
        fetch.add_up(totals)
        if fetch.held:
            self.mapped(fetch)  # whether there is room for it is decided before any of it is asked for
            yield from self._steps(fetch, fetch.plan_blocks())
        else:
            self.read(fetch, fetch.root)

    def _plan(self, fetch: Fetch, cid: Cid, data: bytes) -> _Work:
        yield from self._steps(fetch, fetch.plan(cid, data))

    def _steps(self, fetch: Fetch, steps: Iterable[Step]) -> _Work:
        for place, inner in steps:
            if rows := _rows(place):
                totals = fetch.totals or Totals()
                self.ask(fetch, _with_totals(place, totals))
            for child in dict.fromkeys(inner):
                self.read(fetch, child)
            yield NODE_ROWS + rows


def _rows(effect: Place | ReadNode) -> int:
    if isinstance(effect, ReadNode):
        return 0
    leaves = sum(len(file.leaves) for file in effect.files)
    return len(effect.folders) + len(effect.files) + leaves + len(effect.symlinks) + len(effect.blocks)


def _with_totals(place: Place, totals: Totals) -> Place:
    return msgspec.structs.replace(place, size=totals.size - totals.zeros, names=totals.names)
