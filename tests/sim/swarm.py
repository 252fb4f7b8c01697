"""Nodes in virtual time: the machine is real; network, disk and clock are simulated.

A run is repeatable: one seed decides latencies, losses and jitter. Every event is kept. So a test can check
at any step whether the state of a node equals the fold of its series.
"""

import heapq
import random
from collections import Counter
from collections.abc import Callable, Iterable
from functools import partial
from hashlib import sha256
from heapq import nsmallest
from itertools import count
from typing import Any

import msgspec

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.commands import Command
from flux_tui.core.api.effects import Effect
from flux_tui.core.api.inputs import Input
from flux_tui.core.content.nodes import FileNode
from flux_tui.core.content.unixfs_trees import FileBuilder, decode_node
from flux_tui.core.ids import Cid, PeerId, is_leaf, matches, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.machine_recording import Recorder
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.state import State
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.exchange import OpenedRecord
from flux_tui.net.flux.push_stream import PROGRESS_SECONDS
from flux_tui.net.port import CLOSEST, MAX_FANOUT, WIDTH
from flux_tui.store.index.replica_removal import made_of
from tests.sim.uplink import Uplink

START = 1_700_000_000.0


def peer_name(number: int) -> PeerId:
    """Return a plausible peer id, with the real alphabet and length."""
    digits = "".join("ABCDEFGHJK"[int(digit)] for digit in f"{number:06d}")
    return PeerId(f"12D3KooW{'x' * 38}{digits}")


class Content:
    """A file as blocks, made for a test."""

    def __init__(self, data: bytes, chunk: int, links: int = 1024) -> None:
        self.data = data
        self.blocks: dict[Cid, bytes] = {}
        builder = FileBuilder(chunk_size=chunk, max_links=links)
        inner = []
        for start in range(0, max(len(data), 1), chunk):
            leaf = data[start : start + chunk]
            cid = raw_cid(leaf)
            self.blocks[cid] = leaf
            inner += builder.add_leaf(cid, len(leaf))
        root = builder.finish()
        for block in (*inner, *root.blocks):
            self.blocks[block.cid] = block.data
        self.root = root.cid


