"""Explains why a want is not complete, and remembers that for wants that were taken back."""

from collections.abc import Iterable

from typing_extensions import override

from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedTable
from flux_tui.core.series.state import State
from flux_tui.core.series.want_explanation import NotPendingError, Why
from flux_tui.core.series.want_explanation import why as explain
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.phrases import object_words
from flux_tui.core.text.why import why_sentence, why_words

MAX_REMEMBERED = 256
"""Wants whose last explanation is remembered after they were taken back."""


class Explanation(Why):
    """Why a want is not complete. Its fields are data; as a text (`str`), it is one sentence for a person."""

    words: str = ""

    @override
    def __str__(self) -> str:
        return self.words


class Explanations:
    """Explains the wants of one node."""

    def __init__(self) -> None:
        self._last: BoundedTable[Cid, Explanation] = BoundedTable(MAX_REMEMBERED, refresh=True)

    def remember(self, state: State, cids: Iterable[Cid], now: float) -> None:
        """Remember why these wants are not complete, because they are about to be taken back."""
        for cid in list(cids)[:MAX_REMEMBERED]:
            if cid in state.pending:
                self._last[cid] = _explained(state, cid, now)

    def of(self, state: State, cid: Cid, now: float) -> Explanation:
        """Explain a want. One that was taken back is explained as it was then. Raises NotPendingError."""
        if cid in state.pending:
            return _explained(state, cid, now)
        found = self._last.get(cid)
        if found is None:
            known = state.objects.get(cid)
            raise NotPendingError(
                f"{cid} is not pending" + (f": it is {object_words(known)}" if known else "")
            )
        return found


def _explained(state: State, cid: Cid, now: float) -> Explanation:
    found = explain(state, cid, now)
    words = why_words(found, StateNames(state), now)
    told = Explanation(*found)
    told.words = str(why_sentence(words))
    return told
