"""Follows the series of a node: an async stream of entries, first those of the past, then the live ones.

The entries are read from the series file, page by page. So a program that is slow loses nothing and fills no memory:
it reads later.
"""

from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Generic

import trio
from typing_extensions import TypeVar, override

from flux_tui.core.series.events import Entry, Event, EventBase
from flux_tui.node.programs.handlers import Handlers
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store

E = TypeVar("E", bound=EventBase, default=Event)
PAGE = 1_000
"""Entries that are read at a time."""


class SeriesPages:
    """Reads a running node's series for all its followers, and tells them when there are new entries."""

    def __init__(self, store: Store, handlers: Handlers) -> None:
        self._store = store
        self._reader: SeriesReader | None = None
        self._lock = trio.Lock()
        self._news = trio.Event()
        self._closed = False
        """Whether no more entries come."""
        self._over = False
        """Whether the file is closed."""
        self.durable = store.last_seq
        """The number of the last entry that is durable."""
        handlers.watch(self._told)

    def _told(self, entries: Sequence[Entry]) -> None:
        self.durable = max(self.durable, entries[-1].seq)
        self._news.set()
        self._news = trio.Event()

    def close(self) -> None:
        """End all followers, after the entries that they have not read yet."""
        self._closed = True
        self._news.set()
        self._news = trio.Event()

    async def close_reader(self) -> None:
        """Close the file. Followers that have not read everything end."""
        self.close()
        async with self._lock:
            self._over = True
            if self._reader is not None:
                self._reader.close()

    async def after(self, seq: int) -> list[Entry]:
        """Wait for entries after number `seq`, and return the first of them. Empty: the node has stopped."""
        while self.durable <= seq and not self._closed:
            await self._news.wait()
        if self.durable <= seq:
            return []
        async with self._lock:
            return await trio.to_thread.run_sync(self._read, seq)

    def _read(self, seq: int) -> list[Entry]:
        if self._over:
            return []
        if self._reader is None:
            self._reader = self._store.reader()
        return self._reader.read(seq, PAGE)


class Follower(AsyncIterator[Entry[E]], Generic[E]):
    """An async stream of a series' entries: `async for entry in follower`. It ends when the node stops.

    `seq` is the number of the entry up to which it has read. A program that saves this number goes on there with
    `follow(…, after=seq)`.
    """

    def __init__(self, pages: SeriesPages, after: int, chosen: Callable[[EventBase], bool]) -> None:
        self.seq = after
        self._pages = pages
        self._chosen = chosen
        self._waiting: deque[Entry] = deque()

    @override
    async def __anext__(self) -> Entry[E]:
        if self._waiting:
            await trio.lowlevel.checkpoint()
        while True:
            while self._waiting:
                entry = self._waiting.popleft()
                self.seq = entry.seq
                if self._chosen(entry.event):
                    return entry  # type: ignore[return-value]  # `chosen` lets only such events through
            page = await self._pages.after(self.seq)
            if not page:
                raise StopAsyncIteration
            self._waiting.extend(page)
