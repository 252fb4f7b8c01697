"""Pruning: drops the oldest segments of a home, or moves them to an archive, as far as a rule allows."""

import shutil
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.series.fold import restore
from flux_tui.core.series.keep_rule import KeepRule
from flux_tui.store.database import StoreError, explain_os
from flux_tui.store.segments.catalog import Catalog, Segment
from flux_tui.store.segments.saved_states import states_between
from flux_tui.store.segments.segment_file import PackedEntries, make_durable


class Pruned(NamedTuple):
    """What was dropped: segments, entries and bytes, and where history begins now."""

    segments: int
    entries: int
    size: int
    """Bytes of the files."""
    first: int
    """The first entry that is still there."""


def superfluous(segments: list[Segment], rule: KeepRule, now: float, rows_size: int) -> list[Segment]:
    """Return the oldest segments that a rule does not keep. The times are those of the entries.

    `now`: seconds since 1970. `rows_size`: bytes of the entries that are not in segments.
    """
    gone: list[Segment] = []
    left = sum(one.size for one in segments) + rows_size
    for one in segments:
        old = rule.seconds is not None and one.last_at < now - rule.seconds
        large = rule.size is not None and left > rule.size
        if not old and not large:
            break
        gone.append(one)
        left -= one.size
    return gone


def prune(
    db: sqlite3.Connection,
    lock: threading.RLock,
    catalog: Catalog,
    gone: list[Segment],
    archive: Path | None,
    *,
    dry: bool = False,
) -> Pruned | None:
    """Drop the segments `gone`, which are the oldest ones, or move them to the folder `archive`.

    Of these, the newest ones stay if the rest could not be folded without them. `dry`: change nothing. None:
    there is nothing to drop.
    Raises StoreError, sqlite3.Error.
    """
    while gone and not _begins_with_state(db, catalog, gone[-1].last):
        gone = gone[:-1]
    if not gone:
        return None
    if archive is not None and not dry:
        _copy(catalog, gone, archive)
    if not dry:
        with lock:
            catalog.drop(gone)
    entries = gone[-1].last - gone[0].first + 1
    return Pruned(len(gone), entries, sum(one.size for one in gone), gone[-1].last + 1)


def _begins_with_state(db: sqlite3.Connection, catalog: Catalog, seq: int) -> bool:
    """Return whether what follows entry `seq` begins with the state after it, which this version can read."""
    following = next((one for one in catalog.segments if one.first == seq + 1), None)
    if following is None:
        found = next(iter(states_between(db, seq, seq)), None)
    else:
        try:
            with closing(PackedEntries.open(catalog.path(following))) as entries:
                found = entries.checkpoint(seq)
        except StoreError:
            return False
    return found is not None and found[0] == seq and restore(found[1], any_version=True) is not None


def _copy(catalog: Catalog, segments: list[Segment], archive: Path) -> None:
    """Copy the files of segments to a folder, durably. A file that is there already, whole, is left."""
    part = archive
    try:
        archive.mkdir(mode=0o700, parents=True, exist_ok=True)
        for one in segments:
            source, target = catalog.path(one), archive / one.name
            part = target.with_name(f".{one.name}.part")
            if target.exists():
                if _same(source, target):
                    continue
                raise StoreError(f"{target} exists already, and is not a copy: choose another folder")
            try:
                shutil.copyfile(source, part)
                part.chmod(0o600)
                make_durable(part, target)
            finally:
                part.unlink(missing_ok=True)
    except OSError as error:
        raise explain_os(error, part) from error


def _same(one: Path, other: Path) -> bool:
    if one.stat().st_size != other.stat().st_size:
        return False
    with one.open("rb") as a, other.open("rb") as b:
        while block := a.read(1 << 20):
            if block != b.read(len(block)):
                return False
    return True
