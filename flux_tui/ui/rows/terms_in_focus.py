"""Chooses the glossary's terms that explain a panel's columns and its selected line, for the help. Pure."""

import re
from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Entry, kind_of
from flux_tui.core.series.next_try import Tries, why_waiting
from flux_tui.core.text import glossary
from flux_tui.ui.rows.inspect.facts import Fact
from flux_tui.ui.rows.peer_and_no_tables import TABLES, Column, columns_that_fit, standing, standing_no
from flux_tui.ui.rows.view_and_lines import View

CAUSES = {
    "chunk_wasted": glossary.WASTES,
    "lease_lapsed": glossary.LAPSES,
    "retry_set": glossary.RETRIES,
    "held": glossary.KEEPS,
    "replica_lost": glossary.LOSSES,
    "replica_dropped": glossary.DROPS,
}
"""The terms of the causes of each kind of entry that has one."""
PANEL_WORDS = {
    "pending": ("pending", "queued", "dormant", "eta", "holder"),
    "retries": ("retry", "backoff"),
    "noes": ("NO",),
    "throughput": ("duplicate factor", "dup"),
    "flow": ("want", "grant", "lease", "NO"),
    "objects": ("wanted", "here", "shared", "kept for others", "ratio", "block map"),
}
"""Words that are shown in a panel without columns."""

ANSWERS = {
    "yes": "Peers said yes, and none of them sends now.",
    "unanswered": "Nobody has answered yet. The want is pushed again at the time that is shown.",
}
"""Why a want waits, where no other term says it."""


WORD_FORMS = {
    "granted": "grant", "grants": "grant", "pushed": "push", "pushes": "push", "wants": "want",
    "chunks": "chunk", "asked": "want", "holders": "holder", "duplicates": "dup",
}  # fmt: skip
"""The forms in which the glossary's terms stand in sentences."""
IN_TEXTS = {
    word: glossary.WORDS[word] for word in ("grant", "push", "want", "chunk", "holder", "ticket", "lease")
}
"""Terms that are explained if a line of Inspect contains them."""


class Explained(NamedTuple):
    """A term of the glossary, and its meaning."""

    term: str
    text: str


def panel_terms(panel: str, view: View) -> list[Explained]:
    """Return the terms in the columns and texts of a panel, with their meanings.

    `view`: with the width of the panel, which decides the visible columns.
    """
    columns = columns_that_fit(TABLES[panel](view), view.width) if panel in TABLES else []
    return [
        *(Explained(_shown_name(one), glossary.COLUMNS[panel][one.name]) for one in columns if one.head),
        *(Explained(word, glossary.WORDS[word]) for word in PANEL_WORDS.get(panel, ())),
    ]


def _shown_name(column: Column) -> str:
    """Return a column's heading. If the heading is a sign without a word, its name follows."""
    head = column.head.strip()
    return f"{head} {column.name}" if len(head) == 1 else head


def entry_terms(entry: Entry) -> list[Explained]:
    """Return the terms in an entry with their meanings: its kind, and its reason or cause."""
    event, kind = entry.event, kind_of(entry.event)
    found = [Explained(kind, glossary.KINDS[kind])] if kind in glossary.KINDS else []
    reason = str(getattr(event, "reason", ""))
    if reason in glossary.REASONS:
        found.append(Explained(reason, glossary.REASONS[reason]))
    cause = getattr(event, "cause", getattr(event, "how", None))
    text = CAUSES[kind].get(str(cause)) if kind in CAUSES else None
    return [*found, Explained(str(cause), text)] if text is not None else found


def fact_terms(fact: Fact) -> list[Explained]:
    """Return the terms in a line of the window Inspect with their meanings: its name, and the words of its text."""
    found: dict[str, str] = {}
    for term in fact.terms:
        found[term] = glossary.STANDINGS[term]
    if fact.name in glossary.FACTS:
        found[fact.name] = glossary.FACTS[fact.name]
    words = re.findall(r"\w+", fact.text)
    for word in words:
        term = WORD_FORMS.get(word, word)
        for terms in (glossary.REASONS, IN_TEXTS):
            if term in terms:
                found.setdefault(term, terms[term])
    return [Explained(term, text) for term, text in found.items()]


def line_terms(panel: str, key: str | None, view: View) -> list[Explained]:
    """Return the terms in the selected line of a panel, with their meanings. `key`: the key of the line.

    Empty: no line is selected (`key` is None), or the line is about neither a peer nor a want. For the Series
    panel, use `entry_terms`.
    """
    state = view.state
    peer = state.peers.get(PeerId(key)) if key is not None else None
    if peer is not None:
        no = standing_no(peer, view.now)
        if no is not None and peer.connected and not view.dead:
            return [Explained(no, glossary.REASONS[no])]
        shown = standing(peer, view.now, view.glyphs, dead=view.dead)[0]
        word = shown if shown in glossary.STANDINGS else shown.rpartition(" ")[2]
        return [Explained(word, glossary.STANDINGS.get(word) or glossary.WORDS[word])]
    pending = state.pending.get(Cid(key)) if key is not None else None
    if pending is None:
        return []
    if pending.queued:
        return [Explained("queued", glossary.WORDS["queued"])]
    tries = Tries(state, view.now)
    why = why_waiting(state, pending, tries.next_of(pending), tries).reason
    for terms in (glossary.REASONS, glossary.STANDINGS, glossary.RETRIES, ANSWERS):
        if why in terms:
            return [Explained(why, terms[why])]
    return []
