"""Dials peers again that this node has lost: an address has changed, a machine slept, a cable was out.

Either side may be the one that can reach the other, so both try. A lost peer is dialled at once, then with a wait
that doubles up to a few seconds, and more rarely after QUICK_SECONDS. After KEEP_SECONDS this node gives up, until
its own network changes or its machine wakes: then it tries all lost peers again.

A peer is lost if its link ended, although this node did not want that, and the link had been of use. The caller decides
which peers are lost (`lost`). It also dials the peer: `run` is given a function for that.
"""

import random
from collections.abc import Awaitable, Callable

import trio

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import Backoff, BoundedTable
from flux_tui.net.connections.supervisor import Supervisor, Tasks

MAX_LOST = 64
"""Lost peers that are dialled; the one that was lost first makes room."""
QUICK = Backoff(first=0.5, most=6.0, jitter=(0.6, 1.2))
"""The wait between two tries at first. With the 10 s that a try takes at most, a peer that returns after minutes is
reached within about 10 s. Both sides try: the jitter keeps them apart."""
QUICK_SECONDS, SLOW_WAIT = 240.0, 30.0
"""Seconds after which the tries become rare, and the wait between two from then on."""
KEEP_SECONDS = 900.0
"""Seconds after which a lost peer is only dialled when something changes."""

Reach = Callable[[PeerId], Awaitable[bool]]
"""Dials a peer where it can be found. Returns whether there is nothing more to do: its link is up, or may not be."""


class Reconnects:
    """Dials the lost peers of one node."""

    def __init__(self, supervisor: Supervisor) -> None:
        self._supervisor = supervisor
        self._lost: BoundedTable[PeerId, trio.CancelScope] = BoundedTable(MAX_LOST)
        self._news_in, self._news = trio.open_memory_channel[PeerId](MAX_LOST)
        self._changed = trio.Event()

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._lost

    def lost(self, peer: PeerId) -> None:
        """Begin to dial a lost peer again and again, until it is connected. Does nothing if it is dialled already.

        At most MAX_LOST peers are dialled: the peer that was lost first is then given up.
        """
        if peer in self._lost:
            return
        oldest = self._lost.put(peer, trio.CancelScope())
        if oldest is not None:
            oldest[1].cancel()
        try:
            self._news_in.send_nowait(peer)
        except trio.WouldBlock:  # `run` has not come to the others yet
            del self._lost[peer]

    def changed(self) -> None:
        """Dial all lost peers at once: this machine's network has changed, or it was asleep."""
        self._changed.set()
        self._changed = trio.Event()

    async def run(self, reach: Reach) -> None:
        """Dial the lost peers, until cancelled.

        `reach` dials a peer once. It returns whether that is enough: the peer is connected, or must not be.
        """
        async with trio.open_nursery() as nursery:
            tasks = Tasks(nursery, self._supervisor)
            async for peer in self._news:
                if (scope := self._lost.get(peer)) is not None:
                    tasks.start_soon(self._dial, peer, scope, reach)

    async def _dial(self, peer: PeerId, scope: trio.CancelScope, reach: Reach) -> None:
        try:
            with scope:
                await self._until_reached(peer, reach)
        finally:
            if self._lost.get(peer) is scope:
                del self._lost[peer]

    async def _until_reached(self, peer: PeerId, reach: Reach) -> None:
        failures, since, changed = 0, trio.current_time(), self._changed
        while not await reach(peer):
            failures += 1
            spent = trio.current_time() - since
            wait = QUICK.wait(failures, random.random) if spent < QUICK_SECONDS else SLOW_WAIT
            with trio.move_on_after(wait if spent < KEEP_SECONDS else float("inf")):
                await changed.wait()
                failures, since = 0, trio.current_time()
            changed = self._changed
