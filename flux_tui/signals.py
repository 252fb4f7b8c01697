"""Lets SIGINT, SIGTERM and SIGHUP end a command in order: it cleans up as after ctrl+C.

The exit status is 128 plus the signal's number, as in shells.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
"""Seconds within which a second signal counts as the same one: `timeout` signals the command, then its group.
"""


def handled_signals() -> list[signal.Signals]:
    """Return those of SIGINT, SIGTERM and SIGHUP that end this process.

    An ignored signal is left out (`nohup`: SIGHUP).
    """
    return [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]


class Ended(KeyboardInterrupt):
    """Raised in the main thread when a signal ends this process. `number` is the signal."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_status(error: KeyboardInterrupt) -> int:
    """Return the exit status of a process that ended with this exception: 128 plus the signal's number.

    An exception other than Ended stands for SIGINT.
    """
    return 128 + (error.number if isinstance(error, Ended) else signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """Inside the `with` block, let SIGINT, SIGTERM and SIGHUP raise Ended in the main thread.

    Ignored signals stay ignored. A signal that follows another within AGAIN_SECONDS has no effect. In any
    other thread than the main thread, the block changes nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began = float("-inf")

    def end(number: int, _: FrameType | None) -> None:
        nonlocal began
        if time.monotonic() - began > AGAIN_SECONDS:
            began = time.monotonic()
            raise Ended(number)

    before = {number: signal.signal(number, end) for number in handled_signals()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def noted_signals() -> Iterator[list[int]]:
    """Inside the `with` block, append SIGINT, SIGTERM and SIGHUP to the yielded list, and interrupt nothing.

    This is for code that must not be interrupted, such as an event loop that starts or ends. Ignored signals
    stay ignored.
    """
    noted: list[int] = []
    before = {
        number: signal.signal(number, lambda number, _: noted.append(number)) for number in handled_signals()
    }
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
