"""Resources of a process, sampled over time, and whether they grow."""

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

WARM = 0.3
"""The first part of a soak, in which caches and tables fill."""


class Sample(NamedTuple):
    """A sample of one process at one moment."""

    at: float
    rss: int
    """Resident bytes."""
    descriptors: int
    threads: int
    disk: int
    """Bytes of the home: the database, its log, segments, and what is fetched into it."""
    run: int = 0
    """How often the node was started anew before."""


def sample(pid: int, home: Path, run: int = 0) -> Sample:
    proc = Path(f"/proc/{pid}")
    pages = int((proc / "statm").read_text().split()[1])
    threads = next(
        int(line.split()[1])
        for line in (proc / "status").read_text().splitlines()
        if line.startswith("Threads")
    )
    size = 0
    for path in home.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # it was removed just now
            size += path.stat().st_size if path.is_file() else 0
    return Sample(
        time.monotonic(),
        pages * os.sysconf("SC_PAGE_SIZE"),
        len(os.listdir(proc / "fd")),
        threads,
        size,
        run,
    )


def growth(samples: list[Sample], figure: Callable[[Sample], float]) -> float:
    """Return how much the last third grew over the middle third, by medians. Return 0 for few samples."""
    steady = samples[int(len(samples) * WARM) :]
    half = len(steady) // 2
    if half == 0:
        return 0.0
    return statistics.median(map(figure, steady[half:])) - statistics.median(map(figure, steady[:half]))


def last_run(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples since the node was started last: what it holds in memory began anew with it."""
    return [one for one in samples if one.run == samples[-1].run]


def per_hour(samples: list[Sample], figure: Callable[[Sample], float]) -> float:
    """Return how much a figure grows in an hour, by the line that fits the samples after the first part."""
    steady = samples[int(len(samples) * WARM) :]
    if len(steady) < 2:
        return 0.0
    return statistics.linear_regression([one.at for one in steady], [*map(figure, steady)]).slope * 3600


def share_of_peace(pairs: Sequence[tuple[float, float]]) -> float:
    """The speed of a node as a share of another's that does the same at the same time: the median of pairs of
    seconds. What else the machine does slows both down."""
    return statistics.median(quiet / ours for ours, quiet in pairs)
