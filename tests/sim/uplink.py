"""A line that a simulated node shares among all peers: as many bytes a second as it carries, whoever they are for."""

from collections import Counter, deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.net.connections.upload_turns import ASK_SECONDS, UploadTurns
from flux_tui.net.flux.push_stream import PROGRESS_SECONDS

if TYPE_CHECKING:
    from tests.sim.swarm import SimNode

PART_SECONDS = 0.1
"""Seconds of the line that one peer's stream gets in turn, as TCP shares a line among its connections."""


class _Stream:
    """A chunk that is being sent to one peer."""

    def __init__(self, cid: Cid, size: int) -> None:
        self.cid = cid
        self.left = size
        self.size = size
        self.began: float | None = None
        self.told = 0.0
        self.behind: list[Callable[[], None]] = []
        """Messages that wait behind the chunk: a frame is not interrupted."""


class Uplink:
    """The line of one node. `rate`: bytes/s."""

    def __init__(self, node: "SimNode", rate: float) -> None:
        self.node = node
        self.rate = rate
        self.carried = 0
        """Bytes of chunks so far."""
        self.turns = UploadTurns(lambda peer: self._sent.get(peer, 0))
        self._sent: Counter[PeerId] = Counter()
        """By peer: bytes of chunks so far."""
        self._waiting: dict[PeerId, Cid | None] = {}
        """Chunks that wait for their peer's turn; None: the chunk is chosen when the turn has come."""
        self.share: dict[PeerId, float] = {}
        """Bytes/s of the peers whose own lines are slower than this one."""
        self._streams: dict[PeerId, _Stream] = {}
        self._turns: deque[PeerId] = deque()
        self._running = False

    def is_sending(self, peer: PeerId) -> bool:
        """Whether a chunk is being sent to this peer."""
        return peer in self._streams

    def after(self, peer: PeerId, what: Callable[[], None]) -> None:
        """Do something when the chunk that is being sent to this peer has left."""
        self._streams[peer].behind.append(what)

    def send(self, peer: PeerId, cid: Cid | None) -> None:
        """Send a chunk when it is its turn. No other one is being sent to this peer.

        `cid` None: the chunk is chosen when the turn has come, as on a slow line.
        """
        self._waiting[peer] = cid
        self._ask(peer)

    def _ask(self, peer: PeerId) -> None:
        """Ask whether it is this peer's turn."""
        if peer not in self._waiting:
            return
        cid = self._waiting[peer]
        swarm = self.node.swarm
        chosen = self.node.next_on_uplink(peer) if cid is None else cid
        if chosen is None or not self.node.machine.is_granted(peer, chosen):
            del self._waiting[peer]
            self.turns.leave(peer)
            self.node.not_sent(peer)
        elif self.turns.begin(peer, swarm.now, partial(swarm.after, 0.0, partial(self._ask, peer))):
            del self._waiting[peer]
            self._begin(peer, chosen)
        else:
            swarm.after(ASK_SECONDS, partial(self._ask, peer))

    def _begin(self, peer: PeerId, cid: Cid) -> None:
        self._streams[peer] = _Stream(cid, len(self.node.blocks[cid]))
        self._turns.append(peer)
        self.node.feed(inp.ChunksLeaving(peer=peer, cids=(cid,)))
        if not self._running:
            self._running = True
            self._step()

    def _next(self, peer: PeerId, part: int) -> None:
        """Let a stream use the line again, when its peer's own line has taken its last part."""
        pause = part / self.share[peer] - part / self.rate if peer in self.share else 0.0

        def ready() -> None:
            self._turns.append(peer)
            if not self._running:
                self._running = True
                self._step()

        if pause > 0:
            self.node.swarm.after(pause, ready)
        else:
            self._turns.append(peer)

    def _step(self) -> None:
        """Let the next stream use the line for a moment."""
        if not self._turns:
            self._running = False
            return
        peer = self._turns.popleft()
        stream, node = self._streams[peer], self.node
        part = min(stream.left, max(int(self.rate * PART_SECONDS), 1))
        now = node.swarm.now
        if stream.began is None:
            stream.began = stream.told = now

        def carried() -> None:
            stream.left -= part
            self.carried += part
            self._sent[peer] += part
            now = node.swarm.now
            if peer not in node.linked:
                del self._streams[peer]
                self.turns.end(peer, now)
            elif stream.left:
                self._next(peer, part)
                if now - stream.told >= PROGRESS_SECONDS and stream.began is not None:
                    stream.told = now
                    node.swarm.deliver_part(
                        node, peer, stream.cid, stream.size - stream.left, now - stream.began
                    )
            else:
                del self._streams[peer]
                self.turns.end(peer, now)
                node.sent_on_uplink(peer, stream.cid)
                for what in stream.behind:
                    what()
            self._step()

        node.swarm.after(part / self.rate, carried)
