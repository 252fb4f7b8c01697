"""Provides roots in the DHT: tells the nodes closest to each root that this node has it, and repeats that in time.

A node may have a hundred thousand roots. A look-up and twenty streams for each would take days. So roots are provided
in *passes*: one look-up finds the nodes closest to a root, and each of them is told at once of up to MAX_KEYS roots to
which the same nodes are the closest (`region`). In a swarm of fewer than CLOSEST nodes, that is any root. What one node
is sent has a budget that both sides know (net/flux/dht/record_streams.py): 100,000 roots take less than seven minutes.

Kademlia has no message to withdraw a record, and libp2p has none of its own. (A node that gets a record without
addresses ignores it, and keeps the old one.) After `withdraw`, this node provides the root no more, not even in a pass
that is under way. Nodes that have the record keep it for 48 hours, and may forward intents to this node meanwhile. The
core answers those intents (core/peers/provider_records.py).
"""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence

import trio
from libp2p.peer.id import ID

from flux_tui.core.ids import Cid
from flux_tui.core.limits import Backoff, BoundedTable, TokenBucket
from flux_tui.core.wire.provide import MAX_KEYS, RECORDS_RATE
from flux_tui.net.flux.dht.provide_schedule import HASH_BITS, Schedule, place_of
from flux_tui.net.port import CLOSEST, MAX_PROVIDED, WIDTH
from flux_tui.net.upstream.kad import key_of

log = logging.getLogger(__name__)

REPROVIDE_SECONDS = 22 * 3600.0
"""Seconds until a root is provided again. Other nodes forget the record after 48 hours."""
GROWTH = 1.5
"""When the swarm has grown by this factor since a root was provided, other nodes are the closest."""
RETRY = Backoff(15.0, 600.0)
"""The wait until a root that no node accepted is provided again."""
PASSES_BURST, PASSES_RATE = 16.0, 1.0
"""Passes at once, and per second in the long run. While roots come one by one, those of a second go in one pass."""
REPORT_LEFT, REPORT_SECONDS = 1024, 60.0
"""A round is reported if more roots than this are left after a pass; then once in so many seconds, and at its end."""


def region(key: bytes, closest: Sequence[ID]) -> int | None:
    """Return how many bits the places of keys have in common with this one to which the same nodes are closest.

    `closest`: the nodes closest to this key. Fewer than CLOSEST are the whole swarm: 0. Else the farthest of them
    shares some bits with the key, and all nodes that share one more are known. To a key that shares that one, too,
    these are the closest. None: they are too few for an intent to be routed to, so this key is told alone.
    """
    if len(closest) < CLOSEST:
        return 0
    place = place_of(key)
    shared = [HASH_BITS - (place ^ place_of(peer.to_bytes())).bit_length() for peer in closest]
    bits = min(shared) + 1
    return bits if sum(number >= bits for number in shared) >= WIDTH else None


