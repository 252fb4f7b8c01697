"""Provides roots in the DHT: tells the nodes closest to each root that this node has it, and repeats that in time.

What libp2p 0.8.1 does, and what is done about it here:

- A node accepts 10 ADD_PROVIDER in 10 s from one peer, and drops further ones silently, though `provide`
  returns True. So each peer is sent ADDS_PER_WINDOW. In a swarm of fewer than 20 nodes every node gets every
  root, which makes about one root a second. In a large swarm each root goes to other nodes.
- Kademlia has no message to withdraw a record, and libp2p has none of its own. (A node that gets a
  record without addresses ignores it, and keeps the old one.) After `withdraw`, this node provides the root no more,
  not even in a round that is under way. Nodes that have the record keep it for 48 hours, and may forward intents to
  this node meanwhile. The core answers those intents (core/peers/provider_records.py).
"""

import logging
from collections import OrderedDict, deque
from collections.abc import Awaitable, Callable, Sequence
from heapq import heapify, heappop, heappush

import trio
from libp2p.peer.id import ID

from flux_tui.core.ids import Cid
from flux_tui.core.limits import BoundedTable
from flux_tui.net.port import MAX_PROVIDED
from flux_tui.net.upstream.kad import key_of

log = logging.getLogger(__name__)

ADDS_PER_WINDOW, ADD_WINDOW = 9, 10.5
"""ADD_PROVIDER sent to one peer, within so many seconds: just below the peer's limit."""
MAX_PACED = 1024
"""Peers whose last ADD_PROVIDER are remembered."""
SEND_SECONDS = 10.0
"""Seconds to hand a record to one node, dialling included."""
REPROVIDE_SECONDS = 22 * 3600.0
"""Seconds until a root is provided again. Other nodes forget the record after 48 hours."""
GROWTH = 1.5
"""When the swarm has grown by this factor since a root was provided, other nodes are the closest."""
RETRY_SECONDS = 15.0
"""Seconds until a root that no node took is provided again."""


class Schedule:
    """Decides which root this node provides (announces in the DHT) next.

    Roots that were never provided come first, the latest added before the others. Then come the provided roots that are
    due: the time has come at which to provide them again, before their records expire.

    At most MAX_PROVIDED roots are in the schedule. Beyond that, roots that were provided already are removed, those
    that were first provided longest ago first. If there are none, the oldest root is removed.
    """

    def __init__(self) -> None:
        self._fresh: OrderedDict[Cid, None] = OrderedDict()
        """Roots to be provided for the first time. The newest is last, and is taken first."""
        self._kept: dict[Cid, float] = {}
        """The provided roots, with the time at which each is due again."""
        self._due: list[tuple[float, Cid]] = []
        """The same as a heap. An entry whose time is not that of its root is out of date."""

    def __len__(self) -> int:
        return len(self._fresh) + len(self._kept)

    @property
    def kept(self) -> frozenset[Cid]:
        """The roots that were provided, and will be provided again in time."""
        return frozenset(self._kept)

    def add(self, roots: Sequence[Cid]) -> None:
        """Add roots to be provided for the first time. Roots that were provided already keep their time."""
        for root in roots:
            if root not in self._kept:
                self._fresh[root] = None
                self._fresh.move_to_end(root)
        while len(self) > MAX_PROVIDED:
            if self._kept:
                del self._kept[next(iter(self._kept))]
            else:
                self._fresh.popitem(last=False)

    def remove(self, roots: Sequence[Cid]) -> None:
        """Remove roots, so that they are not provided again."""
        for root in roots:
            self._fresh.pop(root, None)
            self._kept.pop(root, None)

    def take(self, now: float) -> Cid | None:
        """Take out the root to provide now, and return it. `provided` puts it back.

        None: every root was provided, and for none has the time come to provide it again.
        """
        if self._fresh:
            return self._fresh.popitem()[0]
        while self._due and self._due[0][0] <= now:
            at, root = heappop(self._due)
            if self._kept.get(root) == at:
                return root
        return None

    def provided(self, root: Cid, again_at: float) -> None:
        """Note that a root was provided, and is to be provided again at the time `again_at`."""
        self._kept[root] = again_at
        heappush(self._due, (again_at, root))

    def next_at(self) -> float:
        """Return the time at which the next provided root is to be provided again; infinity if there is none."""
        return self._due[0][0] if self._due else float("inf")

    def make_all_due(self) -> None:
        """Let all provided roots be provided again from now on, because other nodes are now the closest to them."""
        self._due = [(0.0, root) for root in self._kept]
        heapify(self._due)
        self._kept = dict.fromkeys(self._kept, 0.0)


