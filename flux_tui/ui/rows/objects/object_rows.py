"""The rows of the Objects panel: its tabs, a line for each object, and the details of the selected object.

Pure.
"""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.next_try import Tries
from flux_tui.ui.rows.objects.details import Selected, detail_rows
from flux_tui.ui.rows.objects.object_line import name_of, object_line
from flux_tui.ui.rows.objects.tabs import Tab, objects_by_tab, tab_line
from flux_tui.ui.rows.pending_and_retries import senders_of
from flux_tui.ui.rows.view_and_lines import Row, View, cut, span
from flux_tui.ui.series.filter import Filter

LISTED = 500
"""Objects of a tab that are listed, the newest first. A filter looks for older ones by name and CID."""
EMPTY = {
    "wanted": "nothing is wanted that is not here",
    "here": "nothing has become whole here yet",
    "shared": "nothing of this machine is shared",
    "kept": "nothing is kept for others",
}
"""The line of a tab without objects."""


def object_rows(view: View, tab: Tab, selected: Selected | None, wanted: Filter) -> list[Row]:
    """Return the heading with the tabs, a line for each object of one tab, and details below the selected object.

    The newest LISTED objects have a line. `wanted`: the panel's filter; if it is not empty, older objects
    that pass it have a line, too. `selected`: the selected object; None: none. Empty: the series has no
    object at all.
    """
    objects = objects_by_tab(view.state)
    if not any(objects.values()):
        return []
    rows = [Row("", cut(tab_line(objects, tab), view.width, view.glyphs.ellipsis), title=True)]
    listed = objects[tab][:LISTED]
    if wanted:
        listed += [root for root in objects[tab][LISTED:] if _named(view, root, wanted)][:LISTED]
    senders = senders_of(view) if tab == "wanted" else {}
    tries = Tries(view.state, view.now)
    for root in listed:
        rows.append(Row(root, object_line(view, tab, root, senders.get(root, NOBODY), tries)))
        if selected is not None and selected.root == root:
            rows += detail_rows(view, selected)
    if not listed:
        rows.append(Row("none", [span(f" {EMPTY[tab]}", "dim")], title=True))
    elif not wanted and len(objects[tab]) > len(listed):
        more = len(objects[tab]) - len(listed)
        rows.append(Row("more", [span(f" and {more:,} older ones, which a filter finds", "dim")], title=True))
    return rows


NOBODY: frozenset[PeerId] = frozenset()


def _named(view: View, root: Cid, wanted: Filter) -> bool:
    """Return whether an object passes a filter, by its name or CID."""
    return wanted.takes_text(f"{name_of(view, root)} {'' if view.masked else root}".lower())
