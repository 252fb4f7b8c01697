"""The eight panels: their widgets, their filters, their rows, and the one that the keys act on."""

from collections.abc import Callable, Mapping

from textual.geometry import Size

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows.empty_panel import empty_words
from flux_tui.ui.rows.flow import flow_rows, step_words
from flux_tui.ui.rows.flow_picture import picture_rows
from flux_tui.ui.rows.objects.object_rows import object_rows
from flux_tui.ui.rows.peers import no_legend, no_rows, peer_rows
from flux_tui.ui.rows.pending_and_retries import pending_rows, retry_rows
from flux_tui.ui.rows.throughput import throughput_rows
from flux_tui.ui.rows.view import Line, Row, View, matching, span
from flux_tui.ui.series.block_owners import roots_of
from flux_tui.ui.series.filter import Filter, cids_of
from flux_tui.ui.series.flow import FlowWindow
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.objects_feed import ObjectsFeed
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.flow_panel import FlowPanel
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.objects_panel import ObjectsPanel
from flux_tui.ui.widgets.panel_layout import PANELS, TITLES, fit
from flux_tui.ui.widgets.series_panel import SeriesPanel

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
ZOOMED = "-zoomed"
"""The class of a screen that shows one panel only."""


class Panels:
    """Fills the panels from the state at the cursor.

    `laid_out` is called when panels take other places. They then have to be drawn for their new sizes.
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
        """The name of the panel that the keys act on."""
        return self._current

    def panel(self, name: str = "") -> LinesPanel:
        """Return a panel by its name, or the current one."""
        return self._by_name[name or self._current]

    def view(self, name: str = "") -> View:
        """Return the view for a panel by its name, or for the current one."""
        panel = self.panel(name)
        return self._views.view(panel.columns, name or self._current, panel.size.height)

    # ── the current panel ───────────────────────────────────────────────────────────────────────

    def go_to(self, name: str) -> None:
        """Make a panel the current one, and give it the focus."""
        self.set_current(name)
        self.focus()
        self._laid_out()

    def set_current(self, name: str) -> None:
        """Make a panel the current one. Where not all panels fit, it is shown."""
        self._current = name
        self.fit()

    def focus(self) -> None:
        """Give the focus back to the current panel."""
        panel = self.panel()
        panel.screen.set_focus(panel)

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
        """Lay out the panels for a size of the terminal. None: its size as it is."""
        fit(self.series.screen, self.series.app.size if size is None else size, self._current)

    # ── what is selected ────────────────────────────────────────────────────────────────────────

    def selected_key(self) -> str | None:
        """Return the key of the selected line of the current panel, if that line still exists.

        A file of an object in Objects has the key of the object.
        """
        panel = self.panel()
        if panel.selected is None or panel.selected_index() < 0:
            return None
        return root_of(panel.selected) if self._current == OBJECTS else panel.selected

    def selected_entry(self) -> Entry | None:
        """Return the selected entry, if the current panel is Series."""
        key = self.selected_key()
        return self._nodes.source.entry(int(key)) if key is not None and self._current == "series" else None

    def selected_root(self) -> Cid | None:
        """Return the object that is selected, or that the selected entry is about."""
        state = self._nodes.state
        if self._current != "series":
            key = self.selected_key()
            return Cid(key) if key is not None and key in state.objects else None
        entry = self.selected_entry()
        cids = (*cids_of(entry.event), *roots_of(entry, self._nodes.source)) if entry is not None else ()
        return next((cid for cid in cids if cid in state.objects), None)

    # ── filters ─────────────────────────────────────────────────────────────────────────────────

    def filter_of(self, name: str = "") -> Filter:
        """Return the filter of a panel by its name, or of the current one. An empty filter lets everything pass."""
        return self._filters.get(name or self._current, Filter())

    def set_filter(self, wanted: Filter) -> None:
        """Filter the current panel."""
        self._filters[self._current] = wanted
        self._say_where_empty()
        if self._current == "series":
            self.series.set_filter(wanted)

    # ── drawing ─────────────────────────────────────────────────────────────────────────────────

    def show_node(self) -> None:
        """Show the panels of another node. Filters stay, marks do not."""
        for panel in self._by_name.values():
            panel.clear_marks()
        self.series.set_source(self._nodes.source, grows=not self._nodes.shown.recording)
        self._say_where_empty()

    def draw(self) -> None:
        """Draw every panel from the state at the cursor. Only lines that changed are drawn."""
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
        """Draw the Objects panel, and read the next slice of entries about the selected object.

        `hidden`: also if it is not on the screen, because it is about to be.
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
        """Scroll until what is under the selected object is visible."""
        panel = self._by_name[OBJECTS]
        if isinstance(panel, ObjectsPanel):
            panel.reveal_selected()

    def _object_rows(self, view: View, key: str | None) -> list[Row]:
        root = Cid(root_of(key or ""))
        tab = self._objects.tab(view.state, root)
        known = root in view.state.objects or root in view.state.kept
        selected = self._objects.selected(root) if known else None
        if selected is None:
            self._objects.forget()
        return object_rows(view, tab, selected, self.filter_of(OBJECTS))

    def _objects_legend(self) -> Line:
        """Return the keys that act in Objects, for its lower border."""
        keys = [
            self._keys.shown(self._keys.named(name)) for name in ("next-tab", "inspect", "ticket", "panel-7")
        ]
        words = ("next tab", "why", "ticket", "flow")
        return [span("  ".join(f"{key} {word}" for key, word in zip(keys, words, strict=True)), "dim")]

    def _draw_flow(self) -> None:
        """Draw the Flow panel, and read the next slice of entries for it."""
        panel = self._by_name["flow"]
        if not panel.size.height:
            return
        view = self.view("flow")
        window = self._flow.window(view)
        rows = picture_rows(view, window) if self._flow.picture else []
        rows = rows or self._filtered("flow", self._lanes(view, window))
        panel.show(rows, self._flow_note(view, window))

    def _lanes(self, view: View, window: FlowWindow) -> list[Row]:
        """Return the lanes of the shown node, and below them those of the other recordings, at the same moments."""
        rows = flow_rows(view, window, self._flow.order)
        for node in self._nodes.beside:
            beside = self._views.beside(node, view.width)
            other = self._flow.beside(beside, node.source, window.step)
            lanes = flow_rows(beside, other, self._flow.order)[1:]  # there is one axis
            title = span(plain(f"what {node.title} saw"), "strong")
            rows += [Row("", [], title=True), Row(f"{node.title}/", [title], title=True)]
            rows += [Row(f"{node.title}/{row.key}", row.line, title=True) for row in lanes]
        return rows

    def _flow_note(self, view: View, window: FlowWindow) -> Plain:
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
        """Whether a panel has entries to read that it could not read within one frame."""
        flow = self._by_name["flow"].size.height and self._flow.looking
        objects = self._by_name[OBJECTS].size.height and self._objects.looking
        return self.series.looking or bool(flow) or bool(objects)

    def read_on(self) -> None:
        """Read the next slice of entries, and draw the panels that show them."""
        self.draw_series()
        if self._flow.looking:
            self._draw_flow()
        if self._objects.looking:
            self.draw_objects()

    def draw_series(self) -> None:
        """Draw the Series panel, and read the next slice of entries for its filter or its folding."""
        self.series.update_view(self._views.view(self.series.columns))

    def _say_where_empty(self) -> None:
        """Set the text that each panel shows when it is empty."""
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
        """Return the words beside the title of a panel: how much it has, marks and the filter."""
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
    """Return the CID of the object that a line of Objects belongs to."""
    return key.partition("/")[0]


def counts(name: str, state: State, connected: int) -> list[str]:
    """Return how much a panel has, in words. `connected`: how many peers are connected."""
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
