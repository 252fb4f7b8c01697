"""Hedges are cheap: a holder that is about to send a chunk is left to send it."""

import random

from tests.sim.swarm import Content, Swarm
from tests.support.swarms import get, has

MIB = 1 << 20
RATES = (0.3e6, 1e6, 3e6, 10e6, 30e6, 80e6)


def fetched(seed: int) -> tuple[float, int]:
    """Fetch a file from holders that come one after the other. Return the seconds, and the bytes in vain."""
    chance = random.Random(seed)
    swarm = Swarm(seed, latency=(0.005, 0.05))
    content = Content(chance.randbytes(chance.randint(3, 25) * MIB - 1000), MIB)
    rates = [chance.choice(RATES) for _ in range(chance.randint(2, 6))]
    holders = [swarm.node(rate=rate) for rate in rates]
    asker = swarm.node()
    for number, holder in enumerate(holders):
        holder.hold(content)
        joins = chance.uniform(0, 9) if number else 0.0
        swarm.after(joins, lambda peer=holder.peer: swarm.link(peer, asker.peer))  # type: ignore[misc]
    get(asker, content)
    seconds = swarm.run(lambda: has(asker, content), seconds=120)
    assert asker.finished[content.root] == content.data
    end = swarm.now + 10
    swarm.after(10.0, lambda: None)
    swarm.run(lambda: swarm.now >= end, seconds=20)
    return seconds, asker.state.wasted_bytes.get("hedged", 0)


def test_hedges_of_chunks_that_are_about_to_be_sent_are_rare() -> None:
    runs = [fetched(seed) for seed in range(40)]
    assert sum(hedged for _, hedged in runs) <= 5 * MIB, "10 if the progress of a chunk is no sign of life"
    assert sum(seconds for seconds, _ in runs) < 150
