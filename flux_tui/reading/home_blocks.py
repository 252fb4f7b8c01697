"""The blocks of a home, read in any process; those that are not here are wanted from the home's node.

Wants are pushed into the node as commands, and what arrives is found in the chunk index: nothing waits for an
answer. `read_now` and `wait` are for programs without an event loop, `read` for those with trio.
"""

import time
from collections.abc import Callable, Mapping, Sequence

import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.home import Home, HomeError
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.store.database import StoreError
from flux_tui.store.index.block_reader import BlockReader, Extent

LOOK_SECONDS = 0.02
"""Seconds between two looks whether a block has come."""
REPEAT_SECONDS = 5.0
"""Seconds until a want is pushed into the node again: another program may have cancelled it. If it is pending, the
node passes over it."""
HERE_AT_ONCE = 256
"""Blocks that are looked up at a time when wants are pushed."""


class HomeBlocks:
    """The blocks of one home. `by`: the mark of the commands that it pushes.

    `begin` makes sure that a node runs for the home; it is called before the first want, and may raise. None: blocks
    that are not here are not fetched. `want` pushes what brings these blocks; None: a want for each block. `reader`: an
    open reader of the home, which stays open; None: one is opened for these blocks. `waiting` is called while `read`
    waits, with the blocks that lack; it may raise.
    """

    def __init__(
        self,
        home: Home,
        begin: Callable[[], None] | None = None,
        *,
        by: str | None = None,
        want: Callable[[Sequence[Cid]], None] | None = None,
        reader: BlockReader | None = None,
        waiting: Callable[[Sequence[Cid]], None] | None = None,
    ) -> None:
        self._waiting = waiting
        self.home = home
        self._begin = begin
        self._by = by
        self._want = want
        self._begun = False
        self._reader = reader
        self._owned = reader is None
        self._want_again = float("-inf")
        """When `want` is called again."""
        self._wanted: dict[Cid, float] = {}
        """Blocks that were wanted and not seen here yet, and when each want was pushed last."""

    def close(self, *, keep: bool = False) -> None:
        """Cancel the wants that are still pending, unless `keep`, and close the home."""
        pending = () if keep else tuple(self._wanted)
        self._wanted.clear()
        if pending and self._want is None:
            try:
                if missing := tuple(cid for cid in pending if self._size_of(cid) is None):
                    self.home.push(*(cmd.Cancel(part, self._by) for part in cmd.in_parts(missing)))
            except (HomeError, StoreError):
                pass  # then there is no want left to cancel
        if self._reader is not None and self._owned:
            self._reader.close()

    # ── with trio ───────────────────────────────────────────────────────────────────────────────

    async def read(self, cids: Sequence[Cid]) -> Mapping[Cid, bytes]:
        """Return the bytes of all of these blocks, and wait for those that are fetched. Raises ReadError."""
        found: dict[Cid, bytes] = {}
        while True:
            found |= await trio.to_thread.run_sync(self.read_or_want, _lacking(cids, found))
            lacking = _lacking(cids, found)
            if not lacking:
                return found
            if self._waiting is not None:
                self._waiting(lacking)
            await trio.sleep(LOOK_SECONDS)

    def read_or_want(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """Return those of these blocks that are here now, and want the others. Raises ReadError, HomeError."""
        found = self.read_now(cids)
        self._push(_lacking(cids, found))
        return found

    async def expect(self, cids: Sequence[Cid]) -> None:
        """Want those of these blocks that are not here. Raises ReadError, HomeError."""
        if self._begin is not None and self._want is None:
            await trio.to_thread.run_sync(self._expect_now, cids)

    def _expect_now(self, cids: Sequence[Cid]) -> None:
        for at in range(0, len(cids), HERE_AT_ONCE):
            self._push([cid for cid in cids[at : at + HERE_AT_ONCE] if self._size_of(cid) is None])

    @property
    def wanted(self) -> Sequence[Cid]:
        """The blocks that were wanted and have not been read."""
        return tuple(self._wanted)

    @property
    def only_here(self) -> bool:
        """Whether blocks that are not here are not fetched."""
        return self._begin is None

    def extents(self, cids: Sequence[Cid], *, arriving: bool = False) -> dict[Cid, Extent]:
        """Return where files have the bytes of blocks, proved by the files' stats. Raises ReadError.

        `arriving`: see `BlockReader.extents`.
        """
        reader = self._opened()
        try:
            found = {} if reader is None else reader.extents(cids, arriving=arriving)
        except StoreError as error:
            raise ReadError(str(error)) from None
        for cid in found:
            self._wanted.pop(cid, None)
        return found

    # ── without ─────────────────────────────────────────────────────────────────────────────────

    def read_now(self, cids: Sequence[Cid]) -> dict[Cid, bytes]:
        """Return those of these blocks that are here now. Raises ReadError."""
        reader = self._opened()
        if reader is None:
            return {}
        try:
            found = reader.read(cids)
        except StoreError as error:
            raise ReadError(str(error)) from None
        for cid in found:
            self._wanted.pop(cid, None)
        return found

    def wait(
        self, cids: Sequence[Cid], waiting: Callable[[Sequence[Cid]], None] = lambda _: None
    ) -> dict[Cid, bytes]:
        """Return the bytes of all of these blocks. `waiting` is called with those that lack, while they are fetched.

        Raises ReadError.
        """
        found = self.read_now(cids)
        while lacking := _lacking(cids, found):
            self._push(lacking)
            waiting(lacking)
            time.sleep(LOOK_SECONDS)
            found.update(self.read_now(lacking))
        return found

    # ── wants ───────────────────────────────────────────────────────────────────────────────────

    def _push(self, cids: Sequence[Cid]) -> None:
        """Push wants for these blocks, unless they were pushed lately. Raises NotHereError, ReadError, HomeError."""
        if not cids:
            return
        if self._begin is None:
            raise NotHereError(cids[0])
        if not self._begun:
            self._begin()
            self._begun = True
        now = time.monotonic()
        if self._want is not None:
            self._wanted.update(dict.fromkeys(cids, now))
            if now < self._want_again:
                return  # one want brings all of them
            self._want_again = now + REPEAT_SECONDS
            self._check_running()
            self._want(cids)
            return
        due = [cid for cid in cids if now >= self._wanted.get(cid, float("-inf")) + REPEAT_SECONDS]
        if not due:
            return
        self._check_running()
        self._wanted.update(dict.fromkeys(due, now))
        self.home.push(*(cmd.WantMany(part, self._by, block=True) for part in cmd.in_parts(due)))

    def _check_running(self) -> None:
        if self.home.running() is None:
            raise ReadError("the node stopped before all of it was here: the same command goes on")

    def _size_of(self, cid: Cid) -> int | None:
        reader = self._opened()
        return None if reader is None else reader.size_of(cid)

    def _opened(self) -> BlockReader | None:
        if self._reader is None and self.home.database.exists():
            try:
                self._reader = BlockReader.open(self.home.path)
            except StoreError as error:
                raise ReadError(str(error)) from None
        return self._reader


def _lacking(cids: Sequence[Cid], found: Mapping[Cid, bytes]) -> list[Cid]:
    return [cid for cid in dict.fromkeys(cids) if cid not in found]
