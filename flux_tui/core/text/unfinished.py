"""Names the wanted objects that are not whole yet, for a person who leaves. Pure."""

from flux_tui.core.series.state import State
from flux_tui.core.text.names import Names
from flux_tui.core.text.plain import Plain, plain

MAX_LEFT = 3
"""Objects that are named to a person who leaves."""


def unfinished(state: State, names: Names) -> Plain | None:
    """Say which wanted objects are not whole yet, for a person who leaves; None if there are none."""
    objects = [
        state.objects[cid] for cid, want in state.pending.items() if cid in state.objects and not want.held
    ]
    if not objects:
        return None
    called = [f"{names.name(found.root)} is at {found.progress:.0%}" for found in objects[:MAX_LEFT]]
    more = f", and {len(objects) - MAX_LEFT} more are not whole" if len(objects) > MAX_LEFT else ""
    return plain(f"{', '.join(called)}{more}")
