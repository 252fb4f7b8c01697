"""Ends the dashboard because of a signal, or with the report of an error."""

import asyncio
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from flux_tui.core.text.plain import Plain, plain, plain_lines
from flux_tui.regular_files import APPEND, open_regular
from flux_tui.signals import AGAIN_SECONDS, handled_signals

HANGUP_SECONDS = 1.0
"""The process ends this long after its terminal is gone."""


class SignalEnd:
    """Ends the dashboard when a signal comes. `leave` ends the app, which restores the terminal."""

    def __init__(self, leave: Callable[[], None]) -> None:
        self._leave = leave
        self._signal: int | None = None
        self._came_at = 0.0

    @property
    def signal(self) -> int | None:
        """The number of the signal that ends the dashboard. None: no signal came."""
        return self._signal

    def install(self) -> None:
        """Let the running event loop call `end` for each of the signals that `handled_signals` returns.

        In any thread but the main thread, do nothing.
        """
        if threading.current_thread() is threading.main_thread():
            for number in handled_signals():
                asyncio.get_running_loop().add_signal_handler(number, self.end, number)

    def end(self, number: int) -> None:
        """End the dashboard because the signal `number` came.

        A second signal more than AGAIN_SECONDS after the first ends the process at once. After SIGHUP (the
        terminal is gone), the process ends within HANGUP_SECONDS. Neither waits for pending work.
        """
        if self._signal is None:
            self._signal, self._came_at = number, time.monotonic()
            # In the background, a change of the terminal's settings would otherwise stop this process.
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
        elif time.monotonic() - self._came_at > AGAIN_SECONDS:
            os._exit(128 + number)
        if number == signal.SIGHUP:
            timer = threading.Timer(HANGUP_SECONDS, os._exit, (128 + number,))
            timer.daemon = True
            timer.start()
        self._leave()


def write_crash_report(error: Exception, path: Path) -> Plain:
    """Append the report of an error to a file.

    Return a sentence for the person: where the report is, or why it cannot be written.
    """
    where = f"the report is in {path}"
    try:
        # Do not follow a link, which somebody else may have made in a shared folder.
        descriptor = open_regular(path, APPEND | os.O_NOFOLLOW, 0o600)
        with open(descriptor, "a", encoding="utf-8") as log:
            log.write(time.strftime("%Y-%m-%d %H:%M:%S\n"))
            log.write(plain_lines(*"".join(traceback.format_exception(error)).split("\n")))
    except OSError as failed:
        where = f"and its report cannot be written to {path}: {failed.strerror}"
    return plain(f"flux-tui: the dashboard failed; {where}")
