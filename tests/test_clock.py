"""The clocks of this machine, and nodes whose wall clocks are set."""

from collections.abc import Callable
from pathlib import Path

import pytest

from flux_tui.clock import SteadyClock, elapsed
from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.node import node as node_module
from flux_tui.node.node import FluxNode
from flux_tui.node.offline import add_offline
from flux_tui.testing.memory_network import Switchboard
from tests.support.nodes_here import LOOPBACK, series_of, share, until

HOUR = 3600.0
YEARS = 4 * 365 * 24 * HOUR


class Clocks:
    """A wall clock that is set, and a steady clock that the test moves."""

    def __init__(self) -> None:
        self.ahead = 1_000_000.0
        self.passed = 5.0

    def wall(self) -> float:
        return self.ahead + self.passed

    def elapsed(self) -> float:
        return self.passed

    def steady(self, not_before: float = 0.0) -> SteadyClock:
        return SteadyClock(not_before, wall=self.wall, elapsed=self.elapsed)


def test_steady_time_goes_on_with_any_wall_clock() -> None:
    clocks = Clocks()
    clock = clocks.steady()
    assert clock() == clock.wall() == 1_000_005.0
    assert clock.look() == 0.0
    clocks.ahead -= HOUR
    clocks.passed += 10.0
    assert clock() == 1_000_015.0
    assert clock.look() == -HOUR
    assert clock.look() == 0.0, "once"
    assert (clock(), clock.wall()) == (1_000_015.0, 1_000_015.0 - HOUR)
    clocks.ahead += HOUR + YEARS
    assert clock.look() == HOUR + YEARS
    assert clock() == 1_000_015.0
    clocks.ahead += 0.1
    assert clock.look() == 0.0, "a hair is no step"


def test_steady_time_does_not_begin_before_the_last_entry() -> None:
    clock = Clocks().steady(not_before=2_000_000.0)
    assert (clock(), clock.wall()) == (2_000_000.0, 1_000_005.0)


def test_a_process_suspended_between_two_clock_reads_sees_no_step() -> None:
    clocks = Clocks()
    stalls = iter([3.0, 2.0] + [0.0] * 10_000)

    def slow() -> float:
        clocks.passed += next(stalls)
        return clocks.wall()

    clock = SteadyClock(wall=slow, elapsed=clocks.elapsed)
    for _ in range(5):
        assert clock.look() == 0.0


def test_elapsed_never_goes_backwards() -> None:
    times = [elapsed() for _ in range(100)]
    assert times == sorted(times)


class Walls:
    """Nodes of one process, each with its own wall clock."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ahead: dict[str, float] = {}
        self.now = SteadyClock().wall
        self._next = ""
        monkeypatch.setattr(node_module, "SteadyClock", self._make)
        monkeypatch.setattr(node_module, "CLOCK_SECONDS", 0.02)

    def of(self, name: str, ahead: float = 0.0) -> None:
        """Let the next opened node use this clock."""
        self._next = name
        self.ahead.setdefault(name, ahead)

    def _make(self, not_before: float = 0.0) -> SteadyClock:
        name = self._next
        return SteadyClock(not_before, wall=lambda: self.now() + self.ahead[name])


@pytest.fixture
def walls(monkeypatch: pytest.MonkeyPatch) -> Walls:
    return Walls(monkeypatch)


def steps(node: FluxNode) -> list[float]:
    return [e.event.seconds for e in series_of(node) if isinstance(e.event, ev.ClockStepped)]


def get(node: FluxNode, holder: FluxNode, root: str, to: Path) -> Callable[[], bool]:
    node.push_intent(cmd.Get(root, str(to), None, None, holder.addrs, "me"))  # type: ignore[arg-type]
    return to.exists


@pytest.mark.parametrize("ahead", [HOUR, YEARS])
async def test_a_node_whose_clock_was_ahead_goes_on_in_this_life_and_the_next(
    tmp_path: Path, walls: Walls, ahead: float
) -> None:
    swarm = Switchboard()
    (tmp_path / "one").write_bytes(b"one")
    (tmp_path / "two").write_bytes(b"two" * 100_000)
    walls.of("right")
    async with FluxNode.open(tmp_path / "right", LOOPBACK, network=swarm.opening()) as right:
        walls.of("ahead", ahead)
        async with FluxNode.open(tmp_path / "ahead", LOOPBACK, network=swarm.opening()) as node:
            one = await share(node, tmp_path / "one")
            two = await share(right, tmp_path / "two")
            walls.ahead["ahead"] = 0.0
            await until(lambda: steps(node))
            await until(get(right, node, one, tmp_path / "got1"))
            await until(get(node, right, two, tmp_path / "got2"))
            state = node.derive_state()
            assert abs(state.at - walls.now()) < 60
        # The clock was ahead when the node died. The next run begins with the right clock.
        walls.ahead["ahead"] = 0.0
        walls.of("ahead")
        async with FluxNode.open(tmp_path / "ahead", LOOPBACK, network=swarm.opening()) as node:
            await until(get(right, node, one, tmp_path / "got3"))
    assert (tmp_path / "got3").read_bytes() == b"one"


async def test_a_clock_that_was_set_back_while_no_node_ran(tmp_path: Path, walls: Walls) -> None:
    swarm = Switchboard()
    walls.of("a", YEARS)
    async with FluxNode.open(tmp_path / "a", LOOPBACK, network=swarm.opening()) as node:
        await until(lambda: node.store.last_seq > 0)
    walls.ahead["a"] = 0.0
    (tmp_path / "one").write_bytes(b"one")
    add_offline(Home(tmp_path / "a"), tmp_path / "one", "me", lambda done, size: None, print)
    walls.of("a")
    async with FluxNode.open(tmp_path / "a", LOOPBACK, network=swarm.opening()) as node:
        await until(lambda: node.store.last_seq == node.derive_state().seq)
        assert steps(node) == [pytest.approx(-YEARS, abs=60)]
        assert abs(node.derive_state().at - walls.now()) < 60


@pytest.mark.parametrize("ahead", [240.0, 400.0, -400.0, YEARS])
async def test_nodes_whose_clocks_differ_by_any_amount_can_exchange(
    tmp_path: Path, walls: Walls, ahead: float
) -> None:
    swarm = Switchboard()
    (tmp_path / "one").write_bytes(b"one")
    walls.of("a")
    async with FluxNode.open(tmp_path / "a", LOOPBACK, network=swarm.opening()) as a:
        walls.of("b", ahead)
        async with FluxNode.open(tmp_path / "b", LOOPBACK, network=swarm.opening()) as b:
            one = await share(a, tmp_path / "one")
            await until(get(b, a, one, tmp_path / "got"))
