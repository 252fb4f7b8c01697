"""Messages per intent against the size of the swarm.

python -m tests.sim [--nodes N] [--wants N] [--json FILE]
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path

from tests.sim.scale import measure


def main() -> int:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--nodes", type=int, default=10_000, help="the largest swarm")
    options.add_argument("--wants", type=int, default=10, help="intents, whose mean is shown")
    options.add_argument("--json", type=Path, default=None)
    given = options.parse_args()
    sizes = sorted({100, 1000, 10_000, given.nodes} & set(range(given.nodes + 1)))
    rows = []
    print(
        f"{'nodes':>8} {'log2':>6} {'routed':>8} {'lookup':>8} {'routed/log2':>12} {'flood':>9} {'found':>6} {'s':>6}"
    )
    for nodes in sizes:
        start = time.monotonic()
        cost = measure(nodes, wants=given.wants)
        log = math.log2(nodes)
        rows.append(cost._asdict())
        print(
            f"{nodes:>8,} {log:>6.1f} {cost.routed:>8.1f} {cost.lookup:>8.1f} {cost.routed / log:>12.2f} "
            f"{cost.flood:>9,.0f} {cost.found:>6.0%} {time.monotonic() - start:>6.1f}",
            flush=True,
        )
    first, last = rows[0], rows[-1]
    growth = last["routed"] / first["routed"]
    allowed = math.log(last["nodes"]) / math.log(first["nodes"])
    print(
        f"routed grew {growth:.2f} times, log N {allowed:.2f} times: {'held' if growth <= allowed else 'NOT HELD'}"
    )
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1))
    return 0 if growth <= allowed else 1


if __name__ == "__main__":
    sys.exit(main())
