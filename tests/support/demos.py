"""Demo processes, and the folders that they leave."""

import os
from pathlib import Path


def processes_of(folder: Path) -> list[int]:
    """Living processes that were told of this folder: the one that has the nodes, and every node."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
            except OSError:
                continue
            if any(word.startswith(os.fsencode(folder)) for word in words):
                found.append(int(entry.name))
    return found
