"""Collects the facts about an entry or a run of similar entries, a chunk or object, or a peer, for Inspect.

Pure.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Literal, NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.address_book import ToldAddrs
from flux_tui.core.series.events import Entry, Reason, kind_of
from flux_tui.core.series.next_try import asked_again_at
from flux_tui.core.series.want_explanation import why
from flux_tui.core.text.phrases import object_words, reason_first
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from flux_tui.core.text.why import why_words
from flux_tui.ui.rows.peer_and_no_tables import standing
from flux_tui.ui.rows.view_and_lines import HIDDEN, View
from flux_tui.ui.series.block_roots import roots_of
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group
from flux_tui.ui.series.filter import fields_of

MAX_LISTED = 100
"""The most items of a list that are shown one by one."""
TIMES = ("deadline", "next_push_at")
"""Fields of entries that are points in time."""


class Subject(NamedTuple):
    """The subject of the window Inspect: an entry or a run of similar entries, a chunk or object, or a peer."""

    kind: Literal["entry", "cid", "peer"]
    key: str
    """The number of the entry (the last one of a run), a CID, or a peer id."""
    group: Group | None = None
    """The run whose last entry it is."""


class Fact(NamedTuple):
    """One fact about the subject of the window Inspect: its name, and its text as shown and as copied."""

    name: str
    text: Plain
    """The text as shown."""
    whole: str
    """The text as copied."""
    link: Subject | None = None
    cells: tuple[Plain, ...] = ()
    """The text as columns of a table with all other facts that have cells, the most important first."""
    terms: tuple[str, ...] = ()
    """The glossary's terms for the text, if the text does not contain them."""


def facts_of(subject: Subject, source: Source, view: View) -> tuple[Plain, list[Fact]]:
    """Return the title and the facts that the window Inspect shows about a subject."""
    match subject.kind:
        case "entry":
            return _entry_facts(subject, source, view)
        case "cid":
            cid = Cid(subject.key)
            return view.name(cid), _cid_facts(cid, view)
        case "peer":
            peer = PeerId(subject.key)
            return view.peer(peer), _peer_facts(peer, view)


def _plain(name: str, value: object, view: View) -> Fact:
    text = str(value)
    return Fact(name, view.text(text), text)


def _time_fact(name: str, at: float) -> Fact:
    """Return a fact about a time.

    It is shown as date and time, and copied as seconds since 1970, as in `--json`.
    """
    return Fact(name, plain(datetime.fromtimestamp(at).isoformat(" ", "milliseconds")), f"{at:.6f}")


def _cid_fact(name: str, cid: str, view: View) -> Fact:
    called = view.name(Cid(cid))
    text = called if view.masked else cid if called.endswith(cid[-3:]) else f"{called}  {cid}"
    return Fact(name, plain(text), cid, Subject("cid", cid))


def _peer_fact(name: str, peer: str, view: View) -> Fact:
    return Fact(name, _peer_text(PeerId(peer), view), peer, Subject("peer", peer))


def _peer_text(peer: PeerId, view: View) -> Plain:
    """Return the name and the whole id of a peer, or only its id if it has no name.

    While ids are hidden, return only the form in which the peer is shown.
    """
    called = view.peer(peer)
    return plain(called if view.masked else f"{called}  {peer}" if peer in view.called else peer)


def _entry_facts(subject: Subject, source: Source, view: View) -> tuple[Plain, list[Fact]]:
    entry = source.entry(int(subject.key))
    if entry is None:
        return plain(f"Entry {subject.key}"), []
    kind = kind_of(entry.event)
    group = subject.group
    if group is not None and group.entries > 1:
        title = f"Entries {group.first:,} to {group.last:,} · {view.glyphs.times}{group.entries:,} {kind}"
        return plain(title), _run_facts(entry, group, view)
    facts = [_time_fact("at", entry.at)]
    addr = getattr(entry.event, "addr", None)
    for name, value in fields_of(entry.event).items():
        facts += _field_facts(name, value, addr, view)
    facts += [_cid_fact("part of", root, view) for root in roots_of(entry, source)]
    return plain(f"Entry {entry.seq:,} · {kind}"), facts


def _run_facts(last: Entry, group: Group, view: View) -> list[Fact]:
    """Return the facts about a run of similar entries: chunks and bytes together, peers, and objects."""
    return [
        _plain("together", f"{counted(group.chunks, 'chunk')}, {human_size(group.size)}", view),
        *[_peer_fact("peer", peer, view) for peer in group.peers],
        *[_cid_fact("root", root, view) for root in getattr(last.event, "roots", ())],
    ]


def _field_facts(name: str, value: object, addr: str | None, view: View) -> list[Fact]:
    """Return the facts for one field of an entry: one for each item of a list, none for an empty field, otherwise one.

    Of a list of ids, MAX_LISTED have a fact of their own. `addr`: the address that the entry is about, if
    any. In a field `text`, this address is moved behind the reason.
    """
    match value:
        case None | "":
            return []
        case float() if name in TIMES:
            return [_time_fact(name, value)]
        case str() if name in ("cid", "root"):
            return [_cid_fact(name, value, view)]
        case str() if name == "peer":
            return [_peer_fact(name, value, view)]
        case str() if name == "suggested":
            return [Fact(name, view.suggested(value), value)]
        case str() if name == "text":
            return [Fact(name, view.text(reason_first(value, addr)), value)]
        case tuple() if name in ("cids", "roots", "peers"):
            return _id_facts(name, value, view)
        case tuple() if name == "told":
            return [fact for told in value for fact in _told_facts(told, view)]
        case tuple():
            return [_plain("" if number else name, item, view) for number, item in enumerate(value)]
        case _:
            return [_plain(name, value, view)]


