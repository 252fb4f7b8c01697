"""Notices that this machine was asleep, or that this process was stopped for a while.

What the process knows of its network is old then: addresses may have changed, and connections may be dead.
"""

from collections.abc import Callable

import trio

from flux_tui.clock import elapsed

LOOK_SECONDS = 1.0
ASLEEP_SECONDS = 10.0
"""Seconds by which a look is late after a sleep. A busy machine does not stop a process for so long."""


async def watch(woke: Callable[[], None], clock: Callable[[], float] = elapsed) -> None:
    """Call `woke` whenever this machine has woken up, or this process continues after a stop. Runs until cancelled.

    `clock`: returns seconds, and counts the time in which the machine sleeps too.
    """
    before = clock()
    while True:
        await trio.sleep(LOOK_SECONDS)
        now = clock()
        if now - before > LOOK_SECONDS + ASLEEP_SECONDS:
            woke()
        before = now
