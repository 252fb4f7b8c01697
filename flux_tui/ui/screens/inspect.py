"""Inspect: a window about an entry, a chunk or object, or a peer, with all facts and all entries about it.

Each name in it opens Inspect for that thing, and every part can be copied. While the dashboard is live or
plays, the facts are updated each second, and new entries are appended. Selection and scroll position stay.
"""

import asyncio
import json
from collections.abc import Callable, Iterable
from typing import ClassVar

from textual import work
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.screen import ModalScreen
from typing_extensions import override

from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import Entry
from flux_tui.core.text.as_json import entry_report
from flux_tui.core.text.plain import plain
from flux_tui.ui.rows.inspect.entries_about import entries_about
from flux_tui.ui.rows.inspect.fact_rows import fact_rows
from flux_tui.ui.rows.inspect.facts import Fact, Subject, facts_of
from flux_tui.ui.rows.terms_in_focus import entry_terms, fact_terms
from flux_tui.ui.rows.view_and_lines import Row, View, clock, entry_line
from flux_tui.ui.screens.help_asked import HelpAsked
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.series.entry_window import Group
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.plain_text import PlainText, content

SLICE = 2_000
"""Entries read between two checks for keys."""
LEAST_WIDTH = 20
"""The fewest columns of the line of an entry."""
MAX_SHOWN = 2_000
"""The most entries listed. A person with more uses a filter."""
FOLLOW_SECONDS = 1.0
"""Seconds between two looks at new entries."""
NEW_ENTRIES = 20_000
"""New entries that are read at one look. The rest follows at the next."""
NOTE = "enter follow · t go · tab other half · y Y copy · n name · ? help"


