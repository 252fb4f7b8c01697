"""A simulated run is the same whatever Python's hashes are: nothing goes by the order of a set."""

import os
import subprocess
import sys

RUN = """
import random
from functools import partial
from hashlib import sha256
from flux_tui.core.api import commands as cmd
from tests.sim.swarm import Content, Swarm

swarm = Swarm(31, latency=(0.002, 0.08), loss=0.02)
nodes = [swarm.node(rate=4e5) for _ in range(16)]
content = Content(random.Random(1).randbytes(60_000), 1024, links=16)
for holder in nodes[:2]:
    holder.hold(content)
for index, node in enumerate(nodes):
    for step in (1, 2, 5):
        swarm.link(node.peer, nodes[(index + step) % 16].peer)
for index, node in enumerate(nodes[2:]):
    swarm.after(0.01 * index, partial(node.push, cmd.Get(content.root, "/there")))
swarm.after(0.2, lambda: swarm.partition(nodes[:6], 2.0))
swarm.after(0.3, nodes[9].kill)
asking = [node for node in nodes[2:] if node is not nodes[9]]
swarm.run(lambda: all(node.finished for node in asking))
digest = sha256()
for node in nodes:
    for entry in node.series:
        digest.update(repr(entry).encode())
print(digest.hexdigest())
"""


def run(hash_seed: str) -> str:
    env = os.environ | {"PYTHONHASHSEED": hash_seed}
    done = subprocess.run([sys.executable, "-c", RUN], env=env, capture_output=True, text=True, check=True)
    return done.stdout


def test_hashes_of_strings_decide_nothing() -> None:
    first = run("1")
    assert first
    assert {run(seed) for seed in ("2", "3")} == {first}
