"""Notices that this machine was asleep, or that this process stood still: what it knows of its network is old then."""

from collections.abc import Callable

import trio

from flux_tui.clock import elapsed

LOOK_SECONDS = 1.0
ASLEEP_SECONDS = 10.0
"""Seconds by which a look is late after a sleep. A busy machine does not stop a process for so long."""


async def watch(woke: Callable[[], None], clock: Callable[[], float] = elapsed) -> None:
    """Call `woke` whenever this machine has woken up, until cancelled. `clock`: also counts while it sleeps."""
    before = clock()
    while True:
        await trio.sleep(LOOK_SECONDS)
        now = clock()
        if now - before > LOOK_SECONDS + ASLEEP_SECONDS:
            woke()
        before = now
