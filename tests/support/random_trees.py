"""Files and folders with random content, and what is in them."""

import os
from pathlib import Path


def make_file(path: Path, size: int = 3_000_000) -> Path:
    path.write_bytes(os.urandom(size))
    return path


def make_folder(path: Path, names: int = 0) -> Path:
    """Make a folder with a deeper one, an empty file, a name that is not ASCII, and `names` small files."""
    (path / "sub" / "deeper").mkdir(parents=True)
    make_file(path / "film.bin", 700_000)
    make_file(path / "sub" / "héllo wörld.txt", 30)
    (path / "sub" / "deeper" / "empty").touch()
    for number in range(names):
        (path / f"{number:04}").write_text(str(number))
    return path


def content(path: Path) -> dict[str, bytes]:
    """Return the files below a path, or the file itself, with their bytes."""
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.is_file())
    return {str(one.relative_to(path)): one.read_bytes() for one in files}
