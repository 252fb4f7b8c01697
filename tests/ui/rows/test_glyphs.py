"""The signs and short words of reasons."""

from typing import get_args

from flux_tui.core.text.plain import plain
from flux_tui.core.vocabulary import Reason
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs


def test_every_reason_has_a_sign_of_its_own_and_a_short_word() -> None:
    assert set(REASON_SIGNS) == set(REASON_SHORT) == set(get_args(Reason))
    for form in (True, False):
        signs = [Glyphs(unicode=form).glyph(sign) for sign in REASON_SIGNS.values()]
        assert len(set(signs)) == len(signs)
        assert all(cell_width.width(plain(sign)) == 1 for sign in signs)
    assert all(len(word) <= 8 for word in REASON_SHORT.values())
