"""The demo under the dashboard: the home of the watched node, with captions above the footer.

The first frame waits for nothing: a thread starts the nodes while it is painted. This process imports neither
libp2p nor trio.
"""

import threading
import time
from pathlib import Path

from flux_tui.demo.player import Lane, NotSeenError, Player, StoppedError
from flux_tui.demo.scenario import Scenario, reading_time
from flux_tui.demo.swarm import Member, Swarm
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.narrator import Caption
from flux_tui.ui.watching.watched_node import WatchedNode

BAR = 12
"""Columns of the bar of a lane."""
LEAVE_SECONDS = 2.0
"""Seconds after the reading time of the outcome, until a demo that ends by itself ends."""


class Story:
    """The captions of the player, as the narrator of the dashboard (`ui.watching.narrator.Narrator`)."""

    def __init__(self, player: Player, *, once: bool = False) -> None:
        self._player = player
        self._once = once
        """Whether the dashboard leaves when the outcome was shown long enough. Otherwise the person leaves."""
        self._over_since: float | None = None

    @property
    def caption(self) -> Caption:
        """The caption to show now."""
        telling, paused, back = self._player.shown()
        ends = False
        if telling.over and self._once:
            now = time.monotonic()
            self._over_since = self._over_since or now
            ends = now - self._over_since > LEAVE_SECONDS + reading_time(telling.text) / self._player.speed
        # one line: a small terminal has three lines for captions
        lanes = "   ".join(map(lane_text, telling.lanes))
        text = f"{telling.text}\n{lanes}" if lanes else telling.text
        return Caption(text, telling.step, telling.steps, paused, back, telling.look, telling.panel, ends)

    def move(self, by: int) -> None:
        """Go to the next caption, or back."""
        self._player.move(by)

    def toggle_pause(self) -> None:
        """Pause or resume the story."""
        self._player.toggle_pause()


def lane_text(lane: Lane) -> str:
    """Draw a lane."""
    filled = BAR * lane.done // lane.of if lane.of else 0
    return f"{'█' * filled}{'░' * (BAR - filled)} {lane.done:,}/{lane.of:,} {lane.label}"


def show(
    scenario: Scenario, *, speed: float = 1.0, once: bool = False, crash_log: Path | None = None
) -> str | None:
    """Play a scenario under the dashboard until the person leaves (`once`: until it is over).

    Returns why it failed, in a sentence, or None.
    """
    swarm = Swarm(scenario)
    player = Player(scenario, swarm, speed=speed)
    nodes = [watched_node(swarm, player, member) for member in swarm.members.values()]
    watched = next(node for node in nodes if node.title == scenario.watch)
    others = [node for node in nodes if node is not watched]
    app = Dashboard(watched, others=others, narrator=Story(player, once=once), crash_log=crash_log)
    # Only the thread waits for the nodes. It ends with this process.
    threading.Thread(target=_play, args=(player, swarm), daemon=True).start()
    try:
        app.run_in_terminal()
    finally:
        player.stop()
        swarm.close()
    return player.error or ("the dashboard failed" if app.return_code == 1 else None)


def _play(player: Player, swarm: Swarm) -> None:
    try:
        swarm.open()
        player.play()
    except (NotSeenError, StoppedError):
        pass  # the screen shows the first error; at the second, it is gone


def watched_node(swarm: Swarm, player: Player, member: Member) -> WatchedNode:
    """Return a node of the swarm as the dashboard watches it."""
    return WatchedNode(
        title=member.name,
        source=Source.of_file(member.home.database),
        push=member.home.push,
        alive=lambda: swarm.alive(member.name),
        restart=lambda: swarm.start(member.name),
        starting=lambda: member.starting,
        trouble=lambda: member.failed or player.error,
        names=swarm.names,
    )
