"""The board: panels over one state, with one ticker.

The `…_actions` modules add what the keys do, and app.py puts them together. The series file is the interface:
the board folds new entries a few times a second and shows the state at the cursor. It never imports the
network or the node, so its first frame waits for neither.
"""

import time
from collections.abc import Callable

from textual import events

from flux_tui.core.ids import Cid
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted
from flux_tui.ui.dashboard.frame import TICK_SECONDS
from flux_tui.ui.dashboard.garbage_collection import take_turn
from flux_tui.ui.dashboard.surroundings import Around
from flux_tui.ui.rows.peers import no_legend, no_rows, peer_rows
from flux_tui.ui.rows.pending import pending_rows, retry_rows
from flux_tui.ui.rows.throughput import throughput_rows
from flux_tui.ui.rows.view import Row, View, matching
from flux_tui.ui.series.block_owners import roots_of
from flux_tui.ui.series.filter import cids_of
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from flux_tui.ui.widgets.one_line import Keybar
from flux_tui.ui.widgets.panel_layout import PANELS, fit
from flux_tui.ui.widgets.series_panel import SeriesPanel

BEHIND_SECONDS = 1.0
"""Seconds between two frames behind a window."""
LOOK_SECONDS = 0.02
"""Seconds between two slices of a search."""
TYPING_SECONDS = 0.2
"""Seconds after a key in which the next one is likely."""
QUIET_SECONDS = 5.0
"""Seconds without a key after which nobody is typing."""
READING_SECONDS = 0.1
"""Seconds between two frames while a long series is read."""

ROWS: dict[str, Callable[[View], list[Row]]] = {
    "pending": pending_rows,
    "noes": no_rows,
    "retries": retry_rows,
    "peers": peer_rows,
    "throughput": throughput_rows,
}


