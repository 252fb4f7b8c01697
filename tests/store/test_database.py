"""Errors of the database as sentences, by their codes."""

import sqlite3
from pathlib import Path

import pytest

from flux_tui.store.database import NoRoomError, StoreError, explain


def failed(code: int, text: str = "some words") -> sqlite3.Error:
    error = sqlite3.OperationalError(text)
    error.sqlite_errorcode = code
    return error


@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        (sqlite3.SQLITE_FULL, "flux.db", "the disk is full: "),
        (sqlite3.SQLITE_NOTADB, "flux.db", "is damaged (some words): move it away"),
        (sqlite3.SQLITE_NOTADB, "copy.flux", "is not a series of flux-tui's"),
        (sqlite3.SQLITE_CORRUPT, "flux.db", "is damaged (some words): move it away"),
        (sqlite3.SQLITE_CORRUPT_INDEX, "copy.flux", "is damaged (some words): export it again"),
        (sqlite3.SQLITE_CANTOPEN_ISDIR, "flux.db", "cannot be opened: "),
        (sqlite3.SQLITE_READONLY_DBMOVED, "flux.db", "cannot be written: "),
        (sqlite3.SQLITE_IOERR_READ, "flux.db", "cannot be used: some words"),
        (sqlite3.SQLITE_BUSY, "flux.db", "cannot be used: some words"),
    ],
)
def test_the_code_decides(code: int, name: str, words: str, tmp_path: Path) -> None:
    told = explain(failed(code), tmp_path / name)
    assert words in str(told)
    assert isinstance(told, NoRoomError) == (code == sqlite3.SQLITE_FULL)


def test_the_text_decides_nothing(tmp_path: Path) -> None:
    """A path may have any name, and a text names paths."""
    told = explain(failed(sqlite3.SQLITE_ERROR, "no such table: full"), tmp_path / "flux.db")
    assert str(told) == f"{tmp_path / 'flux.db'} cannot be used: no such table: full"
    assert type(told) is StoreError


def test_a_file_that_is_not_a_database_has_that_code(tmp_path: Path) -> None:
    path = tmp_path / "copy"
    path.write_bytes(b"no database " * 100)
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.DatabaseError) as error:
        db.execute("SELECT * FROM sqlite_master")
    db.close()
    assert "is not a series of flux-tui's" in str(explain(error.value, path))


def test_no_room_has_its_problem_without_the_advice() -> None:
    error = NoRoomError("the disk is full")
    assert error.problem == "the disk is full"
    assert str(error) == "the disk is full; free some space, nothing is lost"
