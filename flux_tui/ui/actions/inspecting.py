"""Opens the window Inspect, which explains the selected entry, peer or object."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flux_tui.core.ids import PeerId
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.screens.open_window_protocol import OpenWindow
from flux_tui.ui.watching.flow_feed import FlowFeed
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.watched_node import Nodes

if TYPE_CHECKING:  # imported when something is first inspected
    from flux_tui.ui.rows.inspect.facts import Subject

VIEW_WIDTH = 100
"""The width of the view that Inspect begins with. It takes that of its window."""


class Inspecting:
    """Opens the window Inspect. If the person chooses an entry in the window, the cursor moves to that entry.

    `copy` copies a text to the clipboard. `type_command` opens the command line with a text in it.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        playback: Playback,
        panels: Panels,
        flow: FlowFeed,
        *,
        open_window: OpenWindow,
        copy: Callable[[str], None],
        type_command: Callable[[str], None],
    ) -> None:
        self._type_command = type_command
        self._nodes = nodes
        self._views = views
        self._playback = playback
        self._panels = panels
        self._flow = flow
        self._open_window = open_window
        self._copy = copy

    def inspect(self) -> None:
        """Open the window Inspect for the selected entry, peer or object of the current panel.

        Do nothing if none is selected.
        """
        from flux_tui.ui.screens.inspect import InspectScreen  # imported when it is first opened

        subject = self._subject()
        if subject is not None:
            source = self._nodes.source

            def view() -> View:
                return self._views.view(VIEW_WIDTH)._replace(trends=source.trends())

            window = InspectScreen(subject, source, view, copy=self._copy, name=self._ask_name)
            self._open_window(window, self._show_entry)

    def _ask_name(self, peer: PeerId) -> None:
        """Open the command line so that the person can type a name for a peer.

        If the peer suggests a name, that name is typed already: the person accepts or changes it. While ids
        are hidden, no names are typed.
        """
        from flux_tui.ui.typed.completions import suggestion
        from flux_tui.ui.typed.shell_words import quoted

        if self._views.masked:
            self._type_command(f"name {peer} ")
            return
        shown = str(self._views.view(VIEW_WIDTH).peer(peer))
        suggested = suggestion(self._nodes.state, self._nodes.shown.names, peer)
        self._type_command(f"name {quoted(shown)} {quoted(suggested) if suggested else ''}")

    def _subject(self) -> "Subject | None":
        from flux_tui.ui.rows.inspect.entries_about import subject_of_entries
        from flux_tui.ui.rows.inspect.facts import Subject

        key, state = self._panels.selected_key(), self._nodes.state
        if key is None:
            return None
        if self._panels.current == "series":
            return subject_of_entries(self._panels.series.group(int(key)), self._nodes.source)
        if self._panels.current == "flow" and (seq := self._flow.entry_of(key)) is not None:
            return Subject("entry", str(seq))
        if key in state.peers:
            return Subject("peer", key)
        if key in state.pending or key in state.objects or key in state.holds:
            return Subject("cid", key)
        return None

    def _show_entry(self, seq: int | None) -> None:
        if seq is not None:
            self._playback.go_to(seq)
            self._panels.go_to("series")
