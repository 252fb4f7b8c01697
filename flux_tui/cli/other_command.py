"""Suggest another command when a person typed one that does not fit a CID, such as `rm` for a pending object."""

import time
from collections.abc import Callable, Iterable

from flux_tui.cli.home_and_series import catch_up, fold, open_series
from flux_tui.core.ids import Cid
from flux_tui.core.series.state import State
from flux_tui.home import Home

SETTLE_SECONDS = 0.3
"""Seconds for earlier commands to reach the series."""


def settled(home: Home, known: Callable[[State], bool]) -> State:
    """Return the home's state once `known(state)` is true, or after SETTLE_SECONDS in any case.

    Commands that were pushed earlier may need this time to reach the series.
    """
    reader = open_series(home)
    try:
        state = fold(reader)
        deadline = time.monotonic() + SETTLE_SECONDS
        while not known(state) and time.monotonic() < deadline:
            time.sleep(0.02)
            catch_up(reader, state)
    finally:
        reader.close()
    return state


def what_instead(state: State, cids: Iterable[Cid]) -> str:
    """Return the end of an error sentence: the command that fits the first of these CIDs that this home knows.

    Returns an empty string if the home knows none of them.
    """
    for cid in cids:
        known, pending = state.objects.get(cid), state.pending.get(cid)
        if pending is not None and not pending.held:
            return f"; to stop fetching it: `flux-tui cancel {cid}`"
        if cid in state.kept or (known is None and cid in state.holds):
            return f"; if it is kept for others, or by others: `flux-tui release {cid}`"
        if known is not None:
            return f"; to stop sharing it: `flux-tui rm {cid}`"
    return ""
