"""The eight panels: their widgets, their filters, their rows, and the current panel, on which the keys act."""

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from textual.geometry import Size

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import Entry
from flux_tui.core.series.events.named_ids import cids_of
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows.empty_panel import empty_words
from flux_tui.ui.rows.peer_and_no_tables import no_legend, no_rows, peer_rows
from flux_tui.ui.rows.pending_and_retries import pending_rows, retry_rows
from flux_tui.ui.rows.throughput import throughput_rows
from flux_tui.ui.rows.view_and_lines import Line, Row, View, matching, span
from flux_tui.ui.series.filter import Filter
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.objects_feed import ObjectsFeed
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.flow_panel import FlowPanel
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.objects_panel import ObjectsPanel
from flux_tui.ui.widgets.panel_layout import PANELS, TITLES, fit
from flux_tui.ui.widgets.series_panel import SeriesPanel

# What draws Flow and Objects is imported when they are first shown: the first frame does not have them.
if TYPE_CHECKING:
    from flux_tui.ui.series.flow_marks import FlowWindow

OBJECTS = "objects"
ROWS: Mapping[str, Callable[[View], list[Row]]] = {
    "pending": pending_rows,
    "noes": no_rows,
    "retries": retry_rows,
    "peers": peer_rows,
    "throughput": throughput_rows,
}
"""How the rows of each panel are made from a view. Series makes its own lines; Flow and Objects read
entries of their own."""
KINDS: Mapping[str, type[LinesPanel]] = {"flow": FlowPanel, "objects": ObjectsPanel}
"""The panels with keys of their own."""
SEARCH_DRAWN_SECONDS = 0.15
"""Seconds between two frames of a search."""
ZOOMED = "-zoomed"
"""The class of a screen that shows one panel only."""


