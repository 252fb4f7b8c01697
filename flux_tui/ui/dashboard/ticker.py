"""The ticker: it decides when new entries are read, and when a frame is drawn."""

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from flux_tui.ui.actions.caption_display import Story
from flux_tui.ui.board.panels import Panels
from flux_tui.ui.board.status_lines import StatusLines
from flux_tui.ui.board.timeline_strip import TimelineStrip
from flux_tui.ui.dashboard.garbage_collection import collect_if_due
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.object_whole_notices import WholeNotices
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.playback import Playback
from flux_tui.ui.watching.story_position import Narration
from flux_tui.ui.watching.watched_node import Nodes

BEHIND_SECONDS = 1.0
"""Seconds between two frames behind a window."""
LOOK_SECONDS = 0.005
"""Seconds between two slices of a search: keys are handled in between."""
TYPING_SECONDS = 0.2
"""Seconds after a key in which the next one is likely."""
QUIET_SECONDS = 5.0
"""Seconds without a key after which nobody is typing."""
READING_SECONDS = 0.1
"""Seconds between two frames while a long series is read."""


class TickedApp(Protocol):
    """The methods of the app that the ticker uses."""

    @property
    def is_running(self) -> bool:
        """Whether the app is running, so that frames can be drawn."""

    @property
    def screen_stack(self) -> Sequence[object]:
        """The screen with the panels, and the windows that are open over it."""

    @property
    def columns(self) -> int:
        """The width of the terminal, in columns."""

    def call_in(self, seconds: float, call: Callable[[], None]) -> None:
        """Call a function once, after some seconds."""


class Ticker:
    """Reads new entries and draws frames, every `seconds` and after keys.

    Between two keys that follow each other fast, it draws no frame: the second key would wait for the frame.
    """

    def __init__(
        self,
        app: TickedApp,
        nodes: Nodes,
        liveness: Liveness,
        playback: Playback,
        views: Views,
        narration: Narration,
        panels: Panels,
        lines: StatusLines,
        timeline: TimelineStrip,
        story: Story,
        whole: WholeNotices,
        *,
        seconds: float,
    ) -> None:
        self._app = app
        self._nodes = nodes
        self._liveness = liveness
        self._playback = playback
        self._views = views
        self._narration = narration
        self._panels = panels
        self._lines = lines
        self._timeline = timeline
        self._story = story
        self._whole = whole
        self._seconds = seconds
        self._drawn: tuple[object, ...] = ()
        """Everything that the last frame depended on."""
        self._reading_drawn_at = 0.0
        self._behind_drawn_at = 0.0
        self._ticked_at = 0.0
        self._key_at = 0.0
        self._search_is_due = False
        """Whether the next slice of a search is scheduled."""

    @property
    def _running(self) -> bool:
        return self._app.is_running and bool(self._app.screen_stack)

    # ── when ────────────────────────────────────────────────────────────────────────────────────

    def tick_unless_typing(self) -> None:
        """Run a tick, unless the person pressed a key in the last TYPING_SECONDS.

        While the person types, a frame of the tick would delay the next key, and that key draws a frame
        anyway. But if two ticks were left out, run one in any case. Afterwards, run the garbage collector if
        enough objects were made.
        """
        now = time.monotonic()
        since = now - self._key_at
        if since >= TYPING_SECONDS or now - self._ticked_at >= 2 * self._seconds:
            self.tick()
        collect_if_due(quiet=since > QUIET_SECONDS)

    def note_key(self) -> None:
        """Note the time of a key that the person pressed, in a panel or an input."""
        self._key_at = time.monotonic()

    def after_key(self) -> None:
        """Run a tick after the action of a key, if the last tick was at least `seconds` ago."""
        if time.monotonic() - self._ticked_at >= self._seconds:
            self.tick()

    def tick(self) -> None:
        """Read new entries, and draw a frame if something would look different.

        Also tell the person of whole objects, and move a playing cursor and a narrated demo on. While many
        entries are still unread, tick again soon, and draw only every READING_SECONDS.
        """
        if not self._running:
            return
        self._ticked_at = time.monotonic()
        source = self._nodes.source
        source.poll()
        self._whole.tell()
        self._playback.advance()
        self._story.show()
        source = self._nodes.source  # the narrated demo may have shown another node
        if source.loading:
            self._app.call_in(0.001 if source.building is None else READING_SECONDS, self.tick)
            if time.monotonic() - self._reading_drawn_at < READING_SECONDS:
                return
            self._reading_drawn_at = time.monotonic()
        self._draw_if_changed()

    # ── drawing ─────────────────────────────────────────────────────────────────────────────────

    def draw(self) -> None:
        """Draw the lines around the panels and every panel from the state at the cursor."""
        if self._running:
            self._draw(self._depends_on())

    def draw_footer(self) -> None:
        """Draw only the footer."""
        self._lines.draw_footer(self._app.columns)

    def _draw_if_changed(self) -> None:
        """Draw a frame, if something would look different from the last frame or panels still have entries to read.

        Behind a window, draw at most one frame in BEHIND_SECONDS.
        """
        if not self._running:
            return
        depends_on = self._depends_on()
        if depends_on == self._drawn and not self._panels.looking:
            return
        if len(self._app.screen_stack) > 1:
            # Behind a window, every change draws the whole screen. There, once a second is enough.
            if time.monotonic() - self._behind_drawn_at < BEHIND_SECONDS:
                return
            self._behind_drawn_at = time.monotonic()
        self._draw(depends_on)

    def _draw(self, depends_on: tuple[object, ...]) -> None:
        self._drawn = depends_on
        width = self._app.columns
        self._lines.draw(width)
        self._timeline.draw(width)
        self._panels.draw()
        self._search_on()

    def _search(self) -> None:
        """Read some more of the entries that the Series, Flow and Objects panels need, between keys and frames."""
        self._search_is_due = False
        if self._running:
            self._panels.read_on()
            self._search_on()

    def _search_on(self) -> None:
        """Schedule the next call of `_search`, if panels still have entries to read."""
        if self._panels.looking and not self._search_is_due:
            self._search_is_due = True
            self._app.call_in(LOOK_SECONDS, self._search)

    def _depends_on(self) -> tuple[object, ...]:
        """Return all values that a frame depends on. If none has changed, no frame has to be drawn."""
        node, source, now = self._nodes.shown, self._nodes.source, self._playback.now
        state = source.state
        counting = state.pending or any(peer.until and peer.until > now for peer in state.peers.values())
        moment = round(now / self._seconds) if counting else int(now)
        return (
            node.title, state.seq, source.last_seq, source.frozen, moment, int(self._playback.clock_now),
            self._liveness.alive, node.trouble(), source.trouble, self._views.masked, tuple(node.names.items()),
            self._narration.paused,
        )  # fmt: skip
