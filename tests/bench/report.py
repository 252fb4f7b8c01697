"""The output of every benchmark: a table for people, JSON for programs."""

import argparse
import json
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def parser(about: str) -> argparse.ArgumentParser:
    """Return a parser with the options of all benchmarks."""
    found = argparse.ArgumentParser(description=about)
    found.add_argument("--json", type=Path, default=None, metavar="FILE", help="write the figures there, too")
    found.add_argument("--runs", type=int, default=3, help="counted runs of each side; medians are shown")
    return found


class Table:
    """Figures with their units and limits."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.rows: list[dict[str, Any]] = []

    def add(
        self, name: str, values: float | Sequence[float], unit: str, *, least: float | None = None,
        most: float | None = None,
    ) -> float:  # fmt: skip
        """Add a figure (the median of several). `least` and `most` are its limits."""
        samples = [float(values)] if isinstance(values, (int, float)) else [float(value) for value in values]
        median = statistics.median(samples)
        held = (least is None or median >= least) and (most is None or median <= most)
        self.rows.append(
            {
                "name": name, "median": median, "min": min(samples), "max": max(samples), "runs": len(samples),
                "unit": unit, "least": least, "most": most, "held": held,
            }
        )  # fmt: skip
        return median

    def show(self, json_file: Path | None = None) -> int:
        """Print the table. Return the exit status: 1 if a limit was not held."""
        width = max(len(row["name"]) for row in self.rows)
        print(self.title)
        for row in self.rows:
            limit = ""
            if row["least"] is not None:
                limit = f"  at least {row['least']:,g}"
            if row["most"] is not None:
                limit = f"  at most {row['most']:,g}"
            spread = f"  ({row['min']:,.4g} … {row['max']:,.4g})" if row["runs"] > 1 else ""
            mark = "" if not limit else "  held" if row["held"] else "  NOT HELD"
            print(f"  {row['name']:<{width}}  {row['median']:>12,.4g} {row['unit']}{spread}{limit}{mark}")
        if json_file is not None:
            machine = {"python": platform.python_version(), "machine": platform.machine()}
            json_file.write_text(
                json.dumps({"title": self.title, "machine": machine, "rows": self.rows}, indent=1)
            )
        return 0 if all(row["held"] for row in self.rows) else 1
