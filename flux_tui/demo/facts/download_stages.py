"""Measures where the time of a download goes: asking, fetching, or between the two. Read from a series."""

from typing import Literal, TypeAlias, get_args

from flux_tui.core.series.events import ChunkReceived, DelayedYes, Entry, Granted, PushedWant, Requested

Stage: TypeAlias = Literal["asking", "fetching", "between"]
"""The three things that a node waits for: an answer to its want; the chunks that it granted; or only itself."""


class Stages:
    """Divides the time from the first want to the last chunk into the stages of `Stage`, entry by entry.

    Each moment belongs to one stage. So the seconds of all stages add up to the whole time.
    """

    def __init__(self) -> None:
        self.seconds: dict[Stage, float] = dict.fromkeys(get_args(Stage), 0.0)
        """The seconds of each stage, up to the last chunk."""
        self.waits = 0
        """How many times the node began to wait for another node, up to the last chunk."""
        self._stage: Stage | None = None
        self._since = 0.0
        self._open: dict[Stage, float] = {}
        self._begun = 0

    def add(self, entry: Entry, leases: int, asked: int) -> None:
        """Add the next entry of the series.

        `leases`: the number of granted chunks that have not come. `asked`: the number of wants that were pushed and are
        not complete. Both are counted after this entry.
        """
        stage = self._stage
        match entry.event:
            case Requested() if stage is None:
                stage = "between"
            case PushedWant(besides=False) if stage == "between":
                stage = "asking"
            case DelayedYes() if stage == "asking":
                stage = "between"
            case Granted():
                stage = "fetching"
            case ChunkReceived() if stage is not None and not leases:
                stage = "asking" if asked else "between"
            case _:
                pass
        if self._stage is not None:
            self._open[self._stage] = self._open.get(self._stage, 0.0) + max(0.0, entry.at - self._since)
        if stage != self._stage and stage in ("asking", "fetching"):
            self._begun += 1
        if isinstance(entry.event, ChunkReceived):
            for name, seconds in self._open.items():
                self.seconds[name] += seconds
            self._open.clear()
            self.waits = self._begun
        self._stage, self._since = stage, entry.at