class Board(Around):
    """Shows a place. It knows nothing of keys."""

    def on_mount(self) -> None:
        for panel in self.query(LinesPanel):
            panel.signs = self.glyphs
            panel.letter = self.keys.letter(f"panel-{panel.number}")
            panel.set_title()
        self.say_where_empty()
        self.query_one(SeriesPanel).focus()
        self.prompt.covers = self.clear_notifications
        self.query_one(Keybar).show(self._footer(self.size.width))
        # The first frame is painted before anything is read.
        self.call_after_refresh(self.tick)
        self.set_interval(TICK_SECONDS, self._tick_unless_typing)

    def on_resize(self, event: events.Resize) -> None:
        fit(self.screen_stack[0], event.size, self.current)
        self.call_after_refresh(self.show_all)

    def selected_root(self) -> Cid | None:
        """Return the object that is selected, or that the selected entry is about."""
        key = self.panel().selected
        if key is None or self.panel().selected_index() < 0:
            return None
        if self.current != "series":
            return Cid(key) if key in self.state.objects else None
        entry = self.source.entry(int(key))
        cids = (*cids_of(entry.event), *roots_of(entry, self.source)) if entry is not None else ()
        return next((cid for cid in cids if cid in self.state.objects), None)

    # ── the ticker ──────────────────────────────────────────────────────────────────────────────

    def _tick_unless_typing(self) -> None:
        """Run a tick, unless the person is typing.

        The next key would wait for the frame of the tick, and it draws a frame anyway.
        """
        now = time.monotonic()
        since = now - self._pressed_at
        if since >= TYPING_SECONDS or now - self._ticked_at >= 2 * TICK_SECONDS:
            self.tick()
        take_turn(quiet=since > QUIET_SECONDS)

    def typed(self) -> None:
        """Note that a key came, for a panel or for an input."""
        self._pressed_at = time.monotonic()

    def pressed(self) -> None:
        """Draw a frame after the action of a key, if a tick is due."""
        if time.monotonic() - self._ticked_at >= TICK_SECONDS:
            self.tick()

    def tick(self) -> None:
        """Read new entries, and show them."""
        if not self.is_running or not self.screen_stack:
            return
        self._ticked_at = time.monotonic()
        self.source.poll()
        self.play_on()
        self.narrate()
        if self.source.loading:
            self.set_timer(0.001 if self.source.building is None else READING_SECONDS, self.tick)
            if time.monotonic() - self._reading_shown < READING_SECONDS:
                return
            self._reading_shown = time.monotonic()
        self.show_all(ticked=True)

    def play_on(self) -> None:
        """Move the cursor on while the series is played."""

    def narrate(self) -> None:
        """Show the caption of the narrator, and its place and panel."""
        if self.narrator is None:
            return
        caption = self.narrator.caption
        self._story_held = caption.held
        self.screen_stack[0].query_one(CaptionStrip).tell(caption)
        if caption.place is not None and caption.place != self._narrated_place:
            self._narrated_place = caption.place
            self.look_at(caption.place)
        if caption.step != self._narrated_step and len(self.screen_stack) == 1 and not self.prompt.kind:
            self._narrated_step = caption.step
            wanted = caption.panel or (PANELS[0] if self.current == self._narrated_panel else None)
            self._narrated_panel = caption.panel
            if wanted is not None and wanted != self.current:
                self.go_to_panel(wanted)

    def go_to_panel(self, name: str) -> None:
        """Give the focus to a panel."""
        self.current = name
        self.mark_current()
        self.screen.set_focus(self.panel(name))
        self.call_after_refresh(self.show_all)

    def look_at(self, title: str) -> None:
        """Show another place."""
        found = next((place for place in self.places if place.title == title), None)
        if found is None or found is self.place:
            return
        self.place = found
        self.held_now = self.playing = None
        self._alive_asked = -10.0
        self._was_alive = False
        for name in PANELS:
            self.panel(name).marked.clear()
        self.series.set_source(found.source, grows=not found.recording)
        self.say_where_empty()
        self.tick()

    def show_all(self, *, ticked: bool = False) -> None:
        """Draw every panel from one state. On a tick, draw only if something would look different."""
        if not self.is_running or not self.screen_stack:
            return
        screen = self.screen_stack[0]
        fresh = self._fresh()
        if ticked and fresh == self._shown and not self.series.looking:
            return
        if ticked and len(self.screen_stack) > 1:
            # Behind a window, every change draws the whole screen. There, once a second is enough.
            if time.monotonic() - self._behind_shown < BEHIND_SECONDS:
                return
            self._behind_shown = time.monotonic()
        self._shown = fresh
        self.show_strips(screen)
        self.series.update_view(self.view(self.series.columns))
        self._keep_looking()
        for name, build in ROWS.items():
            panel = self.panel(name)
            if panel.size.height:
                view = self.view(panel.columns, name)
                panel.show(self._filtered(name, build(view)), self._note(name))
                if name == "noes":
                    panel.set_legend(no_legend(view))

    def _look_on(self) -> None:
        """Read the next slice for a filter or the folding, between keys and frames."""
        self._looks = False
        if self.is_running and self.screen_stack:
            self.series.update_view(self.view(self.series.columns))
            self._keep_looking()

    def _keep_looking(self) -> None:
        """Schedule the next slice, if there is more to read."""
        if self.series.looking and not self._looks:
            self._looks = True
            self.set_timer(LOOK_SECONDS, self._look_on)

    def _fresh(self) -> tuple[object, ...]:
        """Return everything that a frame depends on: entries, and the time as precisely as it is shown."""
        now = self.view(0).now
        state = self.source.state
        counting = state.pending or any(peer.until and peer.until > now for peer in state.peers.values())
        moment = round(now / TICK_SECONDS) if counting else int(now)
        return (self.place.title, state.seq, self.source.last_seq, self.source.frozen, moment, int(self.clock()),
                self.alive, self.place.trouble(), self.source.trouble, self.masked,
                len(self.place.names), self._story_held)  # fmt: skip

    def _filtered(self, name: str, rows: list[Row]) -> list[Row]:
        wanted = self.panel_filters.get(name)
        if not wanted:
            return rows
        found = matching(rows, wanted, masked=self.masked)
        return [] if all(row.title for row in found) else found  # the panel then says why it is empty

    def _note(self, name: str) -> Plain:
        state = self.source.state
        parts = []
        match name:
            case "pending" if state.pending:
                objects = sum(1 for cid in state.pending if cid in state.objects)
                loose = len(state.pending) - objects
                parts = [counted(objects, "object")] if objects else []
                parts += [counted(loose, "chunk")] if loose else []
            case "noes":
                total = sum(sum(peer.counts.values()) for peer in state.peers.values())
                parts = [f"{total:,}"] if total else []
            case "peers" if state.peers:
                parts = [f"{self.view(0).connected} of {len(state.peers)} connected"]
        panel = self.panel(name)
        if panel.marked:
            parts.append(f"{len(panel.marked)} marked")
        if wanted := self.panel_filters.get(name):
            parts.append(counted(sum(not row.title for row in panel.rows), "match", "matches"))
            parts.append(f"/{self.view(0).text(str(wanted))}")
        return plain(" · ".join(parts))
