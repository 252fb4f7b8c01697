"""Inspect: an entry or a run, a chunk or object, or a peer, decoded, with all entries about it in order.

Everything named is a link, and every part can be copied.
"""

import asyncio
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import ClassVar, Literal, NamedTuple

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Entry, Event, Reason, kind_of
from flux_tui.core.series.next_try import Tries, Try, asked_again_at
from flux_tui.core.text.as_json import entry_report
from flux_tui.core.text.phrases import object_words, reason_first
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_seconds, human_size
from flux_tui.ui.rows.peers import standing
from flux_tui.ui.rows.view import HIDDEN, Line, Row, View, clock, cut, entry_line, span
from flux_tui.ui.series.block_owners import Touching, roots_of
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group
from flux_tui.ui.series.filter import cids_of, fields_of, peers_of
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import PlainText, content

SLICE = 2_000
"""Entries read between two checks for keys."""
MAX_SHOWN = 2_000
"""The most entries listed. A person with more uses a filter."""
MAX_LISTED = 100
"""The most items of a list that are shown one by one."""
TIMES = ("deadline", "next_push_at")
"""Fields of entries that are points in time."""
NOTE = "enter follows · t to that moment · tab the other half · y copies the line, Y all · esc back"


class Subject(NamedTuple):
    """The subject that is inspected."""

    kind: Literal["entry", "cid", "peer"]
    key: str
    """The number of the entry (the last one of a run), a CID, or a peer id."""
    group: Group | None = None
    """The run whose last entry it is."""


class Fact(NamedTuple):
    """A line with one fact about the subject."""

    name: str
    text: Plain
    """The text as shown."""
    whole: str
    """The text as copied."""
    link: Subject | None = None


