"""Runs trio inside a command, so that a signal ends it in order and not in the middle of its loop."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from flux_tui.cli.content.looking import bare_errors
from flux_tui.signals import Ended, handled_signals, noted_signals

T = TypeVar("T")


def run_in_trio(work: Callable[[], Awaitable[T]]) -> T:
    """Run `work` in a trio loop, and return its result. SIGINT, SIGTERM and SIGHUP cancel it; then Ended is raised.

    An error is raised as `work` raised it.
    """
    import trio

    results: list[T] = []
    ended: list[int] = []

    async def main(noted: list[int]) -> None:
        with trio.open_signal_receiver(*handled_signals()) as signals:
            async with trio.open_nursery() as nursery:

                async def watch() -> None:
                    async for number in signals:
                        ended.append(number)
                        nursery.cancel_scope.cancel()
                        return

                nursery.start_soon(watch)
                if not noted:
                    results.append(await work())
                nursery.cancel_scope.cancel()

    with noted_signals() as noted, bare_errors():
        trio.run(main, noted)
    if not results:
        raise Ended((ended + noted)[0])
    return results[0]
