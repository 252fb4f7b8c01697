"""Adds and removes objects while no node runs. It writes the same entries as a node, without a network."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from flux_tui.clock import SteadyClock
from flux_tui.core.adds_and_removals import notes_of, object_added
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.core.turn import STEP_SECONDS
from flux_tui.home import Home
from flux_tui.node.disk.add_task import read_and_reference
from flux_tui.node.disk.stored_state import load_state
from flux_tui.store.store import Landed, Store


def add_offline(
    home: Home,
    path: Path,
    by: str,
    progress: Callable[[int, int], None],
    tell: Callable[[str], None],
    *,
    verify: bool = False,
    car: bool = False,
) -> ev.ObjectAdded:
    """Share a file or folder while no node runs, under the home's lock. Returns the event about the object.

    `verify`: read files again that are unchanged since the last add of the path.

    `by`: the mark of the command that wants this. `progress(done, size)` is called with bytes. `tell` is
    called with a sentence about each part that other nodes will not get. If the add is interrupted, nothing
    of it stays in the store. `car`: the path is a CAR file; the object in it is added.
    Raises AddError, HomeError (busy), StoreError.
    """
    with home.lock():
        store = Store.open(home.path)
        shares: list[int] = []
        try:

            def step(done: int, size: int, rows: list[Landed]) -> None:
                event = ev.AddProgressed(path=str(path), bytes_done=done, size=size, by=by)
                store.commit(_timed(store, [event]), rows)
                progress(done, size)

            try:
                added, rows = read_and_reference(
                    store, path, by, step, lambda: False, shares.append, verify=verify, car=car
                )
            except BaseException:
                state = load_state(store)
                for share in shares:
                    store.end_share(share, keep=False, others=state.roots)
                if str(path) in state.adding:
                    store.commit(_timed(store, [ev.AddCancelled(path=str(path), by=by)]))
                raise
            event = object_added(added)
            store.commit(_timed(store, [*notes_of(added), event]), rows)
        finally:
            store.close()
    for note in added.notes:
        tell(note)
    return event


def remove_offline(home: Home, command: cmd.Remove) -> list[ev.Event]:
    """Stop sharing objects while no node runs, under the home's lock. Returns the events that were written.

    Raises HomeError (busy), StoreError.
    """
    appended: list[ev.Event] = []
    with home.lock():
        store = Store.open(home.path)
        try:
            machine = Machine(PeerId(""), load_state(store), store.chunks, lambda: 0.0)
            clock = SteadyClock(store.last_at)

            def append(entries: Sequence[Entry]) -> None:
                store.commit([(entry.at, entry.event) for entry in entries])
                appended.extend(entry.event for entry in entries)

            was_set = inp.ClockStepped(seconds=clock.wall() - clock())
            append(machine.handle(was_set, clock())[0])
            entries, effects = machine.handle(inp.Commanded(command), clock())
            append(entries)
            for effect in effects:
                if isinstance(effect, fx.Free):
                    freed = store.free(effect.root, effect.mark, effect.others, effect.paths)
                    given = inp.Freed(root=effect.root, cids=freed.cids, chunks=freed.chunks, size=freed.size)
                    append(machine.handle(given, clock())[0])
        finally:
            store.close()
    return appended


def prune_offline(home: Home, rule: KeepRule, archive: Path | None) -> ev.SeriesPruned:
    """Prune the series while no node runs, under the home's lock. Returns the event about it.

    A series of one file is first moved into segments. Raises HomeError (busy), StoreError.
    """
    with home.lock():
        store = Store.open(home.path)
        try:
            while store.series.due and store.series.rotate() is not None:
                pass
            pruned = store.series.prune(rule, time.time(), archive)
            if pruned is None:
                return ev.SeriesPruned(entries=0, size=0, first=store.series.first)
            where = str(archive) if archive is not None else None
            event = ev.SeriesPruned(
                entries=pruned.entries, size=pruned.size, first=pruned.first, archive=where
            )
            store.commit(_timed(store, [event]))
            return event
        finally:
            store.close()


def _timed(store: Store, events: list[ev.Event]) -> list[tuple[float, ev.Event]]:
    """Return the events, each with the present time of the wall clock.

    If the clock was set back since the store's last entry, a ClockStepped event comes before them.
    """
    now = time.time()
    back = now - store.last_at
    if store.last_seq and back <= -STEP_SECONDS:
        events = [ev.ClockStepped(seconds=back), *events]
    return [(now, event) for event in events]
