"""The command line of the programs in this folder."""

import argparse
from pathlib import Path


def target_of(program: str, description: str | None, name: str, default: Path) -> Path:
    """Return the path on this process's command line, or else `default`. With --help: say `description`, and exit."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {program}",
        description=description,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(name, nargs="?", type=Path, default=default, help=f"[default: {default}]")
    found: Path = getattr(parser.parse_args(), name)
    return found
