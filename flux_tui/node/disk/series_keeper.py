"""Keeps the series of a running node small: moves its oldest entries into segments, and prunes them by the settings.

See store/segments. While no chunks come, it also merges the staged rows of those that came (store/index).
"""

import logging
from functools import partial
from pathlib import Path

import trio

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.series.keep_rule import KeepRule, parse_keep_rule
from flux_tui.node.engine import Engine
from flux_tui.store.store import StoreError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Seconds between two looks at whether a segment is due."""
PAUSE_SECONDS = 0.2
"""Seconds between two segments of a long series that is taken over: some 150 ms of work each."""
PRUNE_SECONDS = 600.0
"""Seconds between two prunes by the settings."""
SETTLED_SECONDS = 3600.0
"""Seconds for which the clock must not have been set before entries are pruned by their age: a clock that is set
years forward for a moment must not drop the history."""
TROUBLE_SECONDS = 60.0
"""Seconds until the next try after an error, such as a full disk."""


class SeriesKeeper:
    """Rotates and prunes the series of one node, in worker threads."""

    def __init__(self, engine: Engine, rule: KeepRule, archive: Path | None) -> None:
        """`rule`: what the settings keep. `archive`: the folder for what is pruned; None: it is deleted."""
        self._engine = engine
        self._series = engine.store.series
        self._rule = rule
        self._archive = archive
        self._asked: list[fx.PruneSeries] = []
        self._wake = trio.Event()
        self._prune_at = engine.clock() + SETTLED_SECONDS if rule.seconds else engine.clock()

    def ask(self, effect: fx.PruneSeries) -> None:
        """Prune soon, as a person asked for."""
        self._asked.append(effect)
        self._wake.set()

    def clock_was_set(self) -> None:
        """Wait before entries are pruned by their age: the clock of this machine was set."""
        if self._rule.seconds is not None:
            self._prune_at = self._engine.clock() + SETTLED_SECONDS

    async def run(self) -> None:
        """Work until cancelled. A step that has begun is finished: the store is closed after it."""
        while True:
            with trio.move_on_after(PAUSE_SECONDS if self._series.due else LOOK_SECONDS):
                await self._wake.wait()
            self._wake = trio.Event()
            if self._engine.stalled:
                continue
            try:
                if self._series.due:
                    await trio.to_thread.run_sync(self._series.rotate)
                elif self._engine.store.has_staged:
                    await trio.to_thread.run_sync(self._engine.store.merge_staged)
            except StoreError as error:
                log.warning("old entries and new places of chunks stay where they are for now: %s", error)
                await trio.sleep(TROUBLE_SECONDS)
            while self._asked:
                asked = self._asked.pop(0)
                archive = None if asked.archive is None else Path(asked.archive)
                await self._prune(parse_keep_rule(asked.keep), archive, asked.by)
            if not self._rule.all and self._engine.clock() >= self._prune_at:
                self._prune_at = self._engine.clock() + PRUNE_SECONDS
                await self._prune(self._rule, self._archive, None)

    async def _prune(self, rule: KeepRule, archive: Path | None, by: str | None) -> None:
        """Prune, and feed the outcome to the machine. Nothing to prune is an outcome if a person asked (`by`)."""
        try:
            call = partial(self._series.prune, rule, self._engine.clock.wall(), archive)
            pruned = await trio.to_thread.run_sync(call)
        except StoreError as error:
            self._engine.feed(inp.Failed(text=f"the series could not be pruned: {error}", by=by))
            return
        where = None if archive is None or pruned is None else str(archive)
        if pruned is not None:
            self._engine.feed(inp.SeriesPruned(pruned.entries, pruned.size, pruned.first, where, by))
        elif by is not None:
            first = self._series.first
            self._engine.feed(inp.SeriesPruned(0, 0, first, None, by))
