"""The tabs of the Objects panel, and the objects in each tab. Pure.

An object can be in two tabs: a whole object of the user's is in "here", and also in "shared" once a peer asks
for it.
"""

from collections.abc import Mapping
from typing import Literal, TypeAlias

from flux_tui.core.ids import Cid
from flux_tui.core.series.state import ObjectState, State
from flux_tui.ui.rows.view_and_lines import Line, span

Tab: TypeAlias = Literal["wanted", "here", "shared", "kept"]
TABS: tuple[Tab, ...] = ("wanted", "here", "shared", "kept")
TITLES: Mapping[Tab, str] = {
    "wanted": "wanted",
    "here": "here",
    "shared": "shared",
    "kept": "kept for others",
}
"""wanted: not whole yet. here: whole, and the user's. shared: added here, or asked for by others. kept: replicas that
this node keeps for others."""


def objects_by_tab(state: State) -> dict[Tab, list[Cid]]:
    """Return the objects of each tab of the Objects panel, the newest first."""
    found: dict[Tab, list[Cid]] = {tab: [] for tab in TABS}
    for root in reversed(state.objects):
        one = state.objects[root]
        if one.origin != "held":
            found["wanted" if one.completed_at is None else "here"].append(root)
        if is_shared(state, one):
            found["shared"].append(root)
    found["kept"] += reversed(state.kept)
    return found


def is_shared(state: State, found: ObjectState) -> bool:
    """Return whether an object was added on this node, sent to others, or asked for by another peer."""
    return found.origin == "added" or found.sent_bytes > 0 or found.root in state.fetchers


def tab_at(objects: Mapping[Tab, list[Cid]], x: int) -> Tab | None:
    """Return the tab at column `x` of the heading, counted from 0. None: there is no tab."""
    end = 0
    for tab in TABS:
        end += len(f" {TITLES[tab]} {len(objects[tab]):,}  ")
        if x < end:
            return tab
    return None


def tab_line(objects: Mapping[Tab, list[Cid]], current: Tab) -> Line:
    """Return the heading of the Objects panel: its tabs, each with its number of objects.

    The current tab is in brackets.
    """
    line: Line = []
    for tab in TABS:
        words = f"{TITLES[tab]} {len(objects[tab]):,}"
        line.append(span(f"[{words}]", "strong") if tab == current else span(f" {words} ", "dim"))
        line.append(span(" ", "dim"))
    return line
