"""How figures grow with what a node has: years, thousands of objects, ten thousand files.

python -m tests.bench.growth [--only NAME,…] [--json FILE]

Each part measures something at several sizes. For each size it shows the figure, and for all together the
exponent: by which power of the size the figure grows (1.0: in proportion, 0: not at all). Sizes, figures and
exponents have limits.

A new part is a module `growth_NAME.py` beside this one with a function `measure(growth)`, listed in PARTS. It
adds its rows by `growth.curve(…)` and `growth.add(…)`.
"""

import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module

from tests.bench.report import Table, parser

PARTS = ("series", "search", "wants", "pushes", "announcing", "small_files", "adding", "throughput")
"""The parts, in the order in which they run: each is the module `tests.bench.growth_NAME`."""


class Growth(Table):
    """A table of figures at several sizes, with the exponents of their growth."""

    def curve(
        self,
        name: str,
        figures: Mapping[int, float],
        unit: str,
        *,
        of: str = "",
        most: Mapping[int, float] | None = None,
        exponent: float | None = None,
    ) -> float:
        """Add a row for each size, and one for the exponent. Return the exponent.

        `figures`: the figure at each size. `of`: what the sizes count, such as "objects". `most`: limits of
        the figures at some sizes. `exponent`: the limit of the exponent.
        """
        for size, figure in figures.items():
            self.add(f"{name}, {size:,} {of}".rstrip(), figure, unit, most=(most or {}).get(size))
        found = fitted_exponent(figures)
        if len(figures) > 1:
            self.add(f"{name}: exponent", found, "", most=exponent)
        return found

    def timed(self, part: str, measure: Callable[["Growth"], None]) -> None:
        """Run one part. Its duration and the load of the machine go to standard error."""
        began = time.monotonic()
        measure(self)
        load = os.getloadavg()[0]
        print(f"{part}: {time.monotonic() - began:.0f} s, load {load:.1f}", file=sys.stderr)


def fitted_exponent(figures: Mapping[int, float]) -> float:
    """Return the slope of the line through the logarithms of sizes and figures, by least squares.

    0.0 for fewer than two sizes. A figure of 0 counts as 1e-9.
    """
    points = [(math.log(size), math.log(max(figure, 1e-9))) for size, figure in figures.items()]
    if len(points) < 2:
        return 0.0
    across = sum(x for x, _ in points) / len(points)
    up = sum(y for _, y in points) / len(points)
    return sum((x - across) * (y - up) for x, y in points) / sum((x - across) ** 2 for x, _ in points)


def main() -> int:
    options = parser(__doc__ or "")
    options.add_argument("--only", default=",".join(PARTS), metavar="NAME,…", help="parts to run")
    given = options.parse_args()
    growth = Growth("What grows with years, objects and files")
    for part in given.only.split(","):
        if part not in PARTS:
            options.error(f"there is no part {part!r}; the parts are: {', '.join(PARTS)}")
        growth.timed(part, import_module(f"tests.bench.growth_{part}").measure)
    return growth.show(given.json)


if __name__ == "__main__":
    sys.exit(main())