class Panels:
    """Fills the panels from the state at the cursor, and knows which panel is the current one.

    `laid_out` is called after panels changed their places. They then have to be drawn for their new sizes.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        flow: FlowFeed,
        objects: ObjectsFeed,
        keys: Keys,
        *,
        laid_out: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._search_drawn_at = 0.0
        self._flow = flow
        self._objects = objects
        self._views = views
        self._keys = keys
        self._laid_out = laid_out
        self._current = PANELS[0]
        self._filters: dict[str, Filter] = {}

        def letter(number: int) -> str:
            return keys.letter(f"panel-{number}")

        self.series = SeriesPanel(
            nodes.source, grows=not nodes.shown.recording, id=PANELS[0], signs=views.glyphs, letter=letter(1)
        )
        self._by_name: dict[str, LinesPanel] = {PANELS[0]: self.series}
        for number, (name, title) in enumerate(zip(PANELS[1:], TITLES[1:], strict=True), 2):
            self._by_name[name] = KINDS.get(name, LinesPanel)(
                f"{number}", title, id=name, signs=views.glyphs, letter=letter(number)
            )
        self._say_where_empty()

    @property
    def current(self) -> str:
        """The name of the current panel, on which the keys act."""
        return self._current

    def panel(self, name: str = "") -> LinesPanel:
        """Return the widget of the panel with this name. Empty: of the current panel."""
        return self._by_name[name or self._current]

    def view(self, name: str = "") -> View:
        """Return the state and the display settings from which a panel's rows are made.

        Empty name: for the current panel.
        """
        panel = self.panel(name)
        return self._views.view(panel.columns, name or self._current, panel.size.height)

    # ── the current panel ───────────────────────────────────────────────────────────────────────

    def go_to(self, name: str) -> None:
        """Make the panel with this name the current one, and give it the keyboard focus."""
        self.set_current(name)
        self.focus()
        self._laid_out()

    def set_current(self, name: str) -> None:
        """Make the panel with this name the current one.

        On a small terminal, only the current panel is visible.
        """
        self._current = name
        self.fit()

    def focus(self) -> None:
        """Give the keyboard focus back to the current panel.

        A line is selected at once, not when the panel hears of its focus: the next key may be there already.
        """
        panel = self.panel()
        panel.screen.set_focus(panel)
        panel.select_some()

    @property
    def zoomed(self) -> bool:
        """Whether the current panel takes the whole screen."""
        return self.series.screen.has_class(ZOOMED)

    def toggle_zoom(self) -> None:
        """Show the current panel on the whole screen, or all panels again."""
        self.series.screen.toggle_class(ZOOMED)
        self.fit()
        self._laid_out()

    def fit(self, size: Size | None = None) -> None:
        """Lay out the panels for a size of the terminal. None: the terminal's present size."""
        fit(self.series.screen, self.series.app.size if size is None else size, self._current)

    # ── what is selected ────────────────────────────────────────────────────────────────────────

    def selected_key(self) -> str | None:
        """Return the key of the selected line of the current panel. None: no line is selected, or it is gone.

        The key is the id, or the entry's number, that the line is about. In Objects, this is always the key
        of an object, even if the line of one of its files is selected.
        """
        panel = self.panel()
        if panel.selected is None or panel.selected_index() < 0:
            return None
        return root_of(panel.selected) if self._current == OBJECTS else panel.selected

    def selected_entry(self) -> Entry | None:
        """Return the selected entry of the Series panel. None: none is selected, or another panel is current."""
        key = self.selected_key()
        return self._nodes.source.entry(int(key)) if key is not None and self._current == "series" else None

    def selected_root(self) -> Cid | None:
        """Return the root of the object in the selected line, or that the selected entry is about.

        None: there is none.
        """
        state = self._nodes.state
        if self._current != "series":
            key = self.selected_key()
            return Cid(key) if key is not None and key in state.objects else None
        entry = self.selected_entry()
        from flux_tui.ui.series.block_roots import roots_of

        cids = (*cids_of(entry.event), *roots_of(entry, self._nodes.source)) if entry is not None else ()
        return next((cid for cid in cids if cid in state.objects), None)

    # ── filters ─────────────────────────────────────────────────────────────────────────────────

    def filter_of(self, name: str = "") -> Filter:
        """Return the filter of the panel with this name. Empty name: of the current panel.

        A panel without a filter has an empty filter, which every line passes.
        """
        return self._filters.get(name or self._current, Filter())

    def set_filter(self, wanted: Filter) -> None:
        """Show only those lines of the current panel that pass a filter."""
        self._filters[self._current] = wanted
        self._say_where_empty()
        if self._current == "series":
            self.series.set_filter(wanted)

    # ── drawing ─────────────────────────────────────────────────────────────────────────────────

    def show_node(self) -> None:
        """Prepare the panels for another node, which is shown now. Filters stay, marks are removed."""
        for panel in self._by_name.values():
            panel.clear_marks()
        self.series.set_source(self._nodes.source, grows=not self._nodes.shown.recording)
        self._say_where_empty()

    def draw(self) -> None:
        """Draw every panel from the state at the cursor. Only lines that changed are drawn again."""
        self.draw_series()
        for name, build in ROWS.items():
            panel = self._by_name[name]
            if panel.size.height:
                view = self.view(name)
                panel.show(self._filtered(name, build(view)), self._note(name))
                if name == "noes":
                    panel.set_legend(no_legend(view))
        self._draw_flow()
        self.draw_objects()

    def draw_objects(self, *, hidden: bool = False) -> None:
        """Draw the Objects panel.

        Read some more of the entries about the selected object, as many as one frame allows. `hidden`: draw
        it although it is not visible, because it is about to become visible.
        """
        panel = self._by_name[OBJECTS]
        if not panel.size.height and not hidden:
            return
        view = self.view(OBJECTS)
        for _ in range(2):
            # The first line of another tab is selected when it is shown. Then it is unfolded.
            before = panel.selected
            panel.show(self._filtered(OBJECTS, self._object_rows(view, before)), self._note(OBJECTS))
            if panel.selected == before:
                break
        panel.set_legend(self._objects_legend())

    def reveal_object(self) -> None:
        """Scroll the Objects panel until the lines under the selected object are visible."""
        panel = self._by_name[OBJECTS]
        if isinstance(panel, ObjectsPanel):
            panel.reveal_selected()

    def _object_rows(self, view: View, key: str | None) -> list[Row]:
        from flux_tui.ui.rows.objects.object_rows import object_rows

        root = Cid(root_of(key or ""))
        tab = self._objects.tab(view.state, root)
        known = root in view.state.objects or root in view.state.kept
        selected = self._objects.selected(root) if known else None
        if selected is None:
            self._objects.forget()
        return object_rows(view, tab, selected, self.filter_of(OBJECTS))

    def _objects_legend(self) -> Line:
        """Return the line for the lower border of the Objects panel: the keys that act there."""
        keys = [
            self._keys.shown(self._keys.named(name)) for name in ("next-tab", "inspect", "ticket", "panel-7")
        ]
        words = ("next tab", "why", "ticket", "flow")
        return [span("  ".join(f"{key} {word}" for key, word in zip(keys, words, strict=True)), "dim")]

    def _draw_flow(self) -> None:
        """Draw the Flow panel. Read some more of the entries that it shows, as many as one frame allows."""
        panel = self._by_name["flow"]
        if not panel.size.height:
            return
        from flux_tui.ui.rows.flow_picture import picture_rows

        view = self.view("flow")
        window = self._flow.window(view)
        rows = picture_rows(view, window) if self._flow.picture else []
        rows = rows or self._filtered("flow", self._lanes(view, window))
        panel.show(rows, self._flow_note(view, window))

    def _lanes(self, view: View, window: "FlowWindow") -> list[Row]:
        """Return the Flow panel's rows: a lane for each peer of the shown node.

        Below them come the lanes of other recordings of the same swarm, for the same period of time.
        """
        from flux_tui.ui.rows.flow import flow_rows

        rows = flow_rows(view, window, self._flow.order)
        for node in self._nodes.beside:
            beside = self._views.beside(node, view.width)
            other = self._flow.beside(beside, node.source, window.step)
            lanes = flow_rows(beside, other, self._flow.order)[1:]  # there is one axis
            title = span(plain(f"what {node.title} saw"), "strong")
            rows += [Row("", [], title=True), Row(f"{node.title}/", [title], title=True)]
            rows += [Row(f"{node.title}/{row.key}", row.line, title=True) for row in lanes]
        return rows

    def _flow_note(self, view: View, window: "FlowWindow") -> Plain:
        from flux_tui.ui.rows.flow import step_words

        parts = [] if window.root is None else [str(view.name(window.root))]
        parts.append(step_words(window.step))
        parts.append(f"by {self._flow.order}")
        if self._flow.looking:
            parts.append("reading")
        return plain(
            " · ".join([*parts, *self._filter_words("flow", panel=self._by_name["flow"], view=view)])
        )

    @property
    def looking(self) -> bool:
        """Whether a visible panel still has entries to read. A panel reads only some entries in each frame."""
        flow = self._by_name["flow"].size.height and self._flow.looking
        objects = self._by_name[OBJECTS].size.height and self._objects.looking
        return self.series.looking or bool(flow) or bool(objects)

    def read_on(self) -> None:
        """Read some more of the entries that panels still need, and draw these panels.

        A search of the Series panel is drawn at most every SEARCH_DRAWN_SECONDS: a frame takes as long as a slice.
        """
        due = time.monotonic() >= self._search_drawn_at + SEARCH_DRAWN_SECONDS
        if due or not self.series.search_on():
            self.draw_series()
            self._search_drawn_at = time.monotonic()
        if self._flow.looking:
            self._draw_flow()
        if self._objects.looking:
            self.draw_objects()

    def draw_series(self) -> None:
        """Draw the Series panel.

        Read some more entries for its filter or its folding, as many as one frame allows.
        """
        self.series.update_view(self._views.view(self.series.columns))

    def _say_where_empty(self) -> None:
        """Give each panel the text that it shows when it has no lines."""
        for name, panel in self._by_name.items():
            panel.set_empty(
                empty_words(
                    name, self._keys, recording=self._nodes.shown.recording, filtered=self.filter_of(name)
                )
            )

    def _filtered(self, name: str, rows: list[Row]) -> list[Row]:
        wanted = self.filter_of(name)
        if not wanted:
            return rows
        found = matching(rows, wanted, masked=self._views.masked)
        return [] if all(row.title for row in found) else found  # the panel then says why it is empty

    def _note(self, name: str) -> Plain:
        """Return the text beside the title of a panel: how many things it lists, its marks and its filter."""
        view, panel = self._views.view(0), self._by_name[name]
        parts = counts(name, view.state, view.connected)
        if panel.marked:
            parts.append(f"{len(panel.marked)} marked")
        return plain(" · ".join([*parts, *self._filter_words(name, panel, view)]))

    def _filter_words(self, name: str, panel: LinesPanel, view: View) -> list[str]:
        wanted = self.filter_of(name)
        if not wanted:
            return []
        matches = counted(sum(not row.title for row in panel.rows), "match", "matches")
        return [matches, f"/{view.text(str(wanted))}"]


def root_of(key: str) -> str:
    """Return the CID of the object that a line of the Objects panel belongs to. `key`: the key of the line."""
    return key.partition("/")[0]


def counts(name: str, state: State, connected: int) -> list[str]:
    """Return texts that say how many things a panel lists; an empty list for none, or if they are not counted.

    `name`: the panel. `connected`: how many peers are connected.
    """
    match name:
        case "pending" if state.pending:
            objects = sum(1 for cid in state.pending if cid in state.objects)
            loose = len(state.pending) - objects
            found = [counted(objects, "object")] if objects else []
            return [*found, *([counted(loose, "chunk")] if loose else [])]
        case "noes":
            total = sum(sum(peer.counts.values()) for peer in state.peers.values())
            return [f"{total:,}"] if total else []
        case "peers" if state.peers:
            return [f"{connected} of {len(state.peers)} connected"]
        case _:
            return []
