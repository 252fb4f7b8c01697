"""Actions that move the cursor in time: freeze, step, leap, go to, play, live, and the strip."""

from textual import on

from flux_tui.core.series.events import ClockStepped
from flux_tui.ui.dashboard.board import Board
from flux_tui.ui.typed.typed_moment import parse_moment
from flux_tui.ui.widgets.one_line import TimeStrip

SPEEDS = (1, 10, 100)
TICK_MAX = 10.0
"""The most seconds that a tick plays on."""
MOMENTS = "12:01:03  -5m  +10s  #1234  start  live"


class TimeActions(Board):
    """Actions that move the cursor. Nothing else moves it."""

    _speed = SPEEDS[0]
    _played_at = 0.0
    """The time of the last step of playing, by the clock of this machine."""

    def action_freeze(self) -> None:
        if self.playing is not None:
            self._stop_playing()
        elif self.source.frozen:
            self.action_live()
        else:
            self.source.freeze()
            self.held_now = self.clock() if self.alive else None
            self.show_all()

    def action_step(self, by: int) -> None:
        self.playing = None
        self.hold(self.source.cursor + by)

    def action_leap(self, seconds: float) -> None:
        self.playing = None
        if not self.source.frozen:
            self.source.freeze()
        cursor = self.source.cursor
        seq, at = self._walk(self.view(0).now + seconds)
        if seconds < 0 and seq >= cursor:  # the clock was set right before the cursor
            seq, at = max(1, cursor - 1), None
        if at is not None and seq >= self.source.last_seq:
            at = min(at, self._newest())
        self.hold(seq, at)

    def action_live(self) -> None:
        self.source.live()
        self.held_now = self.playing = None
        self.series.following = True
        self.tick()

    def action_goto(self) -> None:
        self.prompt.open("goto", "go to", MOMENTS)

    def go_to_moment(self, text: str) -> None:
        """Go to a typed moment. Raise ValueError with one sentence."""
        moment = parse_moment(text, self.view(0).now, self._newest())
        self.playing = None
        if moment.seq is not None:
            self.hold(moment.seq)
        elif moment.at is not None:
            self.hold_time(moment.at)
        else:
            self.action_live()

    def _newest(self) -> float:
        """Return the last visible moment."""
        last = self.source.entry(self.source.last_seq)
        return self.clock() if last is None or self.alive else last.at

    def hold(self, seq: int, at: float | None = None) -> None:
        """Freeze the cursor after an entry, and show the time `at`, if it is given."""
        self.source.go_to(max(1, seq))
        self.held_now = at
        self.series.following = True  # the entry of the cursor is the last line, and in view
        self.show_all()

    def hold_time(self, at: float) -> None:
        """Freeze the cursor at a time: after the last entry that is not later."""
        if not self.source.frozen:
            self.source.freeze()
        seq = self.source.seq_at(at)
        # Keep the exact time, so that leaps also cross a quiet stretch: the next one goes on from here.
        self.hold(seq, min(at, self._newest()) if seq else None)

    def _walk(self, at: float) -> tuple[int, float | None]:
        """Return the last entry at a time near the cursor, and that time.

        If the clock was set between the cursor and that entry, the time returned is by the new clock.
        """
        seq = self.source.seq_near(at)
        if seq > 1 and (found := self.source.entry(seq)) is not None and found.at > at:
            return seq, None  # the first entry since the clock was set
        follows = self.source.entry(seq + 1)
        if follows is None or not isinstance(follows.event, ClockStepped):
            return seq, at
        if seq < self.source.cursor:
            at -= follows.event.seconds  # earlier entries have times of the old clock
            return self.source.seq_near(at), at
        if at < follows.at - follows.event.seconds:
            return seq, at
        return follows.seq, max(at + follows.event.seconds, follows.at)

    # ── playing ─────────────────────────────────────────────────────────────────────────────────

    def action_play(self) -> None:
        if self.playing is not None:
            self._stop_playing()
            return
        if not self.source.frozen or self.source.cursor >= self.source.last_seq:
            if not self.place.recording:
                first = "go" if self.source.frozen else "freeze and go"
                self.notify(f"{first} back first: there is nothing after this to play", timeout=4)
                return
            self.source.go_to(1)  # at its end, a recording begins again
        self.playing = self._speed
        self.held_now = self.source.state.at
        self._played_at = self.clock()
        self.series.following = True
        self.show_all()

    def action_speed(self) -> None:
        self.set_speed(SPEEDS[(SPEEDS.index(self._speed) + 1) % len(SPEEDS)])

    def set_speed(self, speed: int) -> None:
        """Set the speed of playing, now and for the next time."""
        self._speed = speed
        if self.playing is not None:
            self.playing = speed
            self.show_all()
        else:
            self.notify(f"plays {speed}{self.glyphs.times} as fast", timeout=2)

    def play_on(self) -> None:
        if self.playing is None:
            return
        now = self.clock()
        passed = min(max(now - self._played_at, 0.0), TICK_MAX)  # the clock may be set meanwhile
        at = (self.held_now or self.source.state.at) + passed * self.playing
        self._played_at = now
        seq, self.held_now = self._walk(at)
        self.source.go_to(max(seq, self.source.cursor))
        if self.source.cursor >= self.source.last_seq:
            self.action_live()  # the end of a recording, or the present

    def _stop_playing(self) -> None:
        self.playing = None
        self.show_all()

    # ── the strip ───────────────────────────────────────────────────────────────────────────────

    def action_strip(self, by: int) -> None:
        self.timeline.wider(by)
        self.show_all()

    @on(TimeStrip.Moved)
    def _moved(self, event: TimeStrip.Moved) -> None:
        self.playing = None
        self.hold_time(self.timeline.at(event.x - self.strip_left))
