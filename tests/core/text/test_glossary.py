"""Every word that is shown has an entry in the glossary, and the README has the same text."""

import re
from pathlib import Path
from typing import get_args

import pytest

from flux_tui.core import vocabulary
from flux_tui.core.series import want_explanation
from flux_tui.core.series.events import EVENT_KINDS, REASONS
from flux_tui.core.series.state import State
from flux_tui.core.text import glossary
from flux_tui.core.text.plain import plain
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.objects import tabs
from flux_tui.ui.rows.peer_and_no_tables import TABLES
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.widgets.panel_layout import PANELS

README = Path(__file__).parents[3] / "README.md"
LONGEST = 200
"""Characters of an explanation: two short sentences."""


def test_every_kind_reason_cause_and_standing_is_explained() -> None:
    assert glossary.KINDS.keys() == set(EVENT_KINDS)
    assert glossary.REASONS.keys() == set(REASONS)
    assert glossary.STANDINGS.keys() >= set(get_args(want_explanation.Standing))
    for terms, union in (
        (glossary.WASTES, vocabulary.Waste), (glossary.RETRIES, vocabulary.RetryCause),
        (glossary.LAPSES, vocabulary.LapseCause), (glossary.KEEPS, vocabulary.HeldHow),
        (glossary.LOSSES, vocabulary.LossCause), (glossary.DROPS, vocabulary.DropCause),
    ):  # fmt: skip
        assert tuple(terms) == get_args(union)


def test_every_panel_and_column_is_explained() -> None:
    assert glossary.PANELS.keys() == set(PANELS)
    assert set(tabs.TITLES.values()) <= glossary.WORDS.keys()
    view = View(State(), 0.0, 400, Glyphs(unicode=True))
    assert glossary.COLUMNS.keys() == TABLES.keys()
    for panel, columns in TABLES.items():
        heads = {column.name for column in columns(view) if column.head}
        assert heads <= glossary.COLUMNS[panel].keys()


def terms() -> list[tuple[str, str]]:
    found = [(term, text) for group in glossary.groups() for term, text in group.terms.items()]
    found += [
        (f"{panel} {name}", text) for panel, some in glossary.COLUMNS.items() for name, text in some.items()
    ]
    return found + list(glossary.PANELS.items())


@pytest.mark.parametrize(("term", "text"), terms())
def test_an_explanation_is_one_or_two_sentences(term: str, text: str) -> None:
    assert text == plain(text)
    assert len(text) <= LONGEST
    assert text.endswith(".")
    assert text[0].isupper() or text[0] in "→"
    assert 1 <= len(re.findall(r"[.?](?: |$)", text)) <= 4
    assert term == term.strip()


def test_the_readme_has_the_same_glossary() -> None:
    found = re.search(r"<!-- glossary -->\n(.*?)<!-- end of glossary -->", README.read_text(), re.DOTALL)
    assert found is not None
    assert found[1].strip() == glossary.as_markdown().strip()