class SimNode:
    """A node. `rate` is its uplink in bytes/s, per peer; inf: chunks are sent at once."""

    def __init__(
        self, swarm: "Swarm", peer: PeerId, *, rate: float, max_pending: int = 1000, **policy: Any
    ) -> None:
        self.swarm = swarm
        self.peer = peer
        self._number = len(swarm.nodes) + 1
        self.rate = rate
        self.max_pending = max_pending
        self.policy = policy
        self.blocks: dict[Cid, bytes] = {}
        self.files: dict[tuple[Cid, str], bytearray] = {}
        self.places: dict[Cid, list[tuple[Cid, str, int]]] = {}
        self.finished: dict[Cid, bytes] = {}
        self.held: dict[Cid, bool] = {}
        """Trees, and whether they are kept for others."""
        self.provided: dict[Cid, None] = {}
        """Roots that it provides in the DHT."""
        self.series: list[Entry] = []
        self.alive = False
        self.frozen = False
        self.corrupts = False
        """Whether it sends wrong bytes."""
        self.min_peers = 0
        """Peers that it tries to be connected to, from its next start on."""
        self.hidden = False
        """Whether nobody can dial it, except at its relayed address."""
        self.silent = False
        """Whether it says yes and never sends."""
        self.vague = False
        """Whether it says yes, and NO without a time to every grant."""
        self.uplink: Uplink | None = None
        """The line that it shares among all peers; None: each peer is sent to at `rate`."""
        self.downlink = float("inf")
        """Bytes/s that it accepts from all peers together."""
        self._down_at = 0.0
        self.linked: dict[PeerId, None] = {}
        """In the order that they came: a set's order would differ from run to run."""
        self.life = 0
        self._taken: dict[PeerId, int] = {}
        """By peer: the number of the chunk that was taken last from its upload queue."""
        self._through: dict[PeerId, int] = {}
        """By peer: the number of the last chunk that may be sent."""
        self._sending: set[PeerId] = set()
        self._timer = float("inf")
        self._inbox: list[Callable[[], None]] = []
        """Inputs that came while it was frozen."""

    @property
    def addr(self) -> str:
        """Where it can be dialled."""
        return f"/ip4/9.0.{self._number >> 8}.{self._number & 255}/tcp/4001/p2p/{self.peer}"

    def size_of(self, cid: Cid) -> int | None:
        """Return the size of a chunk: the machine's view of the store."""
        block = self.blocks.get(cid)
        return None if block is None else len(block)

    def hold(self, content: Content) -> None:
        """Give this node all blocks of a file."""
        self.blocks.update(content.blocks)

    def start(self) -> None:
        """Start, from the series of the last run if there was one."""
        self.alive, self.frozen = True, False
        self.life += 1
        self.provided = {}
        chance = random.Random(f"{self.swarm.seed}-{self.peer}-{self.life}")
        state = derive(self.series) if self.series else State()
        make = Machine if self.swarm.recorder is None else self.swarm.recorder.machine
        self.machine = make(
            self.peer, state, self, chance.random, max_pending=self.max_pending, policy=Policy(**self.policy)
        )
        starting = inp.NodeStarting((self.addr,), "sim", self.swarm.now, self.min_peers)
        self._take(*self.machine.handle(starting, self.swarm.now))

    def kill(self) -> None:
        """Kill the node silently. The series and the blocks stay."""
        self.alive = False
        self._inbox.clear()
        self._taken.clear()
        self._through.clear()
        self._sending.clear()
        for peer in list(self.linked):
            self.swarm.unlink(self.peer, peer)

    def push(self, command: Command) -> None:
        """Push a command, as a person does."""
        self.feed(inp.Commanded(command))

    def feed(self, given: Input) -> None:
        """Feed an input, if the node runs. A frozen node gets all of them in order when it thaws."""
        if not self.alive:
            return
        if not self._put_off(partial(self.feed, given)):
            self._take(*self.machine.handle(given, self.swarm.now))

    def _put_off(self, what: Callable[[], None]) -> bool:
        """Return whether a frozen node does this only when it thaws."""
        if not (self.frozen or self._inbox):
            return False
        self._inbox.append(what)
        if len(self._inbox) == 1:
            self._thaw(self.life)
        return True

    def _thaw(self, life: int) -> None:
        if self.life != life or not self.alive:
            return
        if self.frozen:
            self.swarm.after(0.05, lambda: self._thaw(life))
            return
        inbox, self._inbox = self._inbox, []
        for what in inbox:
            what()

    @property
    def state(self) -> State:
        return self.machine.state

    def check(self) -> None:
        """Check the laws that hold after every step."""
        assert self.state == derive(self.series)
        live: set[Cid] = set()
        for entry in self.series:
            if isinstance(entry.event, ev.ReplicaEvicted):
                live.clear()  # a removed chunk may come again
            elif isinstance(entry.event, ev.ChunkReceived):
                assert entry.event.cid not in live, "a chunk was counted twice"
                live.add(entry.event.cid)
        assert self.state.kept_bytes <= self.state.policy.quota, "more is kept for others than the quota"
        for cid in self.machine.requester.wanted:
            assert cid not in self.blocks, "a block that is here is still wanted"
        for root in self.provided:
            assert not self.state.objects[root].broken, "what is not whole is provided"

    def _take(self, entries: Iterable[Entry], effects: Iterable[Effect]) -> None:
        self.series.extend(entries)
        self.swarm.touched.add(self.peer)
        for effect in effects:
            self._run(effect)
        self._schedule()

    def _schedule(self) -> None:
        deadline = self.machine.next_deadline()
        if deadline == self._timer or deadline == float("inf"):
            return
        self._timer = deadline
        life = self.life

        def ring() -> None:
            if self._timer == deadline and self.life == life:
                self._timer = float("inf")
                self.feed(inp.Tick())

        self.swarm.after(max(0.0, deadline - self.swarm.now), ring)

    def _later(self, given: Input) -> None:
        life = self.life
        self.swarm.after(0.0, lambda: self.feed(given) if self.life == life else None)

    def _run(self, effect: Effect) -> None:
        match effect:
            case fx.Push():
                self.swarm.deliver(self, effect.peer, effect.message)
            case fx.Broadcast():
                self.swarm.broadcast(self, effect)
            case fx.Forward():
                self.swarm.forward(self, effect)
            case fx.TellRecords():
                records = tuple(map(_opened, effect.records))
                own = (self.swarm.record_of(self),) if effect.own else ()
                for peer in effect.peers:
                    self.swarm.tell(self, peer, inp.RecordsCame(self.peer, (*own, *records), Reach.PUBLIC))
            case fx.Introduce():
                record = _opened(effect.record) if effect.record else self.swarm.record_of(self)
                came = inp.IntroductionCame(self.peer, effect.to, record, effect.steps, Reach.PUBLIC)
                self.swarm.tell(self, effect.via, came)
            case fx.Provide():
                self.swarm.provide(self, effect.roots)
                self.provided |= dict.fromkeys(effect.roots)
            case fx.Withdraw():
                for root in effect.roots:
                    del self.provided[root]
            case fx.Serve() if self.silent:
                pass
            case fx.Serve():
                self._through[effect.peer] = effect.through
                if self.vague:
                    self._say_busy(effect.peer)
                else:
                    self._pump(effect.peer)
            case fx.Dial():
                self.swarm.dial(self.peer, (effect.addr, *effect.more))
            case fx.Disconnect():
                self.swarm.unlink(self.peer, effect.peer)
            case fx.ReadNode():
                self._later(inp.NodeRead(effect.root, effect.cid, self.blocks.get(effect.cid)))
            case fx.Place():
                self._place(effect)
            case fx.FinishTree():
                file = self.files.get((effect.root, ""))
                self.finished[effect.root] = bytes(file) if file is not None else self._joined(effect.root)
                where = f"/held/{effect.root}" if self.held.get(effect.root) else "/there"
                self._later(inp.Finished(root=effect.root, path=where))
            case fx.Evict():
                self._evict(effect)
            case fx.OpenTree():
                self.held[effect.root] = effect.held
            case fx.Discard():
                self._later(inp.Discarded(root=effect.root, chunks=0, size=0))
            case fx.Free():
                self._free(effect)
            case fx.DropTree() | fx.AddPath() | fx.StopNode() | fx.Claim() | fx.StopAdd() | fx.EndAdd():
                pass

    def _place(self, place: fx.Place) -> None:
        present: list[Cid] = []
        missing: list[Cid] = []
        for plan in place.files:
            file = self.files.setdefault((place.root, plan.rel), bytearray())
            for leaf in plan.leaves:
                self.places.setdefault(leaf.cid, []).append((place.root, plan.rel, leaf.offset))
                held = self.blocks.get(leaf.cid)
                (missing if held is None else present).append(leaf.cid)
                if held is not None:
                    _write(file, leaf.offset, held)
        for leaf in place.blocks:
            (missing if leaf.cid not in self.blocks else present).append(leaf.cid)
        self._later(inp.Placed(root=place.root, present=tuple(present), missing=tuple(missing)))

    def _joined(self, root: Cid) -> bytes:
        """Return the content of a replica, which has no file."""
        if is_leaf(root):
            return self.blocks[root]
        node = decode_node(root, self.blocks[root])
        assert isinstance(node, FileNode)
        return b"".join(self._joined(child) for child, _, _ in node.children)

    def _evict(self, effect: fx.Evict) -> None:
        """Evict as the store does: chunks that no other object has go."""
        stay = {cid for other in effect.others for cid in made_of(self.blocks.get, other)}
        made = dict.fromkeys(made_of(self.blocks.get, effect.root))
        gone = [cid for cid in made if cid not in stay and cid in self.blocks]
        size = sum(len(self.blocks.pop(cid)) for cid in gone)
        self.finished.pop(effect.root, None) if self.held.get(effect.root) else None
        self._later(inp.Evicted(root=effect.root, chunks=len(gone), size=size))

    def _free(self, effect: fx.Free) -> None:
        """Free as the store does."""
        stay = {cid for other in effect.others for cid in made_of(self.blocks.get, other)}
        made = dict.fromkeys(made_of(self.blocks.get, effect.root))
        gone = [cid for cid in made if cid not in stay and cid in self.blocks]
        size = sum(len(self.blocks.pop(cid)) for cid in gone)
        self.finished.pop(effect.root, None)
        self._later(inp.Freed(root=effect.root, cids=tuple(gone), chunks=len(gone), size=size))

    def next_on_uplink(self, peer: PeerId) -> Cid | None:
        """Return the next chunk for a peer, whose turn on the slow line has come."""
        found = self.machine.next_chunks(
            peer, after=0, through=self._through.get(peer, 0), max_bytes=0, max_chunks=1, spread=True
        )
        return found[0].cid if found else None

    def _next(self, peer: PeerId) -> Cid | None:
        """Take the next chunk out of the upload queue of a peer."""
        found = self.machine.next_chunks(
            peer,
            after=self._taken.get(peer, 0),
            through=self._through.get(peer, 0),
            max_bytes=0,
            max_chunks=1,
        )
        if not found:
            return None
        self._taken[peer] = found[0].number
        return found[0].cid

    def _say_busy(self, peer: PeerId) -> None:
        """Refuse everything that the peer granted."""
        cids = []
        while (cid := self._next(peer)) is not None:
            cids.append(cid)
        self.swarm.deliver(self, peer, msg.StatusNo(cids=tuple(cids), reason="busy", has_it=True))
        self._later(inp.ChunksWritten(peer=peer, cids=tuple(cids), size=0))

    def _pump(self, peer: PeerId) -> None:
        """Send the next chunk of the queue of a peer, as fast as the uplink is."""
        if peer in self._sending or peer not in self.linked:
            return
        if self.uplink is not None and self.uplink.turns.takes_turns(peer):
            if self.next_on_uplink(peer) is not None:
                self._sending.add(peer)
                self.uplink.send(peer, None)
            return
        if (cid := self._next(peer)) is None:
            return
        self._sending.add(peer)
        if self.uplink is not None:
            self.uplink.send(peer, cid)
            return
        life = self.life

        def sent() -> None:
            if self.life != life or not self.alive:
                return
            if self.frozen:
                self.swarm.after(0.05, sent)
                return
            self._sending.discard(peer)
            if (data := self.blocks.get(cid)) is not None:
                wrong = bytes([data[0] ^ 1]) + data[1:] if self.corrupts else data
                self.swarm.deliver_chunk(self, peer, cid, wrong)
                self.feed(inp.ChunksWritten(peer=peer, cids=(cid,), size=len(data)))
            self._pump(peer)

        began, seconds = self.swarm.now, len(self.blocks.get(cid, b"")) / self.rate

        def part() -> None:
            passed = self.swarm.now - began
            if self.life == life and self.alive and peer in self.linked and passed < seconds:
                if not self.frozen:
                    self.swarm.deliver_part(self, peer, cid, int(passed * self.rate), passed)
                self.swarm.after(PROGRESS_SECONDS, part)

        self.feed(inp.ChunksLeaving(peer=peer, cids=(cid,)))
        self.swarm.after(seconds, sent)
        if seconds > PROGRESS_SECONDS:
            self.swarm.after(PROGRESS_SECONDS, part)

    def sent_on_uplink(self, peer: PeerId, cid: Cid) -> None:
        """A chunk has left by the shared line: send the next one."""
        self._sending.discard(peer)
        self.swarm.deliver_chunk(self, peer, cid, self.blocks[cid])
        self.feed(inp.ChunksWritten(peer=peer, cids=(cid,), size=len(self.blocks[cid])))
        self._pump(peer)

    def not_sent(self, peer: PeerId) -> None:
        """A chunk was cancelled before it left: send the next one."""
        self._sending.discard(peer)
        self._pump(peer)

    def take_part(self, peer: PeerId, cid: Cid, received: int, seconds: float) -> None:
        """Receive a part of a chunk from the stream."""
        if self.alive and self.machine.accepts(peer, cid):
            self.feed(inp.ChunkComing(peer, cid, received, seconds))

    def take_chunk(self, peer: PeerId, cid: Cid, data: bytes) -> None:
        """Receive a chunk from the stream."""
        if not self.alive:
            return
        if self._put_off(partial(self.take_chunk, peer, cid, data)):
            return
        if not self.machine.accepts(peer, cid):
            self.feed(inp.ChunkSkipped(peer=peer, cid=cid, size=len(data)))
        elif not matches(cid, data):
            self.feed(inp.ChunkCorrupt(peer=peer, cid=cid, size=len(data)))
        else:
            self.blocks[cid] = data
            for root, rel, offset in self.places.get(cid, ()):
                _write(self.files[root, rel], offset, data)
            self.feed(inp.ChunkLanded(peer, cid, len(data), None if is_leaf(cid) else data))


