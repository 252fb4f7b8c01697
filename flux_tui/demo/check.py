"""Plays scenarios without a screen: prints each step, and whether the stated outcome was observed."""

import time
from collections.abc import Callable, Sequence

from flux_tui.demo.scenario import load
from flux_tui.demo.scenario_player import NotSeenError, Observed, Player
from flux_tui.demo.swarm_control import Swarm


def check(names: Sequence[str], say: Callable[[str], None]) -> bool:
    """Play the named scenarios one after the other, and pass each line of output to `say`.

    Returns whether every scenario reached its outcome.
    """
    good = True
    for name in names:
        scenario = load(name)
        say(f"{name}: {scenario.about}")
        began = time.monotonic()

        def step(observed: Observed) -> None:
            say(f"  ✓ {observed.text}  ({observed.seconds:.1f} s)")
            if observed.conditions:
                say(f"      {'; '.join(observed.conditions)}")

        try:
            with Swarm(scenario) as swarm:
                Player(scenario, swarm, read=False).play(step)
        except NotSeenError as error:
            say(f"  ✗ {error}")
            good = False
        else:
            say(f"  the stated outcome was observed, after {time.monotonic() - began:.1f} s")
    return good
