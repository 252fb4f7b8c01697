"""Wants that nobody can answer cost little, and are answered soon when somebody can."""

from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from tests.bench.growth_wants import CountedSwarm, dead, hours
from tests.sim.swarm import Content, SimNode, Swarm
from tests.support.swarms import share


def pause(swarm: Swarm, seconds: float) -> None:
    end = swarm.now + seconds
    swarm.after(seconds, lambda: None)
    swarm.run(lambda: swarm.now >= end, seconds=seconds + 1)


def test_a_thousand_dead_wants_cost_little_in_their_first_hours() -> None:
    for series, line in hours(1_000, 2):
        assert series < 2e6, "bytes in the series of four nodes in an hour"
        assert line < 20e3, "bytes a minute on the line"


def after_hours(wants: int) -> tuple[CountedSwarm, SimNode, list[SimNode], Content]:
    """Return a swarm in which one want of many could be answered, after three hours."""
    swarm = CountedSwarm(seed=4)
    asker, *peers = [swarm.node() for _ in range(4)]
    swarm.mesh([asker, *peers])
    content = Content(b"what comes later", 1024)
    asker.push(cmd.WantMany((*dead(wants), content.root)))
    pause(swarm, 3 * 3600)
    return swarm, asker, peers, content


def test_what_a_neighbour_gets_after_hours_is_fetched_at_once() -> None:
    swarm, asker, peers, content = after_hours(600)
    share(peers[1], content.data)
    assert swarm.run(lambda: content.root in asker.blocks, seconds=30) < 3


def test_a_newcomer_that_has_it_is_asked_soon() -> None:
    swarm, asker, _, content = after_hours(600)
    newcomer = swarm.node()
    newcomer.hold(content)
    swarm.link(newcomer.peer, asker.peer)
    assert swarm.run(lambda: content.root in asker.blocks, seconds=60) < 15


def test_an_announcement_that_was_lost_delays_it_by_hours_at_most() -> None:
    swarm, asker, peers, content = after_hours(200)
    peers[1].hold(content)  # and says nothing
    assert swarm.run(lambda: content.root in asker.blocks, seconds=20_000) < 4 * 3600


def test_a_neighbour_that_lacks_it_is_not_asked_again_and_again() -> None:
    swarm = CountedSwarm(seed=6)
    asker, peer = swarm.node(), swarm.node()
    swarm.mesh([asker, peer])
    asker.push(cmd.WantMany(dead(300)))
    pause(swarm, 3600)
    noes = [entry.event for entry in asker.series if isinstance(entry.event, ev.StatusNo)]
    assert sum(len(no.cids) for no in noes) == 300
    pushes = [entry.event for entry in asker.series if isinstance(entry.event, ev.PushedWant)]
    assert sum(peer.peer in push.peers for push in pushes) == 2, "two intents, once"
    assert len(pushes) > 8, "the swarm is asked"
