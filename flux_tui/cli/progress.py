"""A progress bar on stderr; plain lines, one a second, where that is no terminal."""

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.progress import BarColumn, DownloadColumn, TextColumn
from rich.progress import Progress as RichProgress

from flux_tui.cli.output import console, say
from flux_tui.core.flow import WINDOWS, eta_of, rate_of
from flux_tui.core.plain import plain
from flux_tui.core.words import human_seconds, human_size

PLAIN_SECONDS = 1.0


class Progress:
    """`update(done, size, note)` as often as you like; shown a few times a second."""

    def __init__(
        self, title: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._came: dict[int, float] = {}
        """Bytes by second, of the last minute."""
        self._since = 0.0
        self._done: int | None = None
        self._title = plain(title)
        self._console = console(stderr=True)
        self._quiet = quiet
        self._fancy = sys.stderr.isatty() and not quiet
        self._told_at = clock()
        self._told = ""
        self._bar = RichProgress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            TextColumn("{task.percentage:>3.0f} %"),
            DownloadColumn(binary_units=True),
            TextColumn("{task.fields[rate]}", markup=False, style="progress.data.speed"),
            TextColumn("{task.fields[eta]}", markup=False, style="progress.remaining"),
            TextColumn("{task.fields[note]}", markup=False, style="dim"),
            console=self._console,
            transient=True,
            expand=True,
        )
        self._task = self._bar.add_task(self._title, total=None, note="", rate="", eta="")

    def __enter__(self) -> "Progress":
        if self._fancy:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._fancy:
            with contextlib.suppress(OSError):  # the terminal may be gone
                self._bar.stop()

    def tell(self, text: str) -> None:
        """A line of its own, above the bar."""
        if self._fancy:
            self._bar.console.print(plain(text), soft_wrap=True)
        else:
            say(text)

    def update(self, done: int, size: int, note: str = "") -> None:
        """Bytes done, bytes in all (0: not known yet), and what it waits for."""
        note, now = plain(note), self._clock()
        rate, eta = self.flow(done, size, now)
        if self._fancy:
            self._bar.update(self._task, completed=done, total=size or None, note=note, rate=rate, eta=eta)
            return
        line = f"{self._title}: {human_size(done)} of {human_size(size) if size else '?'} {note}".rstrip()
        if not self._quiet and now - self._told_at >= PLAIN_SECONDS and line != self._told:
            self._told_at, self._told = now, line
            self._console.print(line, soft_wrap=True)

    def flow(self, done: int, size: int, now: float) -> tuple[str, str]:
        """How fast it comes and when the rest will be here, in words. What was here before counts as nothing that
        came; of a burst, no time can be told."""
        if self._done is None:
            self._since = now
        else:
            self._came[int(now)] = self._came.get(int(now), 0.0) + max(0, done - self._done)
        self._done = done
        while self._came and (first := next(iter(self._came))) < now - WINDOWS[-1] - 1:
            del self._came[first]
        eta = eta_of(self._came, self._since, now, max(0, size - done)) if size else None
        return f"{human_size(rate_of(self._came, now))}/s", "" if eta is None else f"eta {human_seconds(eta)}"
