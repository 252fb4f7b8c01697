"""The names on the way to a place inside an object are those that pathlib finds."""

from itertools import product
from pathlib import PurePosixPath

from flux_tui.store.database import ImpossibleError
from flux_tui.store.disk.safe_path import parts_of


def expected(rel: str) -> list[str] | None:
    path = PurePosixPath(rel)
    refused = path.is_absolute() or not path.parts or ".." in path.parts or "\0" in rel
    return None if refused else list(path.parts)


def found(rel: str) -> list[str] | None:
    try:
        return parts_of(rel)
    except ImpossibleError:
        return None


def test_names_are_those_of_pathlib() -> None:
    for length in range(6):
        for letters in product("a./\0é", repeat=length):
            rel = "".join(letters)
            assert found(rel) == expected(rel), rel
