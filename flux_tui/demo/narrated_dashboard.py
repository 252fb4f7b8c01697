"""Shows a demo in the dashboard: the home of the watched node, with captions above the footer.

The first screen appears at once: a thread starts the nodes meanwhile. This process imports neither libp2p nor trio.
"""

import threading
import time
from pathlib import Path

from flux_tui.demo.scenario import Scenario, reading_time
from flux_tui.demo.scenario_player import Lane, NotSeenError, Player, StoppedError
from flux_tui.demo.swarm_control import Member, NodesProcess, Swarm
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.captions import Caption, Pointer
from flux_tui.ui.watching.watched_node import WatchedNode

BAR = 12
"""Columns of the bar of a lane."""
LEAVE_SECONDS = 2.0
"""Seconds after the reading time of the outcome, until a demo that ends by itself ends."""


class Story:
    """Gives the player's captions to the dashboard. It implements `ui.watching.narrator.Narrator`."""

    def __init__(self, player: Player, *, once: bool = False, menu: bool = False) -> None:
        self._player = player
        self._once = once
        """Whether the dashboard leaves when the outcome was shown long enough. Otherwise the person leaves."""
        self._menu = menu
        """Whether a menu follows."""
        self._left = False
        """Whether the person leaves for the menu."""
        self._over_since: float | None = None

    @property
    def caption(self) -> Caption:
        """The caption that the dashboard shows now."""
        state, paused, back = self._player.shown()
        ends = self._left
        if state.over and self._once:
            now = time.monotonic()
            self._over_since = self._over_since or now
            ends = now - self._over_since > LEAVE_SECONDS + reading_time(state.text) / self._player.speed
        # one line: a small terminal has three lines for captions
        below = state.starting or "   ".join(map(lane_text, state.lanes))
        press = state.press or ("back to the menu" if state.over and self._menu else "")
        look = state.look
        return Caption(
            f"{state.text}\n{below}" if below else state.text,
            state.step,
            state.steps,
            paused,
            back,
            state.node,
            look.panel,
            ends,
            Pointer(look.select, look.about, look.picture, look.filter, look.from_start),
            "" if back else press,
            state.inspects,
        )

    def move(self, by: int) -> None:
        """Go forward (1) or back (-1) by one caption."""
        self._player.move(by)

    def press(self) -> None:
        """Act on the enter key: do what the caption offers. After the outcome: leave for the menu, if there is one."""
        if self._player.state.over:
            self._left = self._menu
        else:
            self._player.press()

    def toggle_pause(self) -> None:
        """Pause or resume the demo."""
        self._player.toggle_pause()


def lane_text(lane: Lane) -> str:
    """Draw a progress bar as text, with its numbers and label."""
    filled = BAR * lane.done // lane.of if lane.of else 0
    return f"{'█' * filled}{'░' * (BAR - filled)} {lane.done:,}/{lane.of:,} {lane.label}"


def show(
    scenario: Scenario,
    *,
    speed: float = 1.0,
    once: bool = False,
    auto: bool = False,
    menu: bool = False,
    nodes: NodesProcess | None = None,
    crash_log: Path | None = None,
) -> str | None:
    """Play a scenario in the dashboard until the person leaves. `once`: only until the scenario is over.

    `auto`: do not wait for keys. `menu`: the person returns to a menu afterwards. `nodes`: the process that is to run
    the nodes, and runs none yet; None: make one. `crash_log`: where errors are written. Returns why the demo failed,
    in a sentence; None: it did not fail.
    """
    swarm = Swarm(scenario, nodes)
    player = Player(scenario, swarm, speed=speed, auto=auto or once)
    all_nodes = [watched_node(swarm, player, member) for member in swarm.members.values()]
    watched = next(node for node in all_nodes if node.title == scenario.watch)
    others = [node for node in all_nodes if node is not watched]
    story = Story(player, once=once or (menu and auto), menu=menu)
    app = Dashboard(watched, others=others, narrator=story, crash_log=crash_log)
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
        pass  # NotSeenError: the screen shows it; StoppedError: the screen is closed


def watched_node(swarm: Swarm, player: Player, member: Member) -> WatchedNode:
    """Return a node of the swarm in the form in which the dashboard watches nodes."""
    return WatchedNode(
        title=member.name,
        source=Source.of_file(member.home.database),
        index=member.home.database,
        push=member.home.push,
        alive=lambda: swarm.alive(member.name),
        restart=lambda: swarm.start(member.name),
        starting=lambda: member.starting,
        trouble=lambda: member.failed or player.error,
        names=swarm.names,
    )
