"""SIGINT, SIGTERM and SIGHUP end a command in order: what it was doing is unwound, as by ctrl+C.

The exit status is 128 + the signal's number, as shells have it.
"""

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

AGAIN_SECONDS = 1.0
"""In which a second signal is the same one: `timeout` sends its signal to the command, then to its group."""


def heeded() -> list[signal.Signals]:
    """The signals that end this process: those of three that nobody has had ignored, as `nohup` has SIGHUP."""
    return [
        number
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        if signal.getsignal(number) is not signal.SIG_IGN
    ]


class Ended(KeyboardInterrupt):
    """A signal ends this process."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def end_status(error: KeyboardInterrupt) -> int:
    """The exit status of a process that was ended by this."""
    return 128 + (error.number if isinstance(error, Ended) else signal.SIGINT)


@contextmanager
def ended_by_signals() -> Iterator[None]:
    """For as long as this lasts, these signals raise Ended in the main thread. What is ignored stays ignored."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    began = float("-inf")

    def end(number: int, _: FrameType | None) -> None:
        nonlocal began
        if time.monotonic() - began > AGAIN_SECONDS:
            began = time.monotonic()
            raise Ended(number)

    before = {number: signal.signal(number, end) for number in heeded()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
