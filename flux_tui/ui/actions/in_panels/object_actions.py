"""The actions of keys in the Objects panel: choose a tab and an object, and list its files."""

from collections.abc import Callable

from flux_tui.ui.board.panels import OBJECTS, Panels
from flux_tui.ui.rows.objects.tabs import objects_by_tab, tab_at
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.objects_feed import ObjectsFeed


class ObjectActions:
    """Runs the actions of keys in the Objects panel. `changed` is called after each action."""

    def __init__(
        self, objects: ObjectsFeed, panels: Panels, *, notify: Notify, changed: Callable[[], None]
    ) -> None:
        self._objects = objects
        self._panels = panels
        self._notify = notify
        self._changed = changed

    @property
    def current(self) -> bool:
        """Whether Objects is the current panel, on which the keys act."""
        return self._panels.current == OBJECTS

    def open(self) -> None:
        """Make Objects the current panel.

        If an object is selected in the panel that was current, select it in Objects too, in its tab.
        """
        if not self.current and (root := self._panels.selected_root()) is not None:
            self._objects.follow()
            self._panels.panel(OBJECTS).select(root)
        self._panels.draw_objects(hidden=True)
        self._panels.go_to(OBJECTS)

    def next_tab(self, by: int) -> None:
        """Show the next (1) or previous (-1) tab of the Objects panel.

        From another panel, only make Objects the current one.
        """
        if not self.current:
            self.open()
            return
        self._objects.next_tab(by)
        self._panels.panel(OBJECTS).select(None)
        self._changed()

    def click(self, x: int) -> None:
        """Show the tab of the Objects panel that was clicked. `x`: the column in the heading, counted from 0."""
        tab = tab_at(objects_by_tab(self._panels.view(OBJECTS).state), x)
        if tab is not None:
            self._objects.show_tab(tab)
            self._panels.panel(OBJECTS).select(None)
            self._changed()

    def unfold(self) -> None:
        """List all files of the selected folder in the Objects panel, or only the first few again."""
        self._objects.unfolded = not self._objects.unfolded
        self._notify(
            "all files of a folder" if self._objects.unfolded else "the first files of a folder", timeout=2
        )
        self._changed()