class Providing:
    """Provides this node's roots in the DHT, pass after pass.

    `find_closest`: finds the nodes closest to a key. `send`: tells a node of keys (`RecordStreams.send`). `report`: is
    told how far a long round is (`Receiver.on_provided`).
    """

    def __init__(
        self,
        me: ID,
        find_closest: Callable[[bytes], Awaitable[Sequence[ID]]],
        send: Callable[[ID, Callable[[], Sequence[bytes]]], Awaitable[int]],
        report: Callable[[int, int, float], None],
    ) -> None:
        self._me = me
        self._find_closest = find_closest
        self._send = send
        self.schedule = Schedule()
        self._current: OrderedDict[Cid, bytes] = OrderedDict()
        """The roots of this pass that were not withdrawn meanwhile, and their keys."""
        self._pass = trio.CancelScope()
        self._failures: BoundedTable[Cid, int] = BoundedTable(MAX_PROVIDED)
        """For roots in the schedule that no node accepted lately: how often."""
        self._round = _Round(report)
        self._known = 0
        """Nodes that the DHT knows."""
        self._known_then = 0
        """Nodes known when the first root was provided, or when all roots were last made due again."""
        self._changed = trio.Event()

    def provide(self, roots: Sequence[Cid], *, wanted: bool = False) -> None:
        """Begin to provide these roots. See net.port.Network.provide."""
        self.schedule.add(roots, wanted=wanted)
        self._changed.set()

    def withdraw(self, roots: Sequence[Cid]) -> None:
        """Stop providing these roots. See net.port.Network.withdraw."""
        self.schedule.remove(roots)
        for root in roots:
            self._failures.pop(root, None)
            if self._current.pop(root, None) is not None and not self._current:
                self._pass.cancel()

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
        passes = TokenBucket(PASSES_BURST, PASSES_RATE, trio.current_time())
        while True:
            await trio.sleep(passes.wait(trio.current_time(), 1.0))
            self._changed = trio.Event()
            root = self.schedule.take(trio.current_time()) if self._known else None
            if root is not None:
                passes.take(1.0, trio.current_time())
                await self._run_pass(root)
                continue
            wait = self.schedule.next_at() - trio.current_time() if self._known else float("inf")
            with trio.move_on_after(max(wait, 0.0)):
                await self._changed.wait()

    async def _run_pass(self, root: Cid) -> None:
        self._known_then = self._known_then or self._known
        self._round.begin()
        self._current = OrderedDict({root: key_of(root)})
        accepted: set[Cid] = set()
        with trio.CancelScope() as self._pass:
            try:
                await self._tell_closest(root, accepted)
            except Exception as error:  # libp2p's error: it is tried again
                log.debug("providing %s: %r", root, error)
        told, self._current = self._current, OrderedDict()  # what is provided from now on waits its turn
        now = trio.current_time()
        for one in told:
            if one in accepted:
                self._failures.pop(one, None)
                self.schedule.provided(one, now + REPROVIDE_SECONDS)
            else:
                failures = self._failures[one] = self._failures.get(one, 0) + 1
                self.schedule.provided(one, now + RETRY.wait(failures))
        self._round.passed(len(accepted), self.schedule.left(now))

    async def _tell_closest(self, root: Cid, accepted: set[Cid]) -> None:
        """Tell the nodes closest to this root of it, and of others in its region. Adds to `accepted` what they take."""
        closest = await self._find_closest(self._current[root])
        bits = region(key_of(root), closest)
        if bits is not None and root in self._current:
            others = self.schedule.take_like(root, bits, MAX_KEYS - 1, trio.current_time())
            self._current.update((other, key_of(other)) for other in others)

        async def tell(peer: ID) -> None:
            roots: tuple[Cid, ...] = ()

            def waiting() -> Sequence[bytes]:
                nonlocal roots
                roots = tuple(self._current)
                return tuple(self._current.values())

            try:
                taken = await self._send(peer, waiting)
            except Exception as error:  # the node is gone
                log.debug("telling %s of %d roots: %r", peer, len(roots), error)
            else:
                accepted.update(roots[:taken])

        async with trio.open_nursery() as nursery:
            for peer in closest:
                if peer != self._me:
                    nursery.start_soon(tell, peer)


class _Round:
    """Tells how far a round of provider records is: from the first root that waits until none does."""

    def __init__(self, report: Callable[[int, int, float], None]) -> None:
        self._report = report
        self._began: float | None = None
        self._told = 0
        """Roots that were told in this round."""
        self._reported = 0
        """Of these, the roots in reports."""
        self._again_at = 0.0

    def begin(self) -> None:
        """Note that a pass begins."""
        if self._began is None:
            self._began = trio.current_time()

    def passed(self, told: int, left: int) -> None:
        """Note that a pass has told nodes of so many roots, and that so many are left."""
        assert self._began is not None
        self._told += told
        now = trio.current_time()
        if (left > REPORT_LEFT and now >= self._again_at) or (not left and self._reported):
            slow = left * (now - self._began) / max(self._told, 1)
            self._report(self._told - self._reported, left, max(slow, left / RECORDS_RATE) if left else 0.0)
            self._reported, self._again_at = self._told, now + REPORT_SECONDS
        if not left:
            self._began, self._told, self._reported, self._again_at = None, 0, 0, 0.0
