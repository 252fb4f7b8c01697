"""The terms that explain a panel's columns."""

from pathlib import Path

import pytest

from flux_tui.core.series.fold import derive
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.terms_in_focus import panel_terms
from flux_tui.ui.rows.view_and_lines import View

STUCK = Path(__file__).parents[1] / "stuck.flux"


@pytest.mark.parametrize("width", [40, 56, 76, 120])
def test_a_sign_is_explained_with_its_word(width: int) -> None:
    entries = SeriesReader.open(STUCK).read(0, 1000)
    view = View(derive(entries), entries[-1].at, width, Glyphs(unicode=True))
    terms = [one.term for one in panel_terms("noes", view)]
    assert all(len(term) > 1 for term in terms), terms
    assert any(term.startswith("⊘ denied") for term in terms), terms