class Swarm:
    """The simulated world: virtual time, links, chance."""

    def __init__(
        self,
        seed: int,
        *,
        latency: tuple[float, float] = (0.005, 0.02),
        loss: float = 0.0,
        dht: bool = False,
        recorder: Recorder | None = None,
    ) -> None:
        self.seed = seed
        self.now = START
        self.chance = random.Random(seed)
        self.latency = latency
        self.loss = loss
        """The share of control messages that vanish. (Streams do not lose messages, but queues drop them.)"""
        self.dht = dht
        self.passes_gossip_on = False
        """Whether gossip reaches more than neighbours."""
        self.recorder = recorder
        """Records every run of every node."""
        """Whether there is a DHT. Then every node knows all others, as after a long time."""
        self.records: dict[PeerId, dict[Cid, dict[PeerId, None]]] = {}
        """Provider records that nodes keep for the swarm."""
        self.carried: Counter[str] = Counter()
        """Copies of intents that crossed a link: by direct push, by gossip, by routing."""
        self.nodes: dict[PeerId, SimNode] = {}
        self.after_step: Callable[[], None] = lambda: None
        self.touched: set[PeerId] = set()
        """Nodes touched by the last step, for a check after it. The check empties this."""
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()
        self._arrival: dict[tuple[PeerId, PeerId], float] = {}
        self._nonce = count()
        self.relayed: dict[PeerId, str] = {}
        """Addresses of hidden nodes at relays."""

    def node(self, *, rate: float = float("inf"), uplink: float = 0.0, **policy: Any) -> SimNode:
        """Return a new node that runs without links. `uplink`: bytes/s to all peers together; 0: no limit."""
        node = SimNode(self, peer_name(len(self.nodes) + 1), rate=rate, **policy)
        node.uplink = Uplink(node, uplink) if uplink else None
        self.nodes[node.peer] = node
        node.start()
        if self.dht:
            others = [other for other in self.nodes.values() if other is not node]
            node.feed(inp.RoutingChanged(came=tuple(other.peer for other in others)))
            for other in others:
                other.feed(inp.RoutingChanged(came=(node.peer,)))
        return node

    def dial(self, a: PeerId, addrs: Iterable[str]) -> None:
        """Connect a node with another one, unless that one cannot be dialled at any of these addresses."""
        for addr in addrs:
            b = PeerId(addr.rpartition("/p2p/")[2])
            there = self.nodes.get(b)
            if there is not None and addr == (self.relayed.get(b) if there.hidden else there.addr):
                self.link(a, b)

    def record_of(self, node: SimNode) -> OpenedRecord:
        """Return the signed record of a node."""
        seq = next(self._nonce)
        addrs = (self.relayed[node.peer],) if node.hidden and node.peer in self.relayed else (node.addr,)
        return OpenedRecord(node.peer, addrs, seq, msgspec.json.encode((node.peer, addrs, seq)))

    def tell(self, sender: SimNode, to: PeerId, given: Input) -> None:
        """Hand what a node tells of peers to a neighbour."""
        if to in sender.linked and self.chance.random() >= self.loss:
            self._in_order(sender.peer, to, lambda: self.nodes[to].feed(given))

    def link(self, a: PeerId, b: PeerId) -> None:
        """Connect two nodes, if both run."""
        one, other = self.nodes[a], self.nodes[b]
        if not (one.alive and other.alive) or b in one.linked:
            return
        one.linked[b] = None
        other.linked[a] = None
        one.feed(inp.PeerUp(peer=b, addr=other.addr))
        other.feed(inp.PeerUp(peer=a, addr=f"/ip4/9.9.9.9/tcp/50000/p2p/{a}"))

    def unlink(self, a: PeerId, b: PeerId) -> None:
        """Cut a link. Both sides notice."""
        for me, peer in ((a, b), (b, a)):
            node = self.nodes[me]
            if peer in node.linked:
                del node.linked[peer]
                node._taken.pop(peer, None)
                node._through.pop(peer, None)
                node._sending.discard(peer)
                node.feed(inp.PeerDown(peer=peer, why="the link was cut"))

    def partition(self, some: Iterable[SimNode], seconds: float) -> None:
        """Cut these nodes off from all others. Later, the cut links are restored."""
        inside = dict.fromkeys(node.peer for node in some)
        cut = [(a, b) for a in inside for b in self.nodes[a].linked if b not in inside]
        for a, b in cut:
            self.unlink(a, b)

        def heal() -> None:
            for a, b in cut:
                self.link(a, b)

        self.after(seconds, heal)

    def mesh(self, nodes: Iterable[SimNode]) -> None:
        """Connect every node with every other."""
        everyone = list(nodes)
        for index, one in enumerate(everyone):
            for other in everyone[index + 1 :]:
                self.link(one.peer, other.peer)

    def after(self, seconds: float, what: Callable[[], None]) -> None:
        """Schedule an action."""
        heapq.heappush(self._queue, (self.now + seconds, next(self._order), what))

    def deliver(self, sender: SimNode, to: PeerId, message: msg.Message) -> None:
        """Deliver a direct message, in order with earlier ones on that link."""
        if to not in sender.linked:
            sender._later(inp.PushDropped(peer=to, message=message))
        elif sender.uplink is not None and sender.uplink.is_sending(to):
            sender.uplink.after(to, lambda: self.deliver(sender, to, message))  # behind the chunk
        elif self.chance.random() >= self.loss:
            self._in_order(sender.peer, to, lambda: self._arrive(sender.peer, to, message))

    def deliver_chunk(self, sender: SimNode, to: PeerId, cid: Cid, data: bytes) -> None:
        """Deliver a chunk, in order with earlier messages on that link."""
        if to in sender.linked:
            node = self.nodes[to]
            node._down_at = max(node._down_at, self.now) + len(data) / node.downlink
            self._in_order(
                sender.peer, to, lambda: node.take_chunk(sender.peer, cid, data), not_before=node._down_at
            )

    def deliver_part(self, sender: SimNode, to: PeerId, cid: Cid, received: int, seconds: float) -> None:
        """Deliver the news that a part of a chunk has arrived, in order with the messages on that link."""
        node = self.nodes[to]
        self._in_order(sender.peer, to, lambda: node.take_part(sender.peer, cid, received, seconds))

    def broadcast(self, sender: SimNode, effect: fx.Broadcast) -> None:
        """Send an intent to its direct peers, and by gossip to all nodes that a path of links reaches."""
        nonce = next(self._nonce).to_bytes(8, "big")
        intent = msg.Intent(
            origin=sender.peer,
            nonce=effect.nonce or nonce,
            expires=self.now + 60,
            body=effect.body,
            addrs=(sender.addr,),
        )
        reached = set(effect.peers)
        sealed = msg.SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))
        routed = {
            peer: None for root in effect.routes if self.dht for peer in self.closest(root, sender)[:WIDTH]
        }
        for peer in routed:
            self._route(sender, peer, sealed, hops=1)
        for peer in effect.peers:
            self.carried["direct"] += 1
            if peer in sender.linked and self.chance.random() >= self.loss:
                self._in_order(sender.peer, peer, partial(self._hear, peer, intent, "direct"))
        if effect.gossip:
            for peer in [peer for peer in sender.linked if peer not in reached]:
                self.carried["gossip"] += 1
                self._in_order(sender.peer, peer, partial(self._hear, peer, intent, "gossip"))
            if self.passes_gossip_on:
                self._flood(sender, intent)

    def _flood(self, sender: SimNode, intent: msg.Intent) -> None:
        """Pass an intent on to all nodes that a path of links leads to, as gossip does."""
        seen, waiting = {sender.peer, *sender.linked}, list(sender.linked)
        for by in waiting:
            for peer in [peer for peer in self.nodes[by].linked if peer not in seen]:
                seen.add(peer)
                waiting.append(peer)
                self._in_order(by, peer, partial(self._hear, peer, intent, "gossip", by))

    def closest(self, root: Cid, asker: SimNode) -> list[PeerId]:
        """Return the nodes that keep the provider records of a root."""

        def distance(peer: PeerId) -> int:
            return int(sha256(peer.encode()).hexdigest(), 16) ^ int(sha256(root.encode()).hexdigest(), 16)

        return nsmallest(CLOSEST, (peer for peer in self.nodes if peer != asker.peer), distance)

    def provide(self, node: SimNode, roots: Iterable[Cid]) -> None:
        """Provide roots of a node in the DHT."""
        for root in roots if self.dht else ():
            for peer in self.closest(root, node):
                self.records.setdefault(peer, {}).setdefault(root, {})[node.peer] = None

    def forward(self, node: SimNode, effect: fx.Forward) -> None:
        """Forward an intent of a node to the providers that it knows."""
        known = self.records.get(node.peer, {})
        providers = {peer: None for root in effect.roots for peer in known.get(root, ())}
        for peer in list(providers)[:MAX_FANOUT]:
            self._route(node, peer, effect.intent, effect.hops)

    def _route(self, sender: SimNode, to: PeerId, sealed: msg.SealedIntent, hops: int) -> None:
        self.carried["routed"] += 1
        if to == sender.peer or self.chance.random() < self.loss:
            return
        intent = codec.decode_intent(sealed.signed)
        came = inp.RouteCame(peer=sender.peer, intent=intent, sealed=sealed, hops=hops)
        self.after(self.chance.uniform(*self.latency), lambda: self.nodes[to].feed(came))

    def run(self, until: Callable[[], bool], *, seconds: float = 600.0) -> float:
        """Run until `until()` is true. Return the time that took. Fail at the time limit."""
        start, end = self.now, self.now + seconds
        while not until():
            assert self._queue, "nothing will ever happen again"
            self.now, _, what = heapq.heappop(self._queue)
            assert self.now <= end, f"not within {seconds} s"
            what()
            self.after_step()
        return self.now - start

    def _arrive(self, sender: PeerId, to: PeerId, message: msg.Message) -> None:
        self.nodes[to].feed(inp.MessageCame(peer=sender, message=message))

    def _hear(self, to: PeerId, intent: msg.Intent, via: ev.Via, by: PeerId | None = None) -> None:
        self.nodes[to].feed(inp.IntentCame(intent=intent, via=via, by=by))

    def _in_order(
        self, sender: PeerId, to: PeerId, what: Callable[[], None], *, not_before: float = 0.0
    ) -> None:
        """Return a delivery time.

        Latency is random for each message: messages of one peer keep their order, others overtake.
        """
        arrival = max(self.now, not_before) + self.chance.uniform(*self.latency)
        arrival = max(arrival, self._arrival.get((sender, to), 0.0))
        self._arrival[sender, to] = arrival

        def deliver() -> None:
            if to in self.nodes[sender].linked:
                what()

        heapq.heappush(self._queue, (arrival, next(self._order), deliver))


def _opened(record: bytes) -> OpenedRecord:
    peer, addrs, seq = msgspec.json.decode(record)
    return OpenedRecord(peer, tuple(addrs), seq, record)


def _write(file: bytearray, offset: int, data: bytes) -> None:
    if len(file) < offset + len(data):
        file.extend(bytes(offset + len(data) - len(file)))
    file[offset : offset + len(data)] = data
