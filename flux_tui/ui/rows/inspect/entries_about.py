"""Finds the entries about the subject of the window Inspect (an entry, an object or a peer). Pure."""

from collections.abc import Callable

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import Entry, Event, kind_of
from flux_tui.core.series.events.named_ids import cids_of, peers_of
from flux_tui.ui.rows.inspect.facts import Subject
from flux_tui.ui.series.block_roots import EntriesAbout
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group


def subject_of_entries(group: Group, source: Source) -> Subject:
    """Return the subject for the window Inspect, from the entries that one line of the Series panel shows.

    Entries after the cursor are left out.
    """
    last = min(group.last, source.cursor)
    return Subject("entry", str(last), group._replace(last=last))


def entries_about(subject: Subject, source: Source) -> Callable[[list[Entry]], list[Entry]]:
    """Return a function that takes a page of entries and returns those about the subject.

    The pages must be given in the order from the newest to the oldest.
    """
    if subject.kind == "cid" and Cid(subject.key) in source.state.objects:
        return EntriesAbout(Cid(subject.key)).take  # entries about an object include those about its blocks
    touches = _touches(subject, source)
    return lambda page: [entry for entry in page if touches(entry)]


def _touches(subject: Subject, source: Source) -> Callable[[Entry], bool]:
    """Return a function that says whether an entry is about the subject.

    A run of similar entries has its own entries. For one entry, entries that name one of its chunks or else
    its objects are about it. If it names none, entries that name one of its peers are.
    """
    if subject.kind == "cid":
        return lambda entry: subject.key in cids_of(entry.event)
    if subject.kind == "peer":
        return lambda entry: subject.key in peers_of(entry.event)
    group = subject.group or Group(int(subject.key), int(subject.key), 1)
    if group.entries > 1:
        first = source.entry(group.last)
        kind = kind_of(first.event) if first is not None else ""
        return lambda entry: group.first <= entry.seq <= group.last and kind_of(entry.event) == kind
    entry = source.entry(int(subject.key))
    if entry is None:
        return lambda other: False
    cids, peers = _subjects(entry.event), set(peers_of(entry.event))
    if cids:
        return lambda other: not cids.isdisjoint(cids_of(other.event))
    return lambda other: not peers.isdisjoint(peers_of(other.event)) or other.seq == entry.seq


def _subjects(event: Event) -> set[Cid]:
    """Return the CIDs in the fields `cids` and `cid` of an event. If there are none, return all CIDs that it names."""
    own: set[Cid] = set(getattr(event, "cids", ()))
    if (cid := getattr(event, "cid", None)) is not None:
        own.add(cid)
    return own or set(cids_of(event))
