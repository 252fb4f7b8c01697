"""A simulated swarm that fetches, and functions that read it."""

import random

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, raw_cid
from tests.sim.swarm import Content, SimNode, Swarm

CHUNK = 1024


def file_of(chunks: int, seed: int = 1, *, last: int = 700) -> Content:
    return Content(random.Random(seed).randbytes((chunks - 1) * CHUNK + last), CHUNK, links=16)


def get(node: SimNode, content: Content) -> None:
    node.push(cmd.Get(root=content.root, path="/there"))


def has(node: SimNode, content: Content) -> bool:
    return content.root in node.finished


def checked(swarm: Swarm) -> Swarm:
    """Check every law every few steps. At each step, the tests would take quadratic time."""
    steps = 0

    def after_step() -> None:
        nonlocal steps
        steps += 1
        if steps % 50 == 0:
            for node in swarm.nodes.values():
                if node.alive:
                    node.check()

    swarm.after_step = after_step
    return swarm


def factor(node: SimNode) -> float:
    return node.state.duplicate_factor


def share(node: SimNode, data: bytes) -> Cid:
    """Share a file of one chunk."""
    cid = raw_cid(data)
    node.blocks[cid] = data
    node.feed(
        inp.Added(
            root=cid, name=f"{data.decode()}.txt", size=len(data), chunks=1, path=f"/{data.decode()}.txt",
            stored=0, stored_chunks=0, by=None,
        )
    )  # fmt: skip
    return cid
