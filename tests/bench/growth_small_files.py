"""How the add and the get of a folder of small files grow with the number of files, flat and deep.

Two nodes in processes of their own on loopback, as in small_files.py.
"""

import tempfile
from pathlib import Path

from tests.bench import small_files
from tests.bench.growth import Growth

COUNTS = (3_000, 10_000, 50_000)
"""Files of 1 KiB in the folder."""
DEEP = 10_000
"""Files of the folder that is five levels deep."""


def measure(growth: Growth) -> None:
    """Measure an add and a get for each number of files."""
    with tempfile.TemporaryDirectory(prefix="flux-bench-") as name:
        _measure(growth, Path(name))


def _measure(growth: Growth, folder: Path) -> None:
    measured = {count: small_files.measure(folder, count, deep=False) for count in COUNTS}
    runs = {count: run for count, (run, _) in measured.items()}
    add = {count: run.add for count, run in runs.items()}
    get = {count: run.get for count, run in runs.items()}
    growth.curve("add of files of 1 KiB", add, "s", of="files", most={10_000: 0.6}, exponent=1.05)
    growth.curve("get of them", get, "s", of="files", most={10_000: 1.0}, exponent=1.05)
    cpu = {count: run.add_cpu for count, run in runs.items()}
    growth.curve("add of them, processor", cpu, "s", of="files", exponent=1.05)
    cpu = {count: run.holder_cpu + run.getter_cpu for count, run in runs.items()}
    growth.curve("get of them, processor of both", cpu, "s", of="files", exponent=1.05)
    tar = {count: seconds for count, (_, seconds) in measured.items()}
    growth.curve("tar of them through a pipe: what the file system alone takes", tar, "s", of="files")
    for count, run in runs.items():
        growth.add(f"add of {count:,} files, written / size", run.add_written, "x", most=4)
        growth.add(f"get of {count:,} files, written / size", run.get_written, "x", most=4)
    deep, _ = small_files.measure(folder, DEEP, deep=True)
    growth.add(f"get of {DEEP:,} files, five levels deep / flat", deep.get / runs[DEEP].get, "x", most=2)
