"""The lines around the panels: header, message about a node that is gone, guide, strip of time, footer."""

import time
from typing import Any

from textual.screen import Screen

from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_seconds
from flux_tui.ui.dashboard.frame import Frame
from flux_tui.ui.keys import Situation, sign
from flux_tui.ui.rows.next_steps import guide_lines
from flux_tui.ui.rows.throughput import fitting, header_line
from flux_tui.ui.rows.view import Line, Span, View, cut, span
from flux_tui.ui.typed.typed_moment import same_day
from flux_tui.ui.widgets.next_steps_strip import NextStepsStrip
from flux_tui.ui.widgets.one_line import LineStrip, Tabs
from flux_tui.ui.widgets.panel_layout import PANELS
from flux_tui.ui.widgets.plain_text import PlainText

AGO_WIDTH, DAY_WIDTH = 80, 100
"""From 80 columns, the header shows how long ago a moment was. From 100, it shows the day, too."""


class Around(Frame):
    """The lines above and below the panels."""

    def show_strips(self, screen: Screen[Any]) -> None:
        """Draw all strips from the state at the cursor."""
        width = self.size.width
        view = self.view(width)
        status, note = self._status()
        screen.query_one("#header", LineStrip).show(header_line(view, status=status, frozen_note=note))
        screen.query_one("#timeline", LineStrip).show(self._time_line(view, width))
        tabs = screen.query_one(Tabs)
        if tabs.display:
            tabs.show_current(PANELS.index(self.current) + 1)
        screen.query_one("#footer", LineStrip).show(self._footer(width))
        screen.query_one(NextStepsStrip).tell(self._guide(view))
        trouble = screen.query_one("#trouble", PlainText)
        text = self.source.trouble or self._gone()
        trouble.set_class(bool(text), "-shown")
        if text:
            trouble.tell(plain(text))

    def _guide(self, view: View) -> list[Line]:
        """Return the lines of the guide, if a live node can act on them."""
        busy = self.narrator is not None or self.source.frozen or self.source.loading
        if busy or self.place.recording or not (self.alive or self._starting()):
            return []
        return guide_lines(view, self.keys)

    def _time_line(self, view: View, width: int) -> Line:
        label = f" {self.timeline.words} " if width >= 80 else " "
        end = " now " if width >= 80 and not self.source.frozen and self.alive else " "
        room = max(10, width - len(label) - len(end))
        return [span(label, "dim"), *self.timeline.line(view.now, room, self.glyphs), span(end, "dim")]

    @property
    def strip_left(self) -> int:
        """The column where the strip of time begins."""
        return len(f" {self.timeline.words} ") if self.size.width >= 80 else 1

    def _gone(self) -> str | None:
        """Return a message that the node is gone, and what to press. None: it is not."""
        if self.place.recording or self.alive or self.source.loading:
            return None
        trouble = self.place.trouble()
        if self._starting() or not (self.source.last_seq or self._was_alive or trouble):
            return None
        state = self.source.state
        died = state.running or (self._was_alive and not state.seq)
        how = "has died: it left no word" if died else "is stopped"
        again = self.keys.named("restart")
        offer = f"; press {self.keys.shown(again)} to start it again" if self.place.restart else ""
        return f"{trouble or f'The node {how}'}{offer}"

    def _starting(self) -> bool:
        return self.place.starting() and not self.place.trouble()

    def _status(self) -> tuple[Span, str]:
        """Return the status (live, frozen, playing and so on), and the moment shown if it is not now."""
        glyphs = self.glyphs
        if self.playing is not None:
            speed = f"{self.playing}{glyphs.times}"
            return span(
                f"{glyphs.play} playing", "accent"
            ), f"{speed} · {self._moment()} · +{self.source.behind:,}"
        if self.source.frozen:
            return span(
                f"{glyphs.pause} frozen", "warn"
            ), f"{self._moment()}{self._ago()} · +{self.source.behind:,}"
        if self.source.loading:
            at = max(self.source.cursor, self.source.building or 0)
            return span(f"{glyphs.ring} reading", "dim"), f"{at:,} of {self.source.last_seq:,}"
        if self.place.recording:
            return span(f"{glyphs.ring} recording", "accent"), self._moment() if self.source.cursor else ""
        if self.alive:
            state = self.source.state
            if state.running:
                self._ran = state.started_at
                return span(f"{glyphs.dot} live", "good"), ""
            # The node has locked its home. Its series does not say yet that it started, or says that it
            # stopped.
            ends = state.started_at is not None and self._ran == state.started_at
            return span(f"{glyphs.ring} {'stopping' if ends else 'starting'}", "warn"), ""
        if self._starting():
            return span(f"{glyphs.ring} starting", "warn"), ""
        return span(f"{glyphs.ring} no node", "bad"), ""

    def _moment(self) -> str:
        """Return the moment shown, with its day if that is not today and there is room."""
        at = self.view(0).now
        day = "%d %b " if self.size.width >= DAY_WIDTH and not same_day(at, self.clock()) else ""
        return time.strftime(f"{day}%H:%M:%S", time.localtime(at))

    def _ago(self) -> str:
        """Return how long ago the moment was, if the node still runs."""
        if self.size.width < AGO_WIDTH or not self.alive:
            return ""
        seconds = max(0, int(self.clock() - self.view(0).now))
        return f" · {f'{seconds} s' if seconds < 60 else human_seconds(seconds)} ago"

    def show_footer(self) -> None:
        """Draw the footer now."""
        self.screen_stack[0].query_one("#footer", LineStrip).show(self._footer(self.size.width))

    def _situation(self) -> Situation:
        if self.narrator is not None:
            return "told"
        if self.place.recording:
            return "recording"
        return "held" if self.source.frozen else "live"

    def _footer(self, width: int) -> Line:
        """Return the footer: keys and labels. The least important are left out where not all fit.

        After the first key of a sequence, it shows the possible second keys.
        """
        if self.begun:
            found: Line = [span(f" {sign(self.begun)} ", "strong")]
            for key, action in self.keys.after(self.begun).items():
                found += [span(f" {sign(key)}", "accent"), span(f" {action.next or action.name}", "dim")]
            return cut(found, width, self.glyphs.ellipsis)
        parts: list[tuple[int, Line]] = [
            (importance, [span(f" {keys}", "accent"), span(f" {label} ", "dim")])
            for importance, keys, label in self.keys.footer(
                self._situation(), ("narrate-hold",) if self._story_held else ()
            )
        ]
        return fitting(parts, width)