class Providing:
    """Provides this node's roots in the DHT, one after the other.

    `find_closest`: finds the nodes closest to a key. `send_record`: sends a provider record for a key to a node,
    and returns whether the node accepted it.
    """

    def __init__(
        self,
        me: ID,
        find_closest: Callable[[bytes], Awaitable[Sequence[ID]]],
        send_record: Callable[[ID, bytes], Awaitable[bool]],
    ) -> None:
        self._me = me
        self._find_closest = find_closest
        self._send_record = send_record
        self.schedule = Schedule()
        self._current: tuple[Cid, trio.CancelScope] | None = None
        """The root that is being provided just now."""
        self._known = 0
        """Nodes that the DHT knows."""
        self._known_then = 0
        """Nodes known when the first root was provided, or when all roots were last made due again."""
        self._changed = trio.Event()
        self._sent: BoundedTable[ID, deque[float]] = BoundedTable(MAX_PACED, refresh=True)
        """When the last ADD_PROVIDER were sent to each peer."""

    def provide(self, roots: Sequence[Cid]) -> None:
        """Begin to provide these roots. See net.port.Network.provide."""
        self.schedule.add(roots)
        self._changed.set()

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Stop providing these roots. See net.port.Network.withdraw."""
        self.schedule.remove(roots)
        if self._current is not None and self._current[0] in roots:
            self._current[1].cancel()

    def note_known(self, nodes: int) -> None:
        """Note how many nodes this node's routing table has.

        If it has GROWTH times as many as when the first root was provided, or as the last time, all roots are provided
        again soon.
        """
        self._known = nodes
        if nodes >= GROWTH * self._known_then and self.schedule.kept:
            self._known_then = nodes
            self.schedule.make_all_due()
        self._changed.set()

    async def run(self) -> None:
        """Provide each new root, and each provided one again when its time comes, until cancelled."""
        while True:
            self._changed = trio.Event()
            root = self.schedule.take(trio.current_time()) if self._known else None
            if root is not None:
                await self._provide_next(root)
                continue
            wait = self.schedule.next_at() - trio.current_time() if self._known else float("inf")
            with trio.move_on_after(max(wait, 0.0)):
                await self._changed.wait()

    async def _provide_next(self, root: Cid) -> None:
        took = 0
        self._known_then = self._known_then or self._known
        with trio.CancelScope() as scope:
            self._current = root, scope
            try:
                took = await self._provide(root)
            except Exception as error:  # libp2p's error: it is tried again
                log.debug("providing %s: %r", root, error)
        self._current = None
        if (
            not scope.cancel_called
        ):  # else it was withdrawn; if it was provided again meanwhile, it waits its turn
            self.schedule.provided(root, trio.current_time() + (REPROVIDE_SECONDS if took else RETRY_SECONDS))

    async def _provide(self, root: Cid) -> int:
        """Send a provider record to the nodes closest to this root. Returns how many of them accepted it."""
        key = key_of(root)
        took: list[bool] = []

        async def tell(peer: ID) -> None:
            await self._pace(peer)
            with trio.move_on_after(SEND_SECONDS):
                took.append(await self._send_record(peer, key))

        closest = await self._find_closest(key)
        async with trio.open_nursery() as nursery:
            for peer in closest:
                if peer != self._me:
                    nursery.start_soon(tell, peer)
        return sum(took)

    async def _pace(self, peer: ID) -> None:
        """Wait until this peer accepts another provider record, and count one. libp2p limits them per peer."""
        times = self._sent.setdefault(peer, deque(maxlen=ADDS_PER_WINDOW))
        if len(times) == ADDS_PER_WINDOW:
            await trio.sleep_until(times[0] + ADD_WINDOW)
        times.append(trio.current_time())