def _told_facts(told: ToldAddrs, view: View) -> list[Fact]:
    """Return a fact for the peer whose addresses another peer told this node, and one for each address."""
    facts = [_peer_fact("told", told.peer, view)]
    for number, addr in enumerate(told.addrs):
        shown = HIDDEN if view.masked else plain(addr)
        facts.append(Fact("" if number else "dialled at", plain(shown), addr))
    return facts


def _id_facts(name: str, ids: tuple[object, ...], view: View) -> list[Fact]:
    """Return a fact for each id in a list, up to MAX_LISTED, and one with the number of the other ids."""
    make = _peer_fact if name == "peers" else _cid_fact
    facts = [make("" if number else name, str(item), view) for number, item in enumerate(ids[:MAX_LISTED])]
    if len(ids) > MAX_LISTED:
        facts.append(Fact("", plain(f"and {len(ids) - MAX_LISTED:,} more"), " ".join(map(str, ids))))
    return facts


def _cid_facts(cid: Cid, view: View) -> list[Fact]:
    state = view.state
    found, pending, lease = state.objects.get(cid), state.pending.get(cid), state.leases.get(cid)
    facts = [] if pending is None else _why_facts(cid, view)
    facts.append(Fact("cid", view.name(cid) if view.masked else plain(cid), cid))
    if found is not None:
        size = f"{found.size:,} bytes" if found.size is not None else "size not known"
        facts += [
            _plain("name", found.name or "", view),
            _plain("here", object_words(found), view),
            _plain("size", size, view),
            _plain("chunks", f"{found.chunks_have:,} of {found.chunks_total or '?'}", view),
            _plain("path", found.path or "in the store", view),
        ]
    if pending is not None:
        holders = counted(pending.holders, "peer") + " said yes"
        facts.append(_plain("pending", f"{counted(pending.pushes, 'push', 'pushes')}, {holders}", view))
    if lease is not None:
        facts.append(_peer_fact("granted to", lease.peer, view))
        if lease.root is not None:
            facts.append(_cid_fact("part of", lease.root, view))
    return facts


def _why_facts(cid: Cid, view: View) -> list[Fact]:
    """Return facts about why a want is not whole yet: what comes next, and the answer of each peer."""
    told = why(view.state, cid, view.now)
    words = why_words(told, view, view.now, running=not view.dead)
    sentences = enumerate((words.title, *words.next))
    facts = [_plain("" if number else "why", text, view) for number, text in sentences]
    for line, peer in zip(told.lines, words.peers, strict=True):
        cells = (peer.says, peer.has, peer.did)
        whole = f"{line.peer} {', '.join(cells)}"
        link = Subject("peer", line.peer)
        facts.append(Fact(peer.name, plain(", ".join(cells)), whole, link, cells, (line.standing,)))
    return facts


def _peer_facts(peer: PeerId, view: View) -> list[Fact]:
    found = view.state.peers.get(peer)
    facts = [Fact("peer", _peer_text(peer, view), peer)]
    if not view.masked and peer not in view.called:
        facts.append(Fact("name", plain("none yet: n gives it one"), ""))
    if found is None:
        return facts
    if found.suggested and not view.masked:
        facts.append(_plain("calls itself", found.suggested, view))
    answer = view.trends.of(peer).answer

    def noes(counts: Mapping[Reason, int]) -> str:
        return ", ".join(f"{reason} {count:,}" for reason, count in counts.items()) or "never"

    again = asked_again_at(view.state, found) if found.connected else None
    fault = f"{found.broken:,}" if found.broken else "none"
    facts += [
        Fact("address", plain(HIDDEN if view.masked else found.addr), found.addr),
        _plain("standing", standing(found, view.now, view.glyphs)[0], view),
        _plain("in", f"{found.bytes_in:,} bytes in {counted(found.chunks_in, 'chunk')}", view),
        _plain("out", f"{found.bytes_out:,} bytes in {counted(found.chunks_out, 'chunk')}", view),
        _plain("granted", f"{counted(found.granted, 'chunk')}: {found.chunks_in:,} came", view),
        _plain("lapsed", f"{counted(found.lapsed, 'chunk')}, {fault} by its fault", view),
        _plain("wasted", f"{found.wasted:,} bytes", view),
        _plain("took back", f"{counted(found.took_back, 'chunk')} that it had said it has", view),
        _plain("faults", found.faults, view),
        _plain("answers in", f"{answer * 1000:.0f} ms" if answer is not None else "not known", view),
        _plain("said NO", noes(found.counts), view),
        *(
            []
            if again is None or again <= view.now
            else [_plain("again in", human_seconds(again - view.now), view)]
        ),
        _plain("heard NO", noes(found.said), view),
    ]
    return facts
