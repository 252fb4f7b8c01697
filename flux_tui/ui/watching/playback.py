"""The cursor in time of the shown node: freeze, step, leap, go to a moment, play, and go back to live."""

from collections.abc import Callable

from flux_tui.core.series.events import ClockStepped
from flux_tui.ui.typed.typed_moment import Moment, parse_moment
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.watched_node import Nodes

SPEEDS = (1, 10, 100)
"""How many times as fast as it happened a series can be played."""
TICK_MAX = 10.0
"""The most seconds that a tick plays on."""


class Playback:
    """Moves the cursor in time. No other part of the dashboard moves it.

    `clock` returns seconds since 1970. `moved` is called after the cursor moved to an entry that the person
    chose: the Series panel then shows that entry. `changed` is called when only the header changes. `live` is
    called after the cursor went back to the newest entry.
    """

    def __init__(
        self,
        nodes: Nodes,
        liveness: Liveness,
        clock: Callable[[], float],
        *,
        times_sign: str,
        notify: Notify,
        moved: Callable[[], None],
        changed: Callable[[], None],
        live: Callable[[], None],
    ) -> None:
        self._nodes = nodes
        self._liveness = liveness
        self._clock = clock
        self._times_sign = times_sign
        self._notify = notify
        self._moved = moved
        self._changed = changed
        self._live = live
        self._shown_at: float | None = None
        """The time shown as "now" while the cursor is frozen or plays. None: the time of the entry."""
        self._playing = False
        self._speed = SPEEDS[0]
        self._played_at = 0.0
        """The time of the last step of playing, by `clock`."""

    @property
    def speed(self) -> int | None:
        """The speed at which the series plays now, as a factor (10: ten times as fast as it happened).

        None: it does not play.
        """
        return self._speed if self._playing else None

    @property
    def frozen(self) -> bool:
        """Whether the cursor is frozen. While the series plays, the cursor counts as frozen."""
        return self._nodes.source.frozen

    @property
    def clock_now(self) -> float:
        """The present time by the system's clock, in seconds since 1970."""
        return self._clock()

    @property
    def now(self) -> float:
        """The time that the dashboard shows, in seconds since 1970.

        It is the present while a node is live, and otherwise the time of the cursor.
        """
        state = self._nodes.state
        if self.frozen:
            return state.at if self._shown_at is None else self._shown_at
        return self._clock() if self._liveness.alive else state.at

    # ── moving ──────────────────────────────────────────────────────────────────────────────────

    def toggle_freeze(self) -> None:
        """Freeze the cursor, or go back to live. If the series plays, only stop playing."""
        if self._playing:
            self._stop()
        elif self.frozen:
            self.go_live()
        else:
            self._nodes.source.freeze()
            self._shown_at = self._clock() if self._liveness.alive else None
            self._changed()

    def step(self, by: int) -> None:
        """Move the cursor `by` entries forward, or back if `by` is negative. Freeze it there, and stop playing."""
        self._playing = False
        self.go_to(self._nodes.source.cursor + by)

    def leap(self, seconds: float) -> None:
        """Move the cursor some seconds forward, or back if `seconds` is negative.

        Freeze it there, and stop playing.
        """
        self._playing = False
        source = self._nodes.source
        if not source.frozen:
            source.freeze()
        cursor = source.cursor
        seq, at = self._entry_and_time_at(self.now + seconds)
        if seconds < 0 and seq >= cursor:  # the clock was set right before the cursor
            seq, at = max(1, cursor - 1), None
        if at is not None and seq >= source.last_seq:
            at = min(at, self._newest())
        self.go_to(seq, at)

    def go_live(self) -> None:
        """Stop playing, move the cursor to the newest entry, and let it follow new entries."""
        self._nodes.source.live()
        self._shown_at, self._playing = None, False
        self._live()

    def go_to(self, seq: int, at: float | None = None) -> None:
        """Move the cursor to entry `seq` and freeze it there.

        Show the time `at` (None: the time of the entry).
        """
        self._nodes.source.go_to(max(1, seq))
        self._shown_at = at
        self._moved()

    def go_to_time(self, at: float) -> None:
        """Move the cursor to the last entry that is not later than `at` (seconds since 1970), and freeze it there."""
        self._playing = False
        source = self._nodes.source
        if not source.frozen:
            source.freeze()
        seq = source.seq_at(at)
        # Keep the exact time, so that leaps also cross a quiet period: the next leap begins here.
        self.go_to(seq, min(at, self._newest()) if seq else None)

    def go_to_typed(self, text: str) -> None:
        """Move the cursor to the moment that a person typed. Raise ValueError with one sentence."""
        self.go_to_moment(parse_moment(text, self.now, self._newest()))

    def go_to_moment(self, moment: Moment) -> None:
        """Move the cursor to an entry or a time and freeze it there, or back to live."""
        self._playing = False
        if moment.seq is not None:
            self.go_to(moment.seq)
        elif moment.at is not None:
            self.go_to_time(moment.at)
        else:
            self.go_live()

    def leave_node(self) -> None:
        """Stop playing the series, because another node is shown now."""
        self._shown_at, self._playing = None, False

    def _newest(self) -> float:
        """Return the last time that can be shown: the present for a live node, otherwise the time of the last entry."""
        source = self._nodes.source
        last = source.entry(source.last_seq)
        return self._clock() if last is None or self._liveness.alive else last.at

    def _entry_and_time_at(self, at: float) -> tuple[int, float | None]:
        """Return the number of the last entry near the cursor that is not later than `at`, and the time to show for it.

        If the clock was set between the cursor and that entry, the time to show is by the clock as it was at
        that entry. If the time is None, the entry's own time is to be shown.
        """
        source = self._nodes.source
        seq = source.seq_near(at)
        if seq > 1 and (found := source.entry(seq)) is not None and found.at > at:
            return seq, None  # the first entry since the clock was set
        follows = source.entry(seq + 1)
        if follows is None or not isinstance(follows.event, ClockStepped):
            return seq, at
        if seq < source.cursor:
            at -= follows.event.seconds  # earlier entries have times of the old clock
            return source.seq_near(at), at
        if at < follows.at - follows.event.seconds:
            return seq, at
        return follows.seq, max(at + follows.event.seconds, follows.at)

    # ── playing ─────────────────────────────────────────────────────────────────────────────────

    def toggle_play(self) -> None:
        """Play the series from the cursor on, or stop playing.

        If no entry follows the cursor, a recording is played from its beginning. For a node, a notice tells
        the person to go back first.
        """
        if self._playing:
            self._stop()
            return
        source = self._nodes.source
        if not source.frozen or source.cursor >= source.last_seq:
            if not self._nodes.shown.recording:
                first = "go" if source.frozen else "freeze and go"
                self._notify(f"{first} back first: there is nothing after this to play", timeout=4)
                return
            source.go_to(1)  # at its end, a recording begins again
        self._playing = True
        self._shown_at = source.state.at
        self._played_at = self._clock()
        self._moved()

    def next_speed(self) -> None:
        """Set the next of the speeds at which the series plays: 1, 10 or 100 times as fast as it happened."""
        self.set_speed(SPEEDS[(SPEEDS.index(self._speed) + 1) % len(SPEEDS)])

    def set_speed(self, speed: int) -> None:
        """Set the speed at which the series plays, as a factor, which must be one of SPEEDS."""
        self._speed = speed
        if self._playing:
            self._changed()
        else:
            self._notify(f"plays {speed}{self._times_sign} as fast", timeout=2)

    def advance(self) -> None:
        """While the series plays, move the cursor forward by the time since the last tick, multiplied by the speed.

        At the newest entry, playing ends and the cursor goes live.
        """
        if not self._playing:
            return
        source, now = self._nodes.source, self._clock()
        passed = min(max(now - self._played_at, 0.0), TICK_MAX)  # the clock may be set meanwhile
        at = (self._shown_at or source.state.at) + passed * self._speed
        self._played_at = now
        seq, self._shown_at = self._entry_and_time_at(at)
        source.go_to(max(seq, source.cursor))
        if source.cursor >= source.last_seq:
            self.go_live()  # the end of a recording, or the present

    def _stop(self) -> None:
        self._playing = False
        self._changed()
