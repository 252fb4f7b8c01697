"""Keeps the series of a running node small: moves its oldest entries into segments (store/segments)."""

import logging

import trio

from flux_tui.node.engine import Engine
from flux_tui.store.store import StoreError

log = logging.getLogger(__name__)

LOOK_SECONDS = 5.0
"""Seconds between two looks at whether a segment is due."""
PAUSE_SECONDS = 0.2
"""Seconds between two segments of a long series that is taken over: some 150 ms of work each."""
TROUBLE_SECONDS = 60.0
"""Seconds until the next try after an error, such as a full disk."""


async def keep_series(engine: Engine) -> None:
    """Make segments of the oldest entries, as often as they are enough, until cancelled."""
    series = engine.store.series
    while True:
        await trio.sleep(PAUSE_SECONDS if series.due else LOOK_SECONDS)
        if not series.due or engine.stalled:
            continue
        try:
            # It is not cancelled in the middle: the store is closed after it.
            await trio.to_thread.run_sync(series.rotate)
        except StoreError as error:
            log.warning("old entries stay where they are for now: %s", error)
            await trio.sleep(TROUBLE_SECONDS)
