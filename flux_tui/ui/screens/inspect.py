"""Inspect: an entry or a run, a chunk or object, or a peer, decoded, with all entries about it in order.

Everything named is a link, and every part can be copied.
"""

import asyncio
import json
from collections.abc import Callable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.text.as_json import entry_report
from flux_tui.core.text.plain import plain
from flux_tui.ui.rows.inspect_entries import touching
from flux_tui.ui.rows.inspect_facts import Fact, Subject, facts_of
from flux_tui.ui.rows.view import Line, Row, View, clock, cut, entry_line, span
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import PlainText, content

SLICE = 2_000
"""Entries read between two checks for keys."""
MAX_SHOWN = 2_000
"""The most entries listed. A person with more uses a filter."""
NOTE = "enter follows · t to that moment · tab the other half · y copies the line, Y all · esc back"


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

    @override
    def compose(self) -> ComposeResult:
        with Vertical(classes="window tall"):
            signs = self._view.glyphs
            yield LinesPanel("", "", id="facts", signs=signs)
            yield LinesPanel(
                "", "All that touches it", id="touching", empty="Nothing else touches it.", signs=signs
            )
            yield PlainText(plain(NOTE), classes="note")

    def on_resize(self) -> None:
        """Show the subject in the new size. This also runs once at the start."""
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
        share = (
            2 if self.subject.key in self._view.state.pending else 3
        )  # the lines of all holders come first
        facts.styles.height = min(len(rows), max(3, self.size.height // share))
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
        """Show the subject before this one, or close the window."""
        if len(self._trail) > 1:
            self._trail.pop()
            self._show()
        else:
            self.dismiss(None)

    def action_other(self) -> None:
        """Focus the other one of the two lists."""
        self.query_one("#touching" if self._on_facts else "#facts", LinesPanel).focus()

    def action_follow(self) -> None:
        """Inspect what the selected line names."""
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
        """Close the window, and move the cursor to the selected entry."""
        key = self.query_one("#touching", LinesPanel).selected
        if key is not None:
            self.dismiss(int(key))

    def on_lines_panel_chosen(self) -> None:
        """Inspect what the chosen line names."""
        self.action_follow()

    def action_copy(self) -> None:
        """Copy the selected fact whole, or the selected entry as JSON."""
        if self._on_facts:
            fact = self._fact()
            self._take(fact.whole if fact is not None else "")
        else:
            key = self.query_one("#touching", LinesPanel).selected
            entry = self._source.entry(int(key)) if key is not None else None
            self._take(json.dumps(entry_report(entry)) if entry is not None else "")

    def action_copy_all(self) -> None:
        """Copy all facts, one a line."""
        self._take("\n".join(f"{fact.name}: {fact.whole}" for fact in self._facts))

    def _take(self, text: str) -> None:
        if text:
            self._copy(text)
