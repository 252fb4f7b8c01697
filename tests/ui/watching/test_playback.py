"""The cursor in time, without an app."""

from collections.abc import Callable
from functools import partial

import pytest

from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.playback import TICK_MAX, Playback
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode

START = 1_700_000_000.0
SECONDS = 10
"""Entries of the series, one a second."""


class Played:
    """A playback over a series of ten entries, and what it told."""

    def __init__(self, *, recording: bool) -> None:
        self.now = START + SECONDS
        self.told: list[str] = []
        self.calls: list[str] = []
        series = MemorySeries()
        series.append([Entry(n, START + n, ev.WentDormant(cids=())) for n in range(1, SECONDS + 1)])
        node = WatchedNode(
            title="home", source=Source(lambda: series), push=None if recording else lambda command: None,
            alive=lambda: True,
        )  # fmt: skip
        self.nodes = Nodes(node)
        self.nodes.source.poll()
        liveness = Liveness(self.nodes, seconds=0.1, restart_key="R")
        self.playback = Playback(
            self.nodes, liveness, lambda: self.now, times_sign="x", notify=self._notify,
            moved=self._called("moved"), changed=self._called("changed"), live=self._called("live"),
        )  # fmt: skip

    def _notify(self, message: str, *, severity: str = "information", timeout: float | None = None) -> None:
        self.told.append(message)

    def _called(self, name: str) -> Callable[[], None]:
        return lambda: self.calls.append(name)


def test_freezing_keeps_the_moment_and_live_goes_back() -> None:
    played = Played(recording=False)
    assert played.playback.now == played.now
    played.playback.toggle_freeze()
    frozen_at = played.now
    played.now += 5
    assert (played.playback.frozen, played.playback.now) == (True, frozen_at)
    played.playback.toggle_freeze()
    assert (played.playback.frozen, played.playback.now) == (False, played.now)
    assert played.calls == ["changed", "live"]


def test_steps_and_leaps_freeze_the_cursor() -> None:
    played = Played(recording=False)
    played.playback.step(-1)
    assert (played.nodes.source.cursor, played.playback.now) == (9, START + 9)
    played.playback.leap(-3)
    assert (played.nodes.source.cursor, played.playback.now) == (6, START + 6)
    played.playback.leap(0.5)
    assert (played.nodes.source.cursor, played.playback.now) == (6, START + 6.5)
    played.playback.step(-100)
    assert played.nodes.source.cursor == 1
    assert set(played.calls) == {"moved"}


def test_a_typed_moment_is_an_entry_a_time_or_live() -> None:
    played = Played(recording=False)
    played.playback.go_to_typed("#3")
    assert played.nodes.source.cursor == 3
    played.playback.go_to_typed("+2s")
    assert played.nodes.source.cursor == 5
    played.playback.go_to_typed("live")
    assert not played.playback.frozen
    with pytest.raises(ValueError, match="no such moment"):
        played.playback.go_to_typed("soon")


def test_a_recording_plays_to_its_end_by_the_clock() -> None:
    played = Played(recording=True)
    played.playback.toggle_play()
    assert (played.playback.speed, played.nodes.source.cursor) == (1, 1)
    played.now += 3
    played.playback.advance()
    assert (played.nodes.source.cursor, played.playback.now) == (4, START + 4)
    played.playback.set_speed(10)
    played.now += 10 * TICK_MAX
    played.playback.advance()
    assert played.playback.speed is None
    assert played.nodes.source.cursor == SECONDS
    assert played.calls[-1] == "live"


def test_playing_stops_at_a_step_and_when_another_node_is_shown() -> None:
    played = Played(recording=True)
    stops: list[Callable[[], None]] = [
        partial(played.playback.step, 1), played.playback.leave_node, played.playback.toggle_freeze,
    ]  # fmt: skip
    for stop in stops:
        played.playback.go_to(2)
        played.playback.toggle_play()
        assert played.playback.speed == 1
        stop()
        assert played.playback.speed is None


def test_there_is_nothing_to_play_after_the_newest_entry() -> None:
    played = Played(recording=False)
    played.playback.toggle_play()
    assert played.playback.speed is None
    assert played.told == ["freeze and go back first: there is nothing after this to play"]
    played.playback.next_speed()
    assert played.told[-1] == "plays 10x as fast"
