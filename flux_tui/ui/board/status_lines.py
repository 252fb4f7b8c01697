"""The lines around the panels: header, tabs, message that the node is gone, next steps for a person, footer."""

import time
from datetime import datetime

from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_seconds
from flux_tui.ui.board.key_sequence import KeySequence
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.keys import Keys, Situation, sign
from flux_tui.ui.rows.glyphs import Role
from flux_tui.ui.rows.next_steps import next_step_lines
from flux_tui.ui.rows.throughput import fitting, header_line
from flux_tui.ui.rows.view_and_lines import Line, Span, View, cut, span
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.story_position import Narration
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.line_strips import Keybar, LineStrip, Tabs
from flux_tui.ui.widgets.next_steps_strip import NextStepsStrip
from flux_tui.ui.widgets.panel_layout import PANELS, SHORT_TITLES, SHORTEST_TITLES, TITLES
from flux_tui.ui.widgets.plain_text import PlainText

AGO_WIDTH, DAY_WIDTH = 80, 100
"""From 80 columns, the header shows how long ago a moment was. From 100, it shows the day, too."""


class StatusLines:
    """Draws the lines above and below the panels: header, tabs, messages, footer."""

    def __init__(
        self,
        nodes: Nodes,
        liveness: Liveness,
        playback: Playback,
        views: Views,
        narration: Narration,
        panels: Panels,
        keys: Keys,
        sequence: KeySequence,
    ) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._playback = playback
        self._views = views
        self._narration = narration
        self._panels = panels
        self._keys = keys
        self._sequence = sequence
        self.header = LineStrip(id="header")
        self.tabs = Tabs(TITLES, SHORT_TITLES, SHORTEST_TITLES, id="tabs")
        self.trouble = PlainText(id="trouble")
        self.next_steps = NextStepsStrip(id="guide")
        self.footer = Keybar(id="footer")

    def draw(self, width: int) -> None:
        """Draw all lines around the panels, `width` columns wide, from the state at the cursor."""
        view = self._views.view(width)
        status, note = self._status(width)
        self.header.show(header_line(view, status=status, frozen_note=note))
        if self.tabs.display:
            self.tabs.show_current(PANELS.index(self._panels.current) + 1)
        self.draw_footer(width)
        self.next_steps.tell(self._next_steps(view))
        text = self._nodes.source.trouble or self._liveness.gone()
        self.trouble.set_class(bool(text), "-shown")
        if text:
            self.trouble.tell(plain(text))

    def _next_steps(self, view: View) -> list[Line]:
        """Return lines that say what the person can do next.

        Empty: there is nothing to say, or the dashboard does not show a running node live.
        """
        source = self._nodes.source
        busy = self._narration.active or source.frozen or source.loading
        if busy or self._nodes.shown.recording or not (self._liveness.alive or self._liveness.starting):
            return []
        return next_step_lines(view, self._keys)

    # ── the header ──────────────────────────────────────────────────────────────────────────────

    def _status(self, width: int) -> tuple[Span, str]:
        """Return the status for the header (live, frozen, playing and so on), and the moment that is shown.

        While the series is being read, the second text says how far. While the dashboard is live, it is
        empty.
        """
        glyphs, source = self._views.glyphs, self._nodes.source
        if (speed := self._playback.speed) is not None:
            playing = f"{speed}{glyphs.times} · {self._moment(width)} · +{source.behind:,}"
            return span(f"{glyphs.play} playing", "accent"), playing
        if source.frozen:
            moment = f"{self._moment(width)}{self._ago(width)} · +{source.behind:,}"
            return span(f"{glyphs.pause} frozen", "warn"), moment
        if source.loading:
            at = max(source.cursor, source.building or 0)
            return span(f"{glyphs.ring} reading", "dim"), f"{at:,} of {source.last_seq:,}"
        if self._nodes.shown.recording:
            return span(f"{glyphs.ring} recording", "accent"), self._moment(width) if source.cursor else ""
        return self._phase()

    def _phase(self) -> tuple[Span, str]:
        """Return the status of a node that is shown live: live, starting, no node and so on.

        While it starts and reads a long series, the second text says how far it is.
        """
        glyphs = self._views.glyphs
        phase = self._liveness.phase()
        if phase == "live":
            return span(f"{glyphs.dot} live", "good"), ""
        role: Role = "bad" if phase == "none" else "warn"
        read = self._nodes.shown.opening() if phase == "starting" else None
        status = span(f"{glyphs.ring} {'no node' if phase == 'none' else phase}", role)
        return status, "" if read is None else f"{read[0]:,} of {read[1]:,}"

    def _moment(self, width: int) -> str:
        """Return the time that is shown, as text. The day is included if it is not today and there is room."""
        at = self._playback.now
        day = "%d %b " if width >= DAY_WIDTH and not same_day(at, self._playback.clock_now) else ""
        return time.strftime(f"{day}%H:%M:%S", time.localtime(at))

    def _ago(self, width: int) -> str:
        """Return how long ago the shown moment was, as text.

        Empty: the node does not run, or there is no room.
        """
        if width < AGO_WIDTH or not self._liveness.alive:
            return ""
        seconds = max(0, int(self._playback.clock_now - self._playback.now))
        return f" · {f'{seconds} s' if seconds < 60 else human_seconds(seconds)} ago"

    # ── the footer ──────────────────────────────────────────────────────────────────────────────

    def draw_footer(self, width: int) -> None:
        """Draw the footer: keys and their labels. If not all fit, the least important are left out.

        After the first key of a sequence, it shows the possible second keys.
        """
        if first := self._sequence.first:
            found: Line = [span(f" {sign(first)} ", "strong")]
            for key, action in self._keys.after(first).items():
                found += [span(f" {sign(key)}", "accent"), span(f" {action.next or action.name}", "dim")]
            self.footer.show(cut(found, width, self._views.glyphs.ellipsis))
            return
        on = ("narrate-pause",) if self._narration.paused else ()
        parts: list[tuple[int, Line]] = [
            (importance, [span(f" {keys}", "accent"), span(f" {label} ", "dim")])
            for importance, keys, label in self._keys.footer(self._situation(), on)
        ]
        self.footer.show(fitting(parts, width))

    def _situation(self) -> Situation:
        if self._narration.active:
            return "told"
        if self._nodes.shown.recording:
            return "recording"
        return "frozen" if self._playback.frozen else "live"


def same_day(one: float, other: float) -> bool:
    """Return whether two times (seconds since 1970) are on the same day, by the local clock."""
    return datetime.fromtimestamp(one).date() == datetime.fromtimestamp(other).date()
