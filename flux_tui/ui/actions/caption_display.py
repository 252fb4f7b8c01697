"""Shows a narrated demo: each caption, and the node, the panel and the line that the caption is about."""

from collections.abc import Callable

from flux_tui.core.ids import Cid
from flux_tui.ui.actions.node_switch import NodeSwitch
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.series.filter import parse_filter
from flux_tui.ui.watching.captions import Pointer
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.story_position import Narration
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.panel_layout import PANELS


class Story:
    """Shows the captions of a narrated demo, on every tick of the dashboard.

    `busy` returns whether a window or the prompt is open over the panels. `changed` is called after a person
    changed what is shown. `leave` ends the dashboard after the last caption.
    """

    def __init__(
        self,
        narration: Narration,
        caption: CaptionStrip,
        nodes: Nodes,
        switch: NodeSwitch,
        panels: Panels,
        flow: FlowFeed,
        *,
        busy: Callable[[], bool],
        changed: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        self._narration = narration
        self._caption = caption
        self._nodes = nodes
        self._switch = switch
        self._panels = panels
        self._flow = flow
        self._busy = busy
        self._changed = changed
        self._leave = leave
        self._filtered = ""
        """The panel whose filter the narrated demo set. Empty: none."""
        self._inspects = False
        """Whether the person inspects what the caption asks them to."""

    def show(self) -> None:
        """Show the demo's present caption. If it is a new one, also show the node, panel and line that it is about.

        While a window or the prompt is open, panel and line are not changed. The last caption ends the
        dashboard.
        """
        caption = self._narration.read()
        if caption is None:
            return
        self._caption.tell(caption)
        if caption.ends:
            self._leave()
        if (node := self._narration.node_to_show(caption)) is not None:
            self._switch.show(node)
        if self._busy():
            return
        if self._inspects:  # and has closed that window
            self._inspects = False
            self._narration.press()
        panel = self._narration.panel_to_show(caption, self._panels.current, PANELS[0])
        pointer = self._narration.pointer_to_show(caption)
        if panel is not None:
            if self._filtered == self._panels.current:
                self._filter("")
            self._panels.go_to(panel)
        if pointer is not None and self._panels.current == caption.panel:
            self._point(pointer)

    def enter(self, inspect: Callable[[], None]) -> None:
        """React to the enter key: if the present caption asks for it, the narrated demo goes on.

        `inspect` opens the window Inspect for the selected line. It is called if the caption does not ask for
        enter, or asks the person to inspect the line. In the latter case the demo goes on when the window is
        closed.
        """
        caption = self._narration.read()
        if caption is None or not caption.press:
            inspect()
        elif caption.inspects:
            inspect()
            self._inspects = self._busy()  # there is something to read
        else:
            self._narration.press()
            self._changed()

    def page(self, by: int) -> None:
        """Show the next caption (1) or the previous caption (-1)."""
        self._narration.page(by)
        self._changed()

    def toggle_pause(self) -> None:
        """Pause the narrated demo, or resume it at its newest caption."""
        self._narration.toggle_pause()
        self._changed()

    # ── what a caption points at ────────────────────────────────────────────────────────────────

    def _point(self, pointer: Pointer) -> None:
        """Show the line or object that a caption is about.

        If the line does not exist yet, the next tick tries again.
        """
        if self._panels.current == "flow":
            self._flow.picture = pointer.picture
            root = self._object(pointer.about)
            if root is None and pointer.about:
                return
            if root != self._flow.root or pointer.from_start:
                self._flow.show_object(root, from_start=pointer.from_start)
        self._filter(pointer.filter)
        self._panels.draw()
        if not pointer.select or self._select(pointer.select):
            self._narration.pointer_shown()

    def _filter(self, text: str) -> None:
        """Set a filter on the current panel.

        An empty text removes the filter, if the narrated demo had set it.
        """
        if text or self._filtered == self._panels.current:
            self._filtered = self._panels.current if text else ""
            self._panels.set_filter(parse_filter(text))

    def _select(self, name: str) -> bool:
        """Select the line of the object or peer with this name. Return whether there is such a line."""
        panel = self._panels.panel()
        keys = [row.key for row in panel.rows]
        wanted = {
            self._object(name),
            *(peer for peer, called in self._nodes.shown.names.items() if called == name),
        }
        key = next((key for key in keys if key in wanted), None)
        if key is None:
            return False
        panel.select(key)
        panel.reveal(keys.index(key))
        panel.refresh()
        return True

    def _object(self, name: str) -> Cid | None:
        return next(
            (cid for cid, known in self._nodes.state.objects.items() if name and known.name == name), None
        )
