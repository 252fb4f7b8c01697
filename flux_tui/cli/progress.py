"""A progress bar on stderr. If stderr is not a terminal: a plain line each second."""

import contextlib
import sys
import time
from collections.abc import Callable
from types import TracebackType

from rich.progress import BarColumn, DownloadColumn, TextColumn
from rich.progress import Progress as RichProgress
from rich.table import Column

from flux_tui.cli.output import console, is_quiet, say
from flux_tui.core.series.flow_rate import WINDOWS, eta_of, rate_of
from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_seconds, human_size

PLAIN_SECONDS = 1.0
BAR_WIDTH, AMOUNT_WIDTH = 70, 110
"""From this many columns, there is room for the bar, and for the number of bytes."""


class Progress:
    """A progress bar. Call `update` as often as you like; the bar is drawn a few times a second.

    `title`: the words before the bar. `quiet`: show no bar and no lines. `clock` returns seconds.
    """

    def __init__(
        self, title: str, *, quiet: bool = False, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._came: dict[int, float] = {}
        """Bytes received by second, in the last minute."""
        self._since = 0.0
        self._done: int | None = None
        self._title = plain(title)
        self._console = console(stderr=True)
        quiet = quiet or is_quiet() or sys.stderr is None
        self._quiet = quiet
        self._fancy = not quiet and sys.stderr.isatty()
        self._told_at = clock()
        self._told = ""
        wide = self._console.width

        def text(
            field: str, style: str = "none", least: int | None = None, most: int | None = None
        ) -> TextColumn:
            shape = Column(no_wrap=True, overflow="ellipsis", min_width=least, max_width=most)
            return TextColumn(field, markup=False, style=style, table_column=shape)

        # On a narrow terminal, the name is cut and the bar left out. The amount and the note stay.
        name = text("{task.description}", most=max(10, wide // 5))
        bar = [BarColumn(bar_width=None)] if wide >= BAR_WIDTH else []
        amount = [DownloadColumn(binary_units=True)] if wide >= AMOUNT_WIDTH else []
        self._bar = RichProgress(
            name,
            *bar,
            text("{task.percentage:>3.0f} %", least=5),
            *amount,
            text("{task.fields[rate]}", "progress.data.speed", least=9),
            text("{task.fields[eta]}", "progress.remaining"),
            text("{task.fields[note]}", "dim"),
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
        """Write a line of text above the bar, or to stderr if no bar is shown."""
        if self._fancy:
            self._bar.console.print(plain(text), soft_wrap=True)
        else:
            say(text)

    def update(self, done: int, size: int, note: str = "") -> None:
        """Set how many bytes are done, how many there are (`size`; 0: unknown), and a note.

        `note`: what the transfer waits for.
        """
        note, now = plain(note), self._clock()
        rate, eta = self.flow(done, size, now)
        if self._fancy:
            self._bar.update(self._task, completed=done, total=size or None, note=note, rate=rate, eta=eta)
            return
        line = f"{self._title}: {human_size(done)} of {human_size(size) if size else '?'}"
        line += f", {note}" if note else ""
        if not self._quiet and now - self._told_at >= PLAIN_SECONDS and line != self._told:
            self._told_at, self._told = now, line
            self._console.print(line, soft_wrap=True)

    def flow(self, done: int, size: int, now: float) -> tuple[str, str]:
        """Count the bytes that came since the last call. Return the rate and the time that is left (eta), in words.

        The eta is empty while it is unknown. `done`, `size`: as in `update`; `now`: seconds of the clock. Bytes that
        were here before the first call do not count. One burst of bytes gives no eta.
        """
        if self._done is None:
            self._since = now
        else:
            self._came[int(now)] = self._came.get(int(now), 0.0) + max(0, done - self._done)
        self._done = done
        while self._came and (first := next(iter(self._came))) < now - WINDOWS[-1] - 1:
            del self._came[first]
        eta = eta_of(self._came, self._since, now, max(0, size - done)) if size else None
        return f"{human_size(rate_of(self._came, now))}/s", "" if eta is None else f"eta {human_seconds(eta)}"
