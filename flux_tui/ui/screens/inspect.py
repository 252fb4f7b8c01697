"""Inspect: an entry, a chunk or object, or a peer, decoded; with everything in the series that touches it."""

import asyncio
from collections.abc import Callable, Mapping
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Static

from flux_tui.core.events import Entry, Event, kind_of
from flux_tui.core.ids import Cid, PeerId
from flux_tui.ui.filter import cids_of, fields_of, peers_of
from flux_tui.ui.panels.lines import LinesPanel
from flux_tui.ui.source import Source
from flux_tui.ui.view import Row, View, entry_line

SLICE = 2_000
"""Entries looked at between two looks at the keyboard."""
MAX_SHOWN = 2_000
"""Entries listed; who has more uses a filter."""
MAX_LISTED = 6
"""Items of a long list that are spelled out."""


class InspectScreen(ModalScreen[int | None]):
    """Closes with the entry to go to, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q", "dismiss_nothing", "Close", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("enter", "go", "Go there", show=False),
    ]

    def __init__(self, title: str, text: str, whole: str, source: Source, view: View,
                 touches: Callable[[Entry], bool]) -> None:  # fmt: skip
        super().__init__()
        self._title = title
        self._text = text
        self._whole = whole
        """What `y` copies."""
        self._source = source
        self._view = view
        self._touches = touches

    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall") as window:
            window.border_title = self._title
            yield Static(self._text, markup=False, classes="preview")
            yield LinesPanel("", "All that touches it", empty="Nothing else touches it.")
            yield Static("enter goes to that moment · y copies · esc leaves", classes="note")

    def on_mount(self) -> None:
        panel = self.query_one(LinesPanel)
        panel.focus()
        self.run_worker(self._search(), exclusive=True)

    async def _search(self) -> None:
        """From the cursor back to the beginning, a slice at a time."""
        panel = self.query_one(LinesPanel)
        rows: list[Row] = []
        seq = self._source.cursor
        while seq > 0 and len(rows) < MAX_SHOWN:
            count = min(SLICE, seq)
            page = self._source.read(seq - count, count)
            found = [Row(str(e.seq), entry_line(e, self._view)) for e in page if self._touches(e)]
            rows = found + rows
            seq -= count
            if found or seq == 0:
                panel.show(rows, f"{len(rows):,}" + (", looking further back" if seq else ""))
                if panel.selected is None and rows:
                    panel.go(len(rows) - 1, 1)
            await asyncio.sleep(0)

    def action_dismiss_nothing(self) -> None:
        self.dismiss(None)

    def action_go(self) -> None:
        panel = self.query_one(LinesPanel)
        self.dismiss(int(panel.selected) if panel.selected is not None else None)

    def on_lines_panel_chosen(self) -> None:
        self.action_go()

    def action_copy(self) -> None:
        self.app.copy_to_clipboard(self._whole)
        self.notify(f"copied {self._whole}", timeout=3)


def inspect_entry(entry: Entry, source: Source, view: View) -> InspectScreen:
    """An entry: its fields, and what touches the same chunks, or the same peer."""
    cids, peers = _subjects(entry.event), set(peers_of(entry.event))

    def touches(other: Entry) -> bool:
        if cids:
            return not cids.isdisjoint(cids_of(other.event))
        return not peers.isdisjoint(peers_of(other.event))

    whole = next(iter(cids_of(entry.event)), None) or next(iter(peers_of(entry.event)), str(entry.seq))
    return InspectScreen(
        f"Entry {entry.seq:,} · {kind_of(entry.event)}",
        _facts(fields_of(entry.event)),
        whole,
        source,
        view,
        touches,
    )


def inspect_cid(cid: Cid, source: Source, view: View) -> InspectScreen:
    """A chunk or an object."""
    found = view.state.objects.get(cid)
    pending = view.state.pending.get(cid)
    lease = view.state.leases.get(cid)
    facts: dict[str, object] = {"cid": cid}
    if found is not None:
        facts |= {
            "name": found.name or "", "size": found.size if found.size is not None else "not known",
            "chunks": f"{found.chunks_have} of {found.chunks_total or '?'}", "path": found.path or "in the store",
        }  # fmt: skip
    if pending is not None:
        facts["pushes"] = pending.pushes
    if lease is not None:
        facts["granted to"] = view.peer(lease.peer)
    return InspectScreen(
        view.name(cid), _facts(facts), cid, source, view, lambda entry: cid in cids_of(entry.event)
    )


def inspect_peer(peer: PeerId, source: Source, view: View) -> InspectScreen:
    """A peer."""
    found = view.state.peers.get(peer)
    facts: dict[str, object] = {"peer": "•••" if view.masked else peer}
    if found is not None:
        facts |= {
            "address": "•••" if view.masked else found.addr, "connected": "yes" if found.connected else "no",
            "bytes in": f"{found.bytes_in:,} in {found.chunks_in:,} chunks",
            "bytes out": f"{found.bytes_out:,} in {found.chunks_out:,} chunks",
            "granted": f"{found.granted:,}, lapsed {found.lapsed:,}", "faults": found.faults,
            "said NO": ", ".join(f"{reason} {count:,}" for reason, count in found.counts.items()) or "never",
            "heard NO": ", ".join(f"{reason} {count:,}" for reason, count in found.said.items()) or "never",
        }  # fmt: skip
    return InspectScreen(
        view.peer(peer), _facts(facts), peer, source, view, lambda entry: peer in peers_of(entry.event)
    )


def _subjects(event: Event) -> set[Cid]:
    """The chunks that an event is about; the object they belong to only if it names no chunk."""
    own: set[Cid] = set(getattr(event, "cids", ()))
    if (cid := getattr(event, "cid", None)) is not None:
        own.add(cid)
    return own or set(cids_of(event))


def _facts(facts: Mapping[str, object]) -> str:
    width = max((len(name) for name in facts), default=0)
    return "\n".join(f"{name:>{width}}  {_value(value)}" for name, value in facts.items())


def _value(value: object) -> str:
    if isinstance(value, tuple):
        shown = ", ".join(str(item) for item in value[:MAX_LISTED])
        return shown + (f", and {len(value) - MAX_LISTED} more" if len(value) > MAX_LISTED else "")
    return str(value)
