"""`python -m tests.networks [NAME...] [--times N]`: measure what is too slow for a test. Prints one table row for each.

A measurement is a function in a module `measure_*.py` of this folder, in its table MEASUREMENTS. It takes a `Lab` and
returns its figures in words; the first line of its docstring tells the situation.
"""

import argparse
import importlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.network_lab import Lab, lacks, opened


def measurements() -> dict[str, Callable[[Lab], str]]:
    """Return all measurements by name."""
    found: dict[str, Callable[[Lab], str]] = {}
    for path in sorted(Path(__file__).parent.glob("measure_*.py")):
        found |= importlib.import_module(f"tests.networks.{path.stem}").MEASUREMENTS
    return found


def main() -> int:
    """Run the measurements that the command line names, or list all."""
    known = measurements()
    parser = argparse.ArgumentParser(prog="python -m tests.networks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    parser.add_argument("--times", type=int, default=1, help="how often each is measured")
    given = parser.parse_args()
    if unknown := [name for name in given.names if name not in known]:
        parser.error(f"there is no measurement {', '.join(unknown)}; there are {', '.join(known)}")
    if (why := lacks()) is not None:
        parser.error(f"no network laboratory: {why}")
    for name in given.names or known:
        situation = (known[name].__doc__ or name).splitlines()[0].rstrip(".")
        for _ in range(given.times if given.names else 0):
            with tempfile.TemporaryDirectory() as folder, opened(Path(folder)) as lab:
                began = time.monotonic()
                try:
                    figures = known[name](lab)
                except AssertionError as error:
                    figures = f"failed: {error}"
                took = time.monotonic() - began
            print(f"| {name} | {situation} | {figures} | {took:.0f} s in all |", flush=True)
        if not given.names:
            print(f"{name}: {situation}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
