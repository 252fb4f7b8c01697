"""A series that is read as it grows, and one cursor: the moment whose state the dashboard shows.

All content of the screen comes from `state`, the state at the cursor. Live, the cursor is at the newest
entry. A person can freeze and move it. New entries are still read meanwhile, so going back to live takes no
time.

Always, `state` at entry N equals derive(series[:N]), however the cursor came there. To reach an entry, one
checkpoint (saved state) is read and a few entries after it. No operation takes longer because the series is
longer. This module does not use Textual.
"""

import time
from collections import deque
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.events import Entry, ObjectCompleted
from flux_tui.core.series.fold import copy, extend, restore, snapshot
from flux_tui.core.series.state import State
from flux_tui.store.database import DATABASE, StoreError
from flux_tui.store.series_reader import SeriesReader, SeriesSource, first_state
from flux_tui.store.series_size import SeriesSize, series_size
from flux_tui.ui.series.checkpoints import Builder, Checkpoints
from flux_tui.ui.series.trends import WINDOW, Trends

if TYPE_CHECKING:  # imported when entries are searched: the first frame does not wait for it
    from flux_tui.store.segments.page_index import Wanted

CHECKPOINT_EVERY = 20_000
"""Entries between two checkpoints that the dashboard saves itself. Folding them takes 60 ms."""
POLL_ENTRIES = 10_000
"""Entries folded at once. Keys are held up for no longer than 40 ms."""
NEAR = 500
"""Distance in entries of the states saved near the cursor. Stepping back then costs a millisecond."""
NEAR_KEPT = 8
FAR_BEHIND = 100_000
"""More entries than this are folded in a separate process, not between two keys."""
PROBES = 16
"""At how many places a series is checked for checkpoints, to see whether it has them all."""
COMPLETED_KEPT = 64
"""Entries of objects that became whole that are kept until they are taken."""
PAGE = 128
"""Entries read at a time for the Series panel."""
PAGES_KEPT = 64
DISK_SECONDS = 10.0
"""Seconds for which the size of the series on disk is not measured again."""