class InspectScreen(ModalScreen[int | None]):
    """The window of Inspect. It closes with the entry to go to, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace,left,h", "back", "Back", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("Y", "copy_all", "Copy all", show=False),
        Binding("enter,right,l", "follow", "Follow", show=False),
        Binding("t", "go", "Go there", show=False),
        Binding("tab,shift+tab", "other", "The other half", show=False, priority=True),
    ]

    def __init__(self, subject: Subject, source: Source, view: View, *, copy: Callable[[str], None]) -> None:
        """Show a subject of a series, as `view` names things. `copy` copies a text to the clipboard."""
        super().__init__()
        self._copy = copy
        self._trail = [subject]
        self._source = source
        self._view = view
        self._facts: list[Fact] = []
        self._rows: list[Row] = []

    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall"):
            signs = self._view.glyphs
            yield LinesPanel("", "", id="facts", signs=signs)
            yield LinesPanel(
                "", "All that touches it", id="touching", empty="Nothing else touches it.", signs=signs
            )
            yield PlainText(plain(NOTE), classes="note")

    def on_resize(self) -> None:
        # This also runs once at the start.
        self.call_after_refresh(self._show)

    @property
    def subject(self) -> Subject:
        """The subject that is shown now."""
        return self._trail[-1]

    def _show(self) -> None:
        title, self._facts = facts_of(self.subject, self._source, self._view)
        window = self.query_one(".window", Vertical)
        window.border_title = content(title)
        window.border_subtitle = content(plain(f"as it was at {clock(self._view.now)}"))
        facts = self.query_one("#facts", LinesPanel)
        width = max((len(fact.name) for fact in self._facts), default=0)
        rows = []
        for number, fact in enumerate(self._facts):
            line: Line = [
                span(f"{fact.name:>{width}}  ", "dim"),
                span(fact.text, "accent" if fact.link else "text"),
            ]
            rows.append(Row(str(number), cut(line, max(20, facts.columns), self._view.glyphs.ellipsis)))
        facts.select("0" if rows else None)
        facts.styles.height = min(len(rows), max(3, self.size.height // 3))
        facts.show(rows)
        facts.refresh()
        touching = self.query_one("#touching", LinesPanel)
        touching.select(None)
        self._rows = []
        touching.show([])
        touching.focus()
        self._search()

    @work(exclusive=True)
    async def _search(self) -> None:
        """Find the entries about the subject, from the cursor back to the beginning, a slice at a time."""
        subject = self.subject
        panel = self.query_one("#touching", LinesPanel)
        take = touching(subject, self._source)
        own = subject.group
        rows: list[Row] = []
        view = self._view._replace(width=max(20, panel.columns))
        seq = self._source.cursor
        while seq > 0 and len(rows) < MAX_SHOWN:
            count = min(SLICE, seq)
            page = self._source.read(seq - count, count)
            found = take(page)
            rows += [Row(str(entry.seq), entry_line(entry, view)) for entry in found]
            rows.sort(key=lambda row: int(row.key))
            del rows[:-MAX_SHOWN]
            seq -= count
            if found or seq == 0:
                more = ", looking further back" if seq and len(rows) < MAX_SHOWN else ""
                panel.show(rows, plain(f"{len(rows):,}{'+' if len(rows) >= MAX_SHOWN else ''}{more}"))
                if panel.selected is None and rows:
                    keys = {row.key for row in rows}
                    panel.select(str(own.last) if own and str(own.last) in keys else rows[-1].key)
                if (at := panel.selected_index()) >= 0:
                    panel.reveal(at)
            await asyncio.sleep(0)
        self._rows = rows
        self.call_after_refresh(lambda: panel.reveal(max(0, panel.selected_index())))

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    @property
    def _on_facts(self) -> bool:
        return self.query_one("#facts", LinesPanel).has_focus

    def action_back(self) -> None:
        if len(self._trail) > 1:
            self._trail.pop()
            self._show()
        else:
            self.dismiss(None)

    def action_other(self) -> None:
        self.query_one("#touching" if self._on_facts else "#facts", LinesPanel).focus()

    def action_follow(self) -> None:
        link = self._link()
        if link is not None and link != self.subject:
            self._trail.append(link)
            self._show()

    def _link(self) -> Subject | None:
        if self._on_facts:
            fact = self._fact()
            return fact.link if fact is not None else None
        key = self.query_one("#touching", LinesPanel).selected
        return None if key is None else Subject("entry", key, Group(int(key), int(key), 1))

    def _fact(self) -> Fact | None:
        key = self.query_one("#facts", LinesPanel).selected
        return self._facts[int(key)] if key is not None and int(key) < len(self._facts) else None

    def action_go(self) -> None:
        key = self.query_one("#touching", LinesPanel).selected
        if key is not None:
            self.dismiss(int(key))

    def on_lines_panel_chosen(self) -> None:
        self.action_follow()

    def action_copy(self) -> None:
        if self._on_facts:
            fact = self._fact()
            self._take(fact.whole if fact is not None else "")
        else:
            key = self.query_one("#touching", LinesPanel).selected
            entry = self._source.entry(int(key)) if key is not None else None
            self._take(json.dumps(entry_report(entry)) if entry is not None else "")

    def action_copy_all(self) -> None:
        self._take("\n".join(f"{fact.name}: {fact.whole}" for fact in self._facts))

    def _take(self, text: str) -> None:
        if text:
            self._copy(text)


def subject_of_entries(group: Group, source: Source) -> Subject:
    """Return the subject for a line of the Series panel."""
    last = min(group.last, source.cursor)
    return Subject("entry", str(last), group._replace(last=last))


def touching(subject: Subject, source: Source) -> Callable[[list[Entry]], list[Entry]]:
    """Return a function that picks the entries about the subject from pages that are read backwards."""
    if subject.kind == "cid" and Cid(subject.key) in source.state.objects:
        return Touching(Cid(subject.key)).take  # entries about an object include those about its blocks
    touches = _touches(subject, source)
    return lambda page: [entry for entry in page if touches(entry)]


def _touches(subject: Subject, source: Source) -> Callable[[Entry], bool]:
    """Return a function that says whether an entry is about the subject."""
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
    """Return the chunks that an event is about. Return its object only if it names no chunk."""
    own: set[Cid] = set(getattr(event, "cids", ()))
    if (cid := getattr(event, "cid", None)) is not None:
        own.add(cid)
    return own or set(cids_of(event))


# ── what is known ───────────────────────────────────────────────────────────────────────────────


def facts_of(subject: Subject, source: Source, view: View) -> tuple[Plain, list[Fact]]:
    """Return the title and the facts of a subject."""
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
    """Return a time as a clock shows it. It is copied as in `--json`: seconds since 1970."""
    return Fact(name, plain(datetime.fromtimestamp(at).isoformat(" ", "milliseconds")), f"{at:.6f}")


def _cid_fact(name: str, cid: str, view: View) -> Fact:
    called = view.name(Cid(cid))
    text = called if view.masked else cid if called.endswith(cid[-3:]) else f"{called}  {cid}"
    return Fact(name, plain(text), cid, Subject("cid", cid))


def _peer_fact(name: str, peer: str, view: View) -> Fact:
    return Fact(name, _peer_text(PeerId(peer), view), peer, Subject("peer", peer))


def _peer_text(peer: PeerId, view: View) -> Plain:
    """Return the whole id of a peer, and its name if it has one."""
    called = view.peer(peer)
    return plain(called if view.masked else f"{called}  {peer}" if peer in view.called else peer)


def _entry_facts(subject: Subject, source: Source, view: View) -> tuple[Plain, list[Fact]]:
    entry = source.entry(int(subject.key))
    if entry is None:
        return plain(f"Entry {subject.key}"), []
    kind = kind_of(entry.event)
    group = subject.group
    facts = [_time_fact("at", entry.at)]
    title = f"Entry {entry.seq:,} · {kind}"
    if group is not None and group.entries > 1:
        title = f"Entries {group.first:,} to {group.last:,} · {view.glyphs.times}{group.entries:,} {kind}"
        facts = [
            _plain("together", f"{counted(group.chunks, 'chunk')}, {human_size(group.size)}", view),
            *[_peer_fact("peer", peer, view) for peer in group.peers],
        ]
        facts += [_cid_fact("root", root, view) for root in getattr(entry.event, "roots", ())]
        return plain(title), facts
    for name, value in fields_of(entry.event).items():
        if name in TIMES and isinstance(value, float):
            facts.append(_time_fact(name, value))
        elif name in ("cid", "root") and value:
            facts.append(_cid_fact(name, str(value), view))
        elif name == "peer" and value:
            facts.append(_peer_fact(name, str(value), view))
        elif name in ("cids", "roots", "peers") and isinstance(value, tuple):
            make = _peer_fact if name == "peers" else _cid_fact
            facts += [
                make(name if not number else "", str(item), view)
                for number, item in enumerate(value[:MAX_LISTED])
            ]
            if len(value) > MAX_LISTED:
                facts.append(
                    Fact("", plain(f"and {len(value) - MAX_LISTED:,} more"), " ".join(map(str, value)))
                )
        elif isinstance(value, tuple):
            facts += [_plain(name if not number else "", item, view) for number, item in enumerate(value)]
        elif name == "text" and value:
            facts.append(
                Fact(
                    name, view.text(reason_first(str(value), getattr(entry.event, "addr", None))), str(value)
                )
            )
        elif value is not None and value != "":
            facts.append(_plain(name, value, view))
    facts += [_cid_fact("part of", root, view) for root in roots_of(entry, source)]
    return plain(title), facts


def _cid_facts(cid: Cid, view: View) -> list[Fact]:
    state = view.state
    found, pending, lease = state.objects.get(cid), state.pending.get(cid), state.leases.get(cid)
    facts = [Fact("cid", view.name(cid) if view.masked else plain(cid), cid)]
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
        tries = sorted(Tries(state, view.now).all_of(pending), key=lambda one: one.at)
        facts += [_try_fact(one, view) for one in tries if one.at > view.now]
        if pending.last_no is not None:
            facts.append(_plain("last NO", pending.last_no.reason, view))
            facts.append(_peer_fact("from", pending.last_no.peer, view))
    if lease is not None:
        facts.append(_peer_fact("granted to", lease.peer, view))
        if lease.root is not None:
            facts.append(_cid_fact("part of", lease.root, view))
    return facts


def _try_fact(one: Try, view: View) -> Fact:
    """Return the fact about a coming try of a want: when, why, and which peer it waits for."""
    left = human_seconds(one.at - view.now)
    how = {"grant": "granted some", "tell": "told again", "push": "pushed to all"}[one.how]
    if one.peer is None:
        return _plain("next", f"{how} in {left}", view)
    why = one.reason or ("late" if one.cause == "lapsed" else "said NO")
    text = f"{why}, {how} in {left}: {view.peer(one.peer)}"
    return Fact("next", view.text(text), text, Subject("peer", one.peer))


def _peer_facts(peer: PeerId, view: View) -> list[Fact]:
    found = view.state.peers.get(peer)
    facts = [Fact("peer", _peer_text(peer, view), peer)]
    if found is None:
        return facts
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
