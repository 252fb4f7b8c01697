"""The dashboard's memory: a series, folded as it grows, and one cursor in time.

Everything on the screen is `state`: the state at the cursor. Live, the cursor is the newest entry; frozen,
it is held; scrubbing moves it. The fold of the newest entries goes on meanwhile, so that going back to
live is at once.

Law: `state` at entry N equals derive(series[:N]), whichever way the cursor came there. Reaching an entry
costs one checkpoint and at most CHECKPOINT_EVERY entries; nothing here is ever proportional to history.
No Textual in this module.
"""

from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from flux_tui.core.derive import extend, restore, snapshot
from flux_tui.core.events import Entry
from flux_tui.core.state import State
from flux_tui.store.schema import StoreError
from flux_tui.store.series import SeriesReader, SeriesSource

CHECKPOINT_EVERY = 20_000
"""Entries between two checkpoints kept in memory: 30 ms of folding."""
POLL_ENTRIES = 20_000
"""Entries folded in one go, so that keys are never held up for longer than 40 ms."""
PAGE = 128
"""Entries read at a time for the series panel."""
PAGES_KEPT = 64


class Source:
    """One series. `path` may not exist yet: then there is nothing, until there is."""

    def __init__(self, opening: Callable[[], SeriesSource | None]) -> None:
        self._opening = opening
        self._reader: SeriesSource | None = None
        self._live = State()
        self._held: State | None = None
        """The state at the cursor while it is held; None: live."""
        self._kept: list[int] = []
        self._checkpoints: dict[int, bytes] = {}
        self._pages: OrderedDict[int, list[Entry]] = OrderedDict()
        self.last_seq = 0
        """Entries in the series, folded or not."""
        self.trouble: str | None = None
        """Why the series cannot be read: one sentence."""

    @classmethod
    def of_file(cls, path: Path) -> "Source":
        """A home's database or an exported series."""
        return cls(lambda: SeriesReader.open(path) if path.exists() else None)

    @property
    def state(self) -> State:
        """The state at the cursor. Not to be changed or kept."""
        return self._live if self._held is None else self._held

    @property
    def cursor(self) -> int:
        """The entry after which `state` holds."""
        return self.state.seq

    @property
    def frozen(self) -> bool:
        """Whether the cursor is held."""
        return self._held is not None

    @property
    def behind(self) -> int:
        """Entries that came since the cursor."""
        return max(0, self.last_seq - self.cursor)

    @property
    def loading(self) -> bool:
        """Whether there are entries that were not folded yet."""
        return self._live.seq < self.last_seq

    def poll(self, budget: int = POLL_ENTRIES) -> bool:
        """Take in what is new, up to `budget` entries. Returns whether anything was."""
        reader = self._open()
        if reader is None:
            return False
        try:
            last = reader.last_seq()
            if last <= self._live.seq:
                self.last_seq = last
                return False
            self.last_seq = last
            if last - self._live.seq > CHECKPOINT_EVERY:
                self._jump(reader, last)
            extend(self._live, reader.read(self._live.seq, budget))
        except StoreError as error:
            self.trouble = str(error)
            return False
        self._keep(self._live)
        return True

    def freeze(self) -> None:
        """Hold the cursor where it is."""
        if self._held is None:
            self._held = _copy(self._live)

    def live(self) -> None:
        """Back to the newest entry."""
        self._held = None

    def go_to(self, seq: int) -> None:
        """Hold the cursor after entry `seq` (at most the newest, at least none)."""
        seq = min(max(seq, 0), self.last_seq)
        if self._held is None or self._held.seq != seq:
            self._held = self._state_at(seq)

    def go_to_time(self, at: float) -> None:
        """Hold the cursor after the last entry that is not later than `at`."""
        reader = self._open()
        self.go_to(reader.seq_at(at) if reader is not None else 0)

    def entry(self, seq: int) -> Entry | None:
        """One entry; from a small cache of pages."""
        if not 1 <= seq <= self.last_seq:
            return None
        start = (seq - 1) // PAGE * PAGE
        page = self._pages.get(start)
        if page is None or len(page) <= seq - 1 - start:
            page = self.read(start, PAGE)
            self._pages[start] = page
            if len(self._pages) > PAGES_KEPT:
                self._pages.popitem(last=False)
        else:
            self._pages.move_to_end(start)
        index = seq - 1 - start
        return page[index] if index < len(page) else None

    def read(self, after: int, limit: int) -> list[Entry]:
        """Entries after `after`, in order."""
        reader = self._open()
        try:
            return reader.read(after, limit) if reader is not None else []
        except StoreError as error:
            self.trouble = str(error)
            return []

    def close(self) -> None:
        """Let go of the file."""
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

    def _jump(self, reader: SeriesSource, last: int) -> None:
        """Far behind (just opened): begin at the node's own newest checkpoint."""
        found = reader.checkpoint(last)
        if found is not None and found[0] > self._live.seq and (state := restore(found[1])) is not None:
            self._live = state

    def _keep(self, state: State) -> None:
        """Remember a checkpoint now and then."""
        if not self._kept or state.seq - self._kept[-1] >= CHECKPOINT_EVERY:
            self._kept.append(state.seq)
            self._checkpoints[state.seq] = snapshot(state)

    def _state_at(self, seq: int) -> State:
        reader = self._open()
        if reader is None:
            return State()
        state = self._nearest(reader, seq)
        while state.seq < seq:
            page = reader.read(state.seq, min(POLL_ENTRIES, seq - state.seq))
            if not page:
                break
            extend(state, page)
        return state

    def _nearest(self, reader: SeriesSource, seq: int) -> State:
        """The best place to begin: the held state, a kept checkpoint, or one of the node's."""
        best = State()
        if self._held is not None and self._held.seq <= seq:
            best = self._held
        index = bisect_right(self._kept, seq)
        candidates = [self._checkpoints[self._kept[index - 1]]] if index else []
        if (found := reader.checkpoint(seq)) is not None:
            candidates.append(found[1])
        if seq - best.seq > CHECKPOINT_EVERY // 10:
            for data in candidates:
                state = restore(data)
                if state is not None and best.seq < state.seq <= seq:
                    best = state
        return best


def _copy(state: State) -> State:
    copied = restore(snapshot(state))
    assert copied is not None
    return copied