class Source:
    """A series with a cursor in time.

    `opening` opens the series, or returns None while its file does not exist. Until then, the series is
    empty. `path`: the file for a builder's process to read. None: states are saved here instead, as entries
    are read.
    """

    def __init__(self, opening: Callable[[], SeriesSource | None], path: Path | None = None) -> None:
        self._opening = opening
        self._path = path
        self._reader: SeriesSource | None = None
        self._live = State()
        self._frozen: State | None = None
        """The state at the cursor while the cursor is frozen. None: live."""
        self._kept: Checkpoints | None = None
        self._kept_at = 0
        self._near: BoundedTable[int, bytes] = BoundedTable(NEAR_KEPT)
        self._builder: Builder | None = None
        self._probed = False
        self._pages: BoundedTable[int, list[Entry]] = BoundedTable(PAGES_KEPT)
        self._trends = Trends()
        self._tail: deque[Entry] = deque(maxlen=WINDOW)
        """The entries folded last on the way to the cursor, without a gap."""
        self.last_seq = 0
        """The number of the newest entry in the series, read or not."""
        self.first_seq = 1
        """The number of the oldest entry. Above 1: older entries were pruned."""
        self._completed: deque[Entry] = deque(maxlen=COMPLETED_KEPT)
        self._opened_at: int | None = None
        """The number of entries when the series was first read. None: it was not read yet."""
        self._disk: tuple[float, SeriesSize | None] = (0.0, None)
        """What `disk` returns until a time of the steady clock."""
        self.trouble: str | None = None
        """Why the series cannot be read, in one sentence."""

    @classmethod
    def of_file(cls, path: Path) -> "Source":
        """Make a Source for the database of a home or an exported series. The file may not exist yet."""
        return cls(lambda: SeriesReader.open(path) if path.exists() else None, path)

    @property
    def state(self) -> State:
        """The state at the cursor. Callers must not change it, and must not keep it for later."""
        return self._live if self._frozen is None else self._frozen

    @property
    def newest(self) -> State:
        """The state after the newest entry that was read, wherever the cursor is. Callers must not change it."""
        return self._live

    @property
    def cursor(self) -> int:
        """The number of the last entry that `state` includes."""
        return self.state.seq

    @property
    def begin(self) -> int:
        """The number of the entry before the oldest one that is there. Above 0: older entries were pruned."""
        return self.first_seq - 1

    @property
    def frozen(self) -> bool:
        """Whether the cursor is frozen, so that it does not follow new entries."""
        return self._frozen is not None

    @property
    def behind(self) -> int:
        """How many entries the series has after the cursor."""
        return max(0, self.last_seq - self.cursor)

    @property
    def loading(self) -> bool:
        """Whether the series has entries that were not read yet."""
        return self._live.seq < self.last_seq

    @property
    def building(self) -> int | None:
        """The number of the last entry after which a state was saved (0: none yet), while the builder's process runs.

        None: no builder is running.
        """
        return None if self._builder is None else self._checkpoints.newest

    def poll(self, budget: int = POLL_ENTRIES) -> bool:
        """Read new entries, at most `budget`, and update the newest state.

        Return whether there were new entries. False also if the series cannot be read; `trouble` then says
        why.
        """
        reader = self._open()
        if reader is None:
            return False
        try:
            self.last_seq = last = reader.last_seq()
            self.first_seq = reader.first_seq()
            if self._opened_at is None:
                self._opened_at = last
            if self._live.seq < self.begin:
                self._live = first_state(reader)
            if not self._probed and last:
                self._probed = True
                self._probe(reader, last)
            if self._builder is not None:
                self._take(self._builder)
            if last <= self._live.seq:
                return False
            if last - self._live.seq > CHECKPOINT_EVERY:
                self._jump(reader, last)
            if self._builder is None or last - self._live.seq <= FAR_BEHIND:
                page = reader.read(self._live.seq, budget)
                extend(self._live, page)
                self._note_completed(page)
        except StoreError as error:
            self.trouble = str(error)
            return False
        if self._path is None:
            self._keep(self._live)
        return True

    def _note_completed(self, page: Sequence[Entry]) -> None:
        """Remember the entries about objects that became whole since the series was opened."""
        if page and page[-1].seq > (self._opened_at or 0):
            self._completed += [
                entry
                for entry in page
                if type(entry.event) is ObjectCompleted and entry.seq > (self._opened_at or 0)
            ]

    def take_completed(self) -> list[Entry]:
        """Return the entries about objects that became whole since the last call, the newest last.

        Objects that were whole when the series was opened are left out. Only the newest COMPLETED_KEPT are
        returned.
        """
        found = [*self._completed]
        self._completed.clear()
        return found

    def freeze(self) -> None:
        """Freeze the cursor where it is: it does not follow new entries any more."""
        if self._frozen is None:
            self._frozen = copy(self._live)

    def live(self) -> None:
        """Move the cursor to the newest entry, and let it follow new entries."""
        self._frozen = None

    def go_to(self, seq: int) -> None:
        """Move the cursor to entry `seq`, or the nearest entry that exists, and freeze it there.

        If the series cannot be read, the cursor stays, and `trouble` says why.
        """
        seq = min(max(seq, self.begin), self.last_seq)
        if self._frozen is None or self._frozen.seq != seq:
            try:
                self._frozen = self._state_at(seq)
            except StoreError as error:
                self.trouble = str(error)

    def go_to_time(self, at: float) -> None:
        """Move the cursor to the last entry that is not later than `at` (seconds since 1970), and freeze it there."""
        self.go_to(self.seq_at(at))

    def seq_at(self, at: float) -> int:
        """Return the number of the last entry that is not later than `at` (seconds since 1970).

        If all are later: `begin`. 0: the series cannot be read.
        """
        reader = self._open()
        try:
            return reader.seq_at(at) if reader is not None else 0
        except StoreError as error:
            self.trouble = str(error)
            return 0

    def seq_near(self, at: float) -> int:
        """Return the number of the last entry near the cursor that is not later than `at` (seconds since 1970).

        The search ends on both sides of the cursor where the clock was set back. If all entries in between are
        later than `at`, the first of them is returned. 0: the series cannot be read.
        """
        reader = self._open()
        try:
            return reader.seq_near(self.cursor, at) if reader is not None else 0
        except StoreError as error:
            self.trouble = str(error)
            return 0

    def trends(self) -> Trends:
        """Return the rates of each peer and object in the minute before the cursor."""
        seq = self.cursor
        if not 0 <= seq - self._trends.seq <= WINDOW:
            self._trends = Trends(max(0, seq - WINDOW))
            tail = self._tail
            if tail and tail[-1].seq == seq and tail[0].seq <= self._trends.seq + 1:
                # The fold has just read these entries.
                self._trends.extend(islice(tail, self._trends.seq + 1 - tail[0].seq, None))
        while self._trends.seq < seq:
            page = self.read(self._trends.seq, seq - self._trends.seq)
            if not page:
                break
            self._trends.extend(page)
        return self._trends

    def entry(self, seq: int) -> Entry | None:
        """Return the entry numbered `seq`. None: it does not exist or cannot be read.

        Entries read lately are in memory.
        """
        if not self.first_seq <= seq <= self.last_seq:
            return None
        start = (seq - 1) // PAGE * PAGE
        page = self._pages.get(start)
        if not page or page[-1].seq < seq:
            page = self.read(start, PAGE)
            self._pages[start] = page
        else:
            self._pages.move_to_end(start)
        index = seq - page[0].seq if page else 0  # history may begin within a page
        return page[index] if 0 <= index < len(page) else None

    def read(self, after: int, limit: int) -> list[Entry]:
        """Return the first `limit` entries after the entry numbered `after`, in order.

        Entries that were pruned are left out. Empty if they cannot be read.
        """
        reader = self._open()
        if after < self.begin:
            after, limit = self.begin, limit - (self.begin - after)
            if limit <= 0:
                return []
        try:
            return reader.read(after, limit) if reader is not None else []
        except StoreError as error:
            self.trouble = str(error)
            return []

    def search_back(self, wanted: "Wanted", before: int) -> tuple[list[Entry], int]:
        """Return some wanted entries before entry `before`, and up to which entry nothing was looked at yet.

        See SeriesSource. If the series cannot be read: none, and `begin`.
        """
        reader = self._open()
        try:
            found = reader.search_back(wanted, before) if reader is not None else ([], self.begin)
        except StoreError as error:
            self.trouble = str(error)
            return [], self.begin
        return found[0], max(found[1], self.begin)

    def disk(self) -> SeriesSize | None:
        """Return what the series of a home takes on disk, measured in the last DISK_SECONDS.

        None: it is another series, such as a recording, or all of its entries are still rows of the database.
        """
        reader = self._open()
        if not isinstance(reader, SeriesReader) or self._path is None or self._path.name != DATABASE:
            return None
        if time.monotonic() >= self._disk[0]:
            try:
                found = series_size(reader, self._path)
            except (StoreError, OSError):
                return None
            self._disk = time.monotonic() + DISK_SECONDS, found if found.segments else None
        return self._disk[1]

    def close(self) -> None:
        """Close the series, end the builder's process, and delete the saved states."""
        if self._builder is not None:
            self._builder.close()
            self._builder = None
        if self._kept is not None:
            self._kept.close()
            self._kept = None
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _open(self) -> SeriesSource | None:
        if self._reader is None:
            try:
                self._reader = self._opening()
                self.trouble = None
            except StoreError as error:
                self.trouble = str(error)
        return self._reader

    @property
    def _checkpoints(self) -> Checkpoints:
        if self._kept is None:
            self._kept = Checkpoints()
        return self._kept

    # ── checkpoints ─────────────────────────────────────────────────────────────────────────────

    def _probe(self, reader: SeriesSource, last: int) -> None:
        """Start a builder (a process that computes states) if a long series has no usable checkpoints in some part.

        A series of at most FAR_BEHIND entries, or one without a file, needs none.
        """
        if self._path is None or last <= FAR_BEHIND:
            return
        for number in range(1, PROBES + 1):
            at = last * number // PROBES
            if at <= 2 * CHECKPOINT_EVERY:
                continue
            found = reader.checkpoint(at)
            if found is None or at - found[0] > 2 * CHECKPOINT_EVERY or restore(found[1]) is None:
                self._builder = Builder(self._path, last)
                return

    def _take(self, builder: Builder) -> None:
        ended = builder.done
        for seq, data in builder.take():
            self._checkpoints.add(seq, data)
        if ended:
            builder.close()
            self._builder = None

    def _jump(self, reader: SeriesSource, last: int) -> None:
        """Continue from the newest usable checkpoint (saved state), because very many entries were not read yet.

        If there is none after the newest state, that state stays.
        """
        candidates = [reader.checkpoint(last)]
        if self._kept is not None:
            candidates.append(self._kept.nearest(last))
        for found in candidates:
            if found is not None and found[0] > self._live.seq and (state := restore(found[1])) is not None:
                self._live = state

    def _keep(self, state: State) -> None:
        """Save the state every CHECKPOINT_EVERY entries, because the series has no checkpoints itself."""
        if state.seq - self._kept_at >= CHECKPOINT_EVERY:
            self._kept_at = state.seq
            self._checkpoints.add(state.seq, snapshot(state))

    def _state_at(self, seq: int) -> State:
        reader = self._open()
        if reader is None:
            return State()
        state = self._nearest(reader, seq)
        if seq - state.seq > 2 * NEAR:
            # Save states close before the target: a person who goes there may step back.
            self._fold(reader, state, seq - NEAR)
            self._near[state.seq] = snapshot(state)
        self._fold(reader, state, seq)
        return state

    def _fold(self, reader: SeriesSource, state: State, seq: int) -> None:
        if not self._tail or self._tail[-1].seq != state.seq:
            self._tail.clear()
        while state.seq < seq:
            page = reader.read(state.seq, min(POLL_ENTRIES, seq - state.seq))
            if not page:
                break
            extend(state, page)
            self._tail.extend(page)

    def _nearest(self, reader: SeriesSource, seq: int) -> State:
        """Return the nearest known state at or before entry `seq`.

        It is the frozen state, a state saved near it, a state saved along the series, a checkpoint of the node,
        or else the empty state before the first entry. If all of these are far away, it is a checkpoint of an older
        version, which lacks what that version did not count.
        """
        best = State()
        if self._frozen is not None and self.begin <= self._frozen.seq <= seq:
            best = self._frozen
        if seq - best.seq <= NEAR:
            return best
        near = max((at for at in self._near if at <= seq), default=0)
        candidates = [(near, self._near[near])] if near > best.seq else []
        if seq - max(near, best.seq) > 2 * NEAR:
            kept = None if self._kept is None else self._kept.nearest(seq)
            candidates += [found for found in (reader.checkpoint(seq), kept) if found is not None]
        candidates.sort(key=lambda found: -found[0])
        states = (restore(data) for at, data in candidates if at > best.seq)
        exact = next((state for state in states if state is not None), best)
        if seq - exact.seq > FAR_BEHIND:
            # An older version made the checkpoints near, and the builder is not here yet: folding would take long.
            states = (restore(data, any_version=True) for at, data in candidates if at > exact.seq)
            exact = next((state for state in states if state is not None), exact)
        return first_state(reader) if exact.seq < self.begin else exact