class InspectScreen(ModalScreen[int | None]):
    """The window Inspect. It closes with the number of the entry to go to, or None."""

    CSS_PATH = "windows.tcss"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,backspace,left,h", "back", "Back", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("Y", "copy_all", "Copy all", show=False),
        Binding("enter,right,l", "follow", "Follow", show=False),
        Binding("t", "go", "Go there", show=False),
        Binding("n", "name", "Name the peer", show=False),
        Binding("question_mark,f1", "explain", "Explain", show=False),
        Binding("tab,shift+tab", "other", "The other half", show=False, priority=True),
    ]

    def __init__(
        self,
        subject: Subject,
        source: Source,
        view: Callable[[], View],
        *,
        copy: Callable[[str], None],
        name: Callable[[PeerId], None] = lambda peer: None,
    ) -> None:
        """Show a subject of a series. `view` returns the state and display settings of this moment.

        `copy` copies a text to the clipboard. `name` asks the person for a name for a peer, after this window
        is closed.
        """
        super().__init__()
        self._ask_name = name
        self._copy = copy
        self._trail = [subject]
        self._source = source
        self._make_view = view
        self._view = view()
        self._facts: list[Fact] = []
        self._rows: list[Row] = []
        self._take_page = entries_about(subject, source)
        self._seen = 0
        """The last entry that was looked at. 0: the search back has not ended yet."""

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
        """Show the subject in the new size. Textual also calls this once at the start."""
        self.call_after_refresh(self._show)

    @property
    def subject(self) -> Subject:
        """The entry, object or peer that the window shows now."""
        return self._trail[-1]

    def on_mount(self) -> None:
        """Start to look for new entries, at intervals."""
        self.set_interval(FOLLOW_SECONDS, self._follow)

    def _show(self) -> None:
        self._show_facts(0)
        touching_panel = self.query_one("#touching", LinesPanel)
        touching_panel.select(None)
        self._rows = []
        touching_panel.show([])
        touching_panel.focus()
        self._search()

    def _show_facts(self, selected: int) -> None:
        """Show the facts about the subject as they are at the cursor.

        `selected`: the index of the fact to select.
        """
        title, self._facts = facts_of(self.subject, self._source, self._view)
        window = self.query_one(".window", Vertical)
        window.border_title = content(title)
        live = not self._source.frozen and not self._view.dead
        as_it = "as it is" if live else "as it was at"
        window.border_subtitle = content(plain(f"{as_it} {clock(self._view.now)[: 8 if live else 12]}"))
        facts = self.query_one("#facts", LinesPanel)
        rows = fact_rows(self._facts, facts.columns)
        facts.select(str(min(selected, len(self._facts) - 1)) if rows else None)
        most = self.size.height // 3
        if self.subject.key in self._view.state.pending:
            most = 2 * most - 2  # the lines of all holders come first
        facts.styles.height = min(len(rows), max(3, most))
        facts.show(rows)
        facts.refresh()

    def _follow(self) -> None:
        """Update the facts and append new entries. The selection and the scroll position stay."""
        cursor = self._source.cursor
        before, self._view = self._view, self._make_view()
        if cursor > self._seen > 0:
            self._append(cursor)
        elif (self._view.now, self._view.dead) == (before.now, before.dead):
            return
        selected = self.query_one("#facts", LinesPanel).selected
        self._show_facts(int(selected or 0))

    def _append(self, cursor: int) -> None:
        """Append the new entries about the subject, up to entry `cursor`. One call reads at most NEW_ENTRIES."""
        end = min(cursor, self._seen + NEW_ENTRIES)
        found: list[Entry] = []
        while self._seen < end:
            page = self._source.read(self._seen, min(SLICE, end - self._seen))
            if not page:
                break
            found += self._take_page(page)
            self._seen = page[-1].seq
        if found:
            self._add_rows(found)
            self._show_rows()

    def _add_rows(self, entries: Iterable[Entry]) -> None:
        """Add a line for each of these entries, in order. Only the newest MAX_SHOWN lines are kept."""
        columns = self.query_one("#touching", LinesPanel).columns
        view = self._view._replace(width=max(LEAST_WIDTH, columns))
        self._rows += [Row(str(entry.seq), entry_line(entry, view)) for entry in entries]
        self._rows.sort(key=lambda row: int(row.key))
        del self._rows[:-MAX_SHOWN]

    def _show_rows(self, more: str = "") -> None:
        count = len(self._rows)
        note = plain(f"{count:,}{'+' if count >= MAX_SHOWN else ''}{more}")
        self.query_one("#touching", LinesPanel).show(list(self._rows), note)

    @work(exclusive=True)
    async def _search(self) -> None:
        """Find the entries about the subject, from the cursor back to the beginning, some entries at a time.

        The search ends when MAX_SHOWN entries were found.
        """
        subject, source = self.subject, self._source
        panel = self.query_one("#touching", LinesPanel)
        take = self._take_page = entries_about(subject, source)
        own = subject.group
        self._seen = 0
        seq = cursor = source.cursor
        while seq > source.begin and len(self._rows) < MAX_SHOWN:
            count = min(SLICE, seq - source.begin)
            found = take(source.read(seq - count, count))
            self._add_rows(found)
            seq -= count
            if found or seq == source.begin:
                self._show_rows(
                    ", looking further back" if seq > source.begin and len(self._rows) < MAX_SHOWN else ""
                )
                if panel.selected is None and self._rows:
                    keys = {row.key for row in self._rows}
                    panel.select(str(own.last) if own and str(own.last) in keys else self._rows[-1].key)
                if (at := panel.selected_index()) >= 0:
                    panel.reveal(at)
            await asyncio.sleep(0)
        self._seen = cursor
        self.call_after_refresh(lambda: panel.reveal(max(0, panel.selected_index())))

    # ── keys ────────────────────────────────────────────────────────────────────────────────────

    @property
    def _on_facts(self) -> bool:
        return self.query_one("#facts", LinesPanel).has_focus

    def action_back(self) -> None:
        """Show the subject that was shown before, or close the window if there is none."""
        if len(self._trail) > 1:
            self._trail.pop()
            self._show()
        else:
            self.dismiss(None)

    def action_other(self) -> None:
        """Move the focus between the two lists: facts and entries."""
        self.query_one("#touching" if self._on_facts else "#facts", LinesPanel).focus()

    def action_follow(self) -> None:
        """Show the entry, object or peer that the selected line names. If it names none, do nothing."""
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

    def action_explain(self) -> None:
        """Open the help, which begins with the words of the selected line."""
        if self._on_facts:
            fact = self._fact()
            terms = fact_terms(fact) if fact is not None else []
        else:
            key = self.query_one("#touching", LinesPanel).selected
            entry = self._source.entry(int(key)) if key is not None else None
            terms = entry_terms(entry) if entry is not None else []
        self.post_message(HelpAsked("inspect", terms))

    def action_name(self) -> None:
        """Close the window, and ask the person for a name for the peer that is selected, or else shown.

        If neither is a peer, do nothing.
        """
        link = self._link() if self._on_facts else None
        subject = link if link is not None and link.kind == "peer" else self.subject
        if subject.kind == "peer":
            self.dismiss(None)
            self._ask_name(PeerId(subject.key))

    def action_go(self) -> None:
        """Close the window, and move the cursor of the dashboard to the selected entry.

        If none is selected, do nothing.
        """
        key = self.query_one("#touching", LinesPanel).selected
        if key is not None:
            self.dismiss(int(key))

    def on_lines_panel_chosen(self) -> None:
        """Show the entry, object or peer that the chosen line names."""
        self.action_follow()

    def action_copy(self) -> None:
        """Copy the whole text of the selected fact, or the selected entry as JSON."""
        if self._on_facts:
            fact = self._fact()
            self._take(fact.whole if fact is not None else "")
        else:
            key = self.query_one("#touching", LinesPanel).selected
            entry = self._source.entry(int(key)) if key is not None else None
            self._take(json.dumps(entry_report(entry)) if entry is not None else "")

    def action_copy_all(self) -> None:
        """Copy all facts, one on each line."""
        self._take("\n".join(f"{fact.name}: {fact.whole}" for fact in self._facts))

    def _take(self, text: str) -> None:
        if text:
            self._copy(text)
