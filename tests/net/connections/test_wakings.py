"""A machine that was asleep is noticed, and a busy one is not taken for it."""

import trio
import trio.testing

from flux_tui.net.connections import wakings
from flux_tui.net.connections.wakings import ASLEEP_SECONDS, LOOK_SECONDS


async def test_a_jump_of_the_clock_that_counts_sleep_is_a_waking(
    autojump_clock: trio.testing.MockClock,
) -> None:
    slept = 0.0
    woken: list[float] = []

    def clock() -> float:
        return trio.current_time() + slept

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wakings.watch, lambda: woken.append(trio.current_time()), clock)
        await trio.sleep(10)
        slept += ASLEEP_SECONDS - 1  # a busy machine
        await trio.sleep(10)
        assert not woken
        slept += 90
        at = trio.current_time()
        await trio.sleep(10)
        assert len(woken) == 1
        assert woken[0] - at <= LOOK_SECONDS
        nursery.cancel_scope.cancel()
