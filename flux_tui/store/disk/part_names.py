"""The names of unfinished objects: hidden, beside the place where the object will stand, and of one home only.

Two homes of one machine may fetch the same object to the same folder at the same time. If they shared a file, each
would count as its own what the other had written, and empty it. So the name has a sign of the home.
"""

import hashlib
import os
from pathlib import Path

from flux_tui.core.ids import Cid

PART = ".flux-part"
"""The end of the name of an unfinished object."""
MAX_NAME_BYTES = 255
"""Bytes of one part of a path, on every common file system."""
SIGN_CHARACTERS = 6


def part_path(home: Path, path: Path, root: Cid) -> Path:
    """Return where the home `home` keeps the object `root` until it is whole and stands at `path`."""
    sign = hashlib.sha256(os.fsencode(home.resolve())).hexdigest()[:SIGN_CHARACTERS]
    part = path.with_name(f".{path.name}.{root[-8:]}.{sign}{PART}")
    return part if len(os.fsencode(part.name)) <= MAX_NAME_BYTES else path.with_name(f".{root}.{sign}{PART}")
