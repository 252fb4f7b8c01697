"""Telling a narrator's story: its caption, and the node and panel that the caption is about."""

from collections.abc import Callable

from flux_tui.ui.actions.node_switch import NodeSwitch
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.watching.narration import Narration
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.panel_layout import PANELS


class Story:
    """Shows the caption on every tick.

    `busy`: whether a window or the prompt is open over the panels. `leave` ends the dashboard when the narrator
    says so.
    """

    def __init__(
        self,
        narration: Narration,
        caption: CaptionStrip,
        switch: NodeSwitch,
        panels: Panels,
        *,
        busy: Callable[[], bool],
        changed: Callable[[], None],
        leave: Callable[[], None],
    ) -> None:
        self._narration = narration
        self._caption = caption
        self._switch = switch
        self._panels = panels
        self._busy = busy
        self._changed = changed
        self._leave = leave

    def show(self) -> None:
        """Show the caption, and its node and panel if it is a new one."""
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
        panel = self._narration.panel_to_show(caption, self._panels.current, PANELS[0])
        if panel is not None:
            self._panels.go_to(panel)

    def page(self, by: int) -> None:
        """Go to the next caption (1) or the one before (-1)."""
        self._narration.page(by)
        self._changed()

    def toggle_pause(self) -> None:
        """Pause the story, or resume it at its newest caption."""
        self._narration.toggle_pause()
        self._changed()
