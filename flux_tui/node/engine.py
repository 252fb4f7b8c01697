"""The engine: feeds inputs to the machine, commits its events to disk, and then runs its effects.

    inputs ──► machine ──► events ──► commit ──► effects ──► network, disk ──► inputs

Rules:

- Every input goes through `feed`. It is synchronous, never blocks, and may be called from any task of the node's
  trio thread. So a push returns before anything has left this process.
- A worker thread commits the events of one or more inputs together (group commit). Inputs that arrive
  meanwhile make up the next group. The effects of a group run after its commit: append, then act.
- When the disk is full, the engine stalls: it keeps its entries in memory, runs no effects, accepts no chunks, and
  tries again. So no entry is lost, and no peer is told anything that is not on disk.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

import trio

from flux_tui.core.api.effects import Effect
from flux_tui.core.api.inputs import ChunkLanded, ChunksLanded, Failed, Input, Tick
from flux_tui.core.ids import Cid
from flux_tui.core.limits import TokenBucket
from flux_tui.core.machine import Machine
from flux_tui.core.series.events import ChunkReceived, ChunkWasted, Entry
from flux_tui.core.series.fold import snapshot
from flux_tui.store.store import Landed, Store, StoreError

log = logging.getLogger(__name__)

CHECKPOINT_ENTRIES = 2_500
"""Entries between two checkpoints: 8 ms of folding. Each open want and lease adds one, as checkpoints grow with them.
"""
MAX_GROUP = 5_000
"""Entries in one commit: some 20 ms of a worker thread."""
GATHER_SECONDS = 0.003
"""Seconds for which a busy node gathers entries between two commits: a commit costs 1 ms of processor time.
"""
HASTE_BURST, HASTE_RATE = 8.0, 20.0
"""Commits in a row that do not wait for that, and how many more are allowed each second. A want, an offer, a
grant and the chunk that lists further chunks follow each other; without this, each would wait."""
LAZY_SECONDS = 0.03
"""The same while no effect waits: entries that tell what arrived or was sent may be a little late. Moving 256
MiB on two cores, this halves the commits and takes a tenth off the time."""
STREAM_ENTRIES, STREAM_SECONDS = 100, 0.2
"""With so many entries after that, small chunks come one after the other: then so much longer. Their rows are spread
over the whole chunk index, and each commit writes every page of it that has a new row."""
FULL_DISK_RETRY = 1.0
"""Seconds between two tries to commit while the disk does not take it."""


T = TypeVar("T")
RunEffect = Callable[[Effect], None]
"""Begins an effect whose entries are durable. Must not block."""
OnEntries = Callable[[Sequence[Entry]], None]
"""Is told of entries that are durable. Must not block."""


class Clock(Protocol):
    """A clock for timers. It counts seconds, and never goes back."""

    def __call__(self) -> float:
        """Return the steady time: seconds from some fixed moment."""
        ...

    def wall(self) -> float:
        """Return the time of the wall clock, in seconds since 1970."""
        ...


class Engine:
    """Feeds one node's machine, commits its entries, and starts its effects."""

    def __init__(self, machine: Machine, store: Store, clock: Clock) -> None:
        self.machine = machine
        self.store = store
        self.clock = clock
        self.stalled = False
        """Whether the disk takes no entries at the moment."""
        self._entries: list[Entry] = []
        self._effects: list[tuple[int, Effect]] = []
        """Effects, each with the number of the last entry that must be durable before it runs."""
        self._landed: list[tuple[int, Landed]] = []
        self._lost: list[tuple[int, Cid]] = []
        self._wake = trio.Event()
        self._urgent = trio.Event()
        """Set when an effect waits for its entries to be durable."""
        self._stirred = trio.Event()
        """Set when a chunk has landed, on which the machine acts at its next tick. More chunks are likely to
        follow at once. Not `_wake`: waking at every input costs 8 % of the time for 10,000 small chunks from
        four holders."""
        self._flushing = trio.Lock()
        """Commits one group at a time. At the end, the last group waits for the one before."""
        self._checkpoint_at = self._next_checkpoint()

    def feed(self, given: Input, landed: Sequence[Landed] = (), lost: Sequence[Cid] = ()) -> None:
        """Feed an input to the machine.

        `landed`: index rows of chunks that were written. `lost`: CIDs of chunks that are no longer in the
        store. Both are committed together with the events of this input.
        """
        entries, effects = self.machine.handle(given, self.clock())
        seq = self.machine.state.seq
        self._entries += entries
        if len(landed) == 1:
            self._landed.append((seq, landed[0]))
        elif landed:
            self._landed += _with_entries(landed, entries, seq)
        if lost:
            self._lost += [(seq, cid) for cid in lost]
        if effects:
            self._effects += [(seq, effect) for effect in effects]
            self._urgent.set()
            self._stirred.set()
        self._wake.set()
        if isinstance(given, ChunkLanded | ChunksLanded):
            self._stirred.set()

    async def run(self, run_effect: RunEffect, on_entries: OnEntries) -> None:
        """Commit entries and start effects, until cancelled.

        `run_effect` is called with each effect, and `on_entries` with entries, once they are durable.
        """
        last = -LAZY_SECONDS
        haste = TokenBucket(HASTE_BURST, HASTE_RATE, trio.current_time())
        while True:
            await self._wait()
            self.tick()
            # A quiet node commits at once, and a few times more. A busy one gathers for a moment: fewer,
            # larger groups.
            if not self._urgent.is_set():
                due = min(
                    last + LAZY_SECONDS - trio.current_time(), self.machine.next_deadline() - self.clock()
                )
                with trio.move_on_after(max(due, 0.0)):
                    await self._until_effect()
                if len(self._entries) >= STREAM_ENTRIES:
                    due = min(STREAM_SECONDS, self.machine.next_deadline() - self.clock())
                    with trio.move_on_after(max(due, 0.0)):
                        await self._until_effect()
            if not haste.spend(1, trio.current_time()):
                await trio.sleep(max(last + GATHER_SECONDS - trio.current_time(), 0.0))
                self.tick()
            self._urgent = trio.Event()
            async with self._flushing:
                await self._flush(run_effect, on_entries, self.machine.state.seq)
            last = trio.current_time()

    def tick(self) -> None:
        """Feed the input `Tick`, if the machine's next timer is due (`next_deadline`)."""
        if self.machine.next_deadline() <= self.clock():
            self.feed(Tick())

    async def _until_effect(self) -> None:
        """Wait until the machine has made an effect. Until then, a commit is not urgent.

        After each chunk that arrives, feed the input `Tick` if a timer of the machine is due.
        """
        while not self._urgent.is_set() and len(self._entries) < MAX_GROUP:
            await self._stirred.wait()
            self._stirred = trio.Event()
            self.tick()

    def _next_checkpoint(self) -> int:
        state = self.machine.state
        return state.seq + CHECKPOINT_ENTRIES + len(state.pending) + len(state.leases)

    def save_state(self) -> None:
        """Save a checkpoint with the next commit."""
        self._checkpoint_at = 0

    async def flush(self, run_effect: RunEffect, on_entries: OnEntries) -> None:
        """Commit all entries that wait, also those that come meanwhile, and start the effects that wait for them."""
        async with self._flushing:
            while self._entries or self._effects or self._landed or self._lost:
                await self._flush(run_effect, on_entries, self.machine.state.seq)

    async def _flush(self, run_effect: RunEffect, on_entries: OnEntries, through: int) -> None:
        """Commit the entries up to number `through`, and start the effects that wait for them.

        Entries that come during a commit are left for the next one, which may wait for more of them. On a busy
        machine, a hundred small chunks come during one commit.
        """
        seq = -1
        while seq < through:
            group = self._entries[:MAX_GROUP]
            seq = self.machine.state.seq if len(group) == len(self._entries) else group[-1].seq
            landed = _until(self._landed, seq)
            lost = _until(self._lost, seq)
            checkpoint = None
            if seq >= self._checkpoint_at and seq == self.machine.state.seq:
                checkpoint = snapshot(self.machine.state)
                self._checkpoint_at = self._next_checkpoint()
            if group or landed or lost:
                # Entries stay in the lists until they are durable: after an interruption, the next flush
                # commits them.
                await self._commit(group, landed, lost, checkpoint)
                del self._entries[: len(group)], self._landed[: len(landed)], self._lost[: len(lost)]
            effects = _until(self._effects, seq)
            del self._effects[: len(effects)]
            for effect in effects:
                run_effect(effect)
            if group:
                on_entries(group)

    async def _commit(
        self, group: list[Entry], landed: list[Landed], lost: list[Cid], checkpoint: bytes | None
    ) -> None:
        assert not group or group[0].seq == self.store.last_seq + 1, "what is appended follows what is there"
        events = [(entry.at, entry.event) for entry in group]
        since = self.clock()
        while True:
            try:
                # A commit that has begun is not cancelled, so that its outcome is known.
                with trio.CancelScope(shield=True):
                    await trio.to_thread.run_sync(self.store.commit, events, landed, lost, checkpoint)
            except StoreError as error:
                if not self.stalled:
                    log.error("the series cannot be written, so the node waits: %s", error)
                self.stalled = True
                await trio.sleep(FULL_DISK_RETRY)
                continue
            break
        if self.stalled:
            self.stalled = False
            seconds = self.clock() - since
            self.feed(Failed(text=f"the series could not be written for {seconds:.0f} s; it can now"))

    async def _wait(self) -> None:
        """Wait until there is an input, or until the machine's next timer is due (`next_deadline`)."""
        if not self._wake.is_set():
            deadline = self.machine.next_deadline()
            with trio.move_on_after(max(0.0, deadline - self.clock())):
                await self._wake.wait()
        else:
            await trio.lowlevel.checkpoint()
        self._wake = trio.Event()


def _with_entries(
    rows: Sequence[Landed], entries: Iterable[Entry], last: int
) -> Iterator[tuple[int, Landed]]:
    """Yield each row, in the order of its chunk's entry, with the number of that entry, or of the `last` one."""
    seqs: dict[Cid, int] = {}
    for seq, _, event in entries:
        if isinstance(event, ChunkReceived | ChunkWasted):
            seqs.setdefault(event.cid, seq)
    return ((seqs.get(row.cid, last), row) for row in rows)


def _until(rows: list[tuple[int, T]], seq: int) -> list[T]:
    """Return the rows that belong to entries up to number `seq`. The rows are in the order of their entries."""
    found: list[T] = []
    for at, row in rows:
        if at > seq:
            break
        found.append(row)
    return found
