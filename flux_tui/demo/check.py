"""Plays scenarios without a screen: prints each step, and whether the stated outcome was observed."""

import time
from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

from flux_tui.demo.scenario import load
from flux_tui.demo.scenario_player import NotSeenError, Observed, Player
from flux_tui.demo.swarm_control import Swarm


class Told(NamedTuple):
    """What a check tells at one moment."""

    event: Literal["begun", "observed", "not_observed", "done"]
    scenario: str
    text: str
    """Lines for a person."""
    seconds: float | None = None
    """Since the scenario began, or since the step before."""


def check(names: Sequence[str], tell: Callable[[Told], None]) -> bool:
    """Play the named scenarios one after the other, and pass what is told to `tell`.

    Returns whether every scenario reached its outcome.
    """
    good = True
    for name in names:
        scenario = load(name)
        tell(Told("begun", name, f"{name}: {scenario.about}"))
        began = time.monotonic()

        def step(observed: Observed, name: str = name) -> None:
            conditions = f"\n      {'; '.join(observed.conditions)}" if observed.conditions else ""
            text = f"  ✓ {observed.text}  ({observed.seconds:.1f} s){conditions}"
            tell(Told("observed", name, text, observed.seconds))

        try:
            with Swarm(scenario) as swarm:
                Player(scenario, swarm, read=False).play(step)
        except NotSeenError as error:
            tell(Told("not_observed", name, f"  ✗ {error}"))
            good = False
        else:
            took = time.monotonic() - began
            tell(Told("done", name, f"  the stated outcome was observed, after {took:.1f} s", took))
    return good
