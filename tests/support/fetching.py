"""A requester in a simulated swarm."""

from typing import Any

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.commands import Get
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.wire import messages as msg
from tests.support.script import Script, up

LEAF = 1 << 20


def tree(leaves: int) -> tuple[Cid, bytes, list[Cid]]:
    """Return a file of so many chunks: its root, the block of the root, its leaves."""
    builder = FileBuilder()
    cids = [raw_cid(b"leaf %d" % number) for number in range(leaves)]
    for cid in cids:
        assert not list(builder.add_leaf(cid, LEAF))
    root = builder.finish()
    return root.cid, root.blocks[-1].data, cids


class Fetching(Script):
    """A machine that has the root of a file, and holders that said yes."""

    def __init__(self, leaves: int, *holders: PeerId) -> None:
        super().__init__()
        self.root, block, self.leaves = tree(leaves)
        self.block = block
        self.granted: dict[PeerId, list[Cid]] = {}
        self.give(inp.Commanded(Get(self.root, "/there", size=leaves * LEAF)))
        for peer in holders:
            self.give(up(peer))
            self.offer(peer)
        (first,) = self.granted.values()
        assert first == [self.root]
        teller = next(iter(self.granted))
        self.granted.clear()
        self.held[self.root] = len(block)
        self.give(inp.ChunkLanded(teller, self.root, len(block), block))
        self.give(inp.Placed(self.root, (), tuple(self.leaves)))

    def offer(self, peer: PeerId) -> None:
        self.give(inp.MessageCame(peer, msg.StatusYesButLater(cids=(self.root,), eta=0, queue_bytes=0)))

    def give(self, given: inp.Input, after: float = 0.0) -> tuple[list[Any], list[Any]]:
        events, effects = super().give(given, after)
        for effect in effects:
            if isinstance(effect, fx.Push) and isinstance(effect.message, msg.Grant):
                self.granted.setdefault(effect.peer, []).extend(effect.message.cids)
        return events, effects

    def land(self, peer: PeerId, cid: Cid, after: float = 0.0) -> tuple[list[Any], list[Any]]:
        self.held[cid] = LEAF
        return self.give(inp.ChunkLanded(peer, cid, LEAF), after)

    def wait(self, seconds: float) -> list[Any]:
        """Let time pass, with every tick that the machine asks for."""
        end, events = self.now + seconds, []
        while (at := self.machine.next_deadline()) <= end:
            events += self.give(inp.Tick(), max(0.0, at - self.now))[0]
        self.now = end
        return events

    def restart_with_what_is_here(self) -> None:
        """Kill and restart the machine: the object is planned and placed again."""
        self.restart()
        self.give(inp.NodeRead(self.root, self.root, self.block))
        here = tuple(cid for cid in self.leaves if cid in self.held)
        self.give(inp.Placed(self.root, here, tuple(cid for cid in self.leaves if cid not in self.held)))
