"""The table of push links, which also decides which peers may have a link.

A node has at most MAX_PEERS links. RESERVED of them are for known peers: those that gave or took chunks, and those
that this node dialled. All other peers, those that dial in, are strangers: there may be 128 of them. Strangers get
links at a limited rate. A stranger that exchanged nothing makes room for another peer after STRANGER_SECONDS.
"""

from collections import deque
from math import ceil

import trio

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedSet, BoundedTable, TokenBucket
from flux_tui.core.vocabulary import Reason
from flux_tui.core.wire.messages import Message
from flux_tui.net.addresses.large_packets import LargePackets
from flux_tui.net.flux.link import Link
from flux_tui.net.port import BAN_SECONDS

MAX_PEERS = 144
"""Links at the same time. The bytes under way on all of them have a bound of their own
(`upstream/guarded_yamux.py`)."""
RESERVED = 16
"""Links among them for known peers."""
STRANGER_SECONDS = 30.0
"""Seconds after which a stranger without useful exchange makes room for another peer."""
RETRY_SECONDS = 5.0
"""The least seconds after which a peer is told to try again."""
MAX_KNOWN = 1024
"""Known peers that are remembered, and peers for which the times of their latest links are."""
MAX_BANNED = 1024
"""Peers that are refused for a while, and remembered."""
STRANGER_BURST, STRANGER_RATE = 64.0, 4.0
"""Links of strangers that come up at once, and per second in the long run."""
MAX_RETURNS, RETURN_SECONDS = 8, 60.0
"""Links that one peer may have had in so many seconds. A peer above this does not reconnect by accident."""
USEFUL_BYTES = 1024 * 1024
"""Bytes of chunks that a peer took on one link, from which on its end is not counted as a return."""
SILENT_SECONDS, SILENT_AGAIN_SECONDS = 600.0, 60.0
"""Seconds for which a link that died without a sign counts, and within which a second one is of the same kind."""
FLAP_SECONDS = 10.0
"""Two links of a peer that came up within so many seconds: the link flaps."""


class LinkTable:
    """The push links of one node, at most one for each peer."""

    def __init__(self) -> None:
        self._links: dict[PeerId, Link] = {}
        self._banned: BoundedTable[PeerId, tuple[float, Reason]] = BoundedTable(MAX_BANNED)
        """Peers that are refused for a while, each with the end of that time (of trio's clock) and the reason."""
        self._left: BoundedSet[PeerId] = BoundedSet(MAX_BANNED)
        """Peers that are refused only because a person left them."""
        self._known: BoundedSet[PeerId] = BoundedSet(MAX_KNOWN, refresh=True)
        self._returns: BoundedTable[PeerId, deque[float]] = BoundedTable(MAX_KNOWN, refresh=True)
        """When the latest links of each peer came up."""
        self._silent: BoundedTable[PeerId, float] = BoundedTable(MAX_KNOWN, refresh=True)
        """When the latest link to each peer died without a sign."""
        self.large_packets = LargePackets()
        self._strangers = TokenBucket(STRANGER_BURST, STRANGER_RATE, trio.current_time())

    def __contains__(self, peer: PeerId) -> bool:
        return peer in self._links

    def of(self, peer: PeerId) -> Link | None:
        """Return the link to a peer, even if it is still being opened or closed; None if there is none."""
        return self._links.get(peer)

    def up(self, peer: PeerId) -> Link | None:
        """Return the link to a peer if both of its streams are open; else None."""
        link = self._links.get(peer)
        return link if link is not None and link.up.is_set() else None

    def acknowledged(self, peer: PeerId) -> int | None:
        """Return how many bytes the peer's system has acknowledged on the link's connection; None: this is unknown."""
        link = self._links.get(peer)
        return link.acknowledged if link is not None else None

    def all_up(self) -> list[Link]:
        """Return the links whose streams are both open."""
        return [link for link in self._links.values() if link.up.is_set()]

    def push(self, peer: PeerId, message: Message) -> bool:
        """Queue a message for a peer. Returns False if the peer has no link, or its queue is full."""
        link = self.up(peer)
        return link is not None and link.outgoing.push(message)

    def ban(self, peer: PeerId, seconds: float = BAN_SECONDS, reason: Reason = "denied") -> None:
        """Refuse links to this peer for so many seconds from now. A ban that lasts longer stays.

        `reason`: what the peer is told: `denied` if it misbehaved, `busy` if it made room for another peer.
        """
        until = trio.current_time() + seconds
        if until > self._banned.get(peer, (float("-inf"), reason))[0]:
            self._banned[peer] = until, reason
            self._left.discard(peer)

    def leave(self, peer: PeerId, seconds: float) -> None:
        """Refuse links to this peer for so many seconds, unless `forgive` comes before: it did nothing wrong."""
        blameless = not self.is_banned(peer) or peer in self._left
        self.ban(peer, seconds)
        if blameless:
            self._left.add(peer)

    def forgive(self, peer: PeerId) -> None:
        """Take links to this peer again, if they are refused because of `leave` alone."""
        if peer in self._left:
            self._left.discard(peer)
            self._banned.pop(peer, None)

    def is_banned(self, peer: PeerId) -> bool:
        """Whether links to this peer are refused now: after `ban`, or because its idle link made room for another."""
        banned = self._banned.get(peer)
        return banned is not None and banned[0] > trio.current_time()

    def refusal(self, peer: PeerId) -> tuple[Reason, float]:
        """Return why this peer may have no link now, and the seconds after which it may try again.

        Call it only if `admits` says that it may have none.
        """
        now = trio.current_time()
        banned = self._banned.get(peer)
        if banned is not None and banned[0] > now:
            return banned[1], banned[0] - now
        if self._returns_too_often(peer):
            return "rate_limited", self._returns[peer][0] + RETURN_SECONDS - now
        wait = 0.0 if peer in self._known else self._strangers.wait(now, 1)
        oldest = min((link.since for link in self._links.values() if not self._is_useful(link)), default=now)
        return "busy", max(wait, oldest + STRANGER_SECONDS - now, RETRY_SECONDS)

    def why_refused(self, peer: PeerId) -> str:
        """Return why this peer may have no link now, in words, and for how long.

        Call it only if `admits` says that it may have none.
        """
        reason, seconds = self.refusal(peer)
        wait = f"in {ceil(seconds)} s it may be dialled"
        if not self.is_banned(peer):
            why = "its links began too often" if reason == "rate_limited" else "this node has too many peers"
        elif peer in self._left:
            why = "this node has left the peer"
        else:
            why = "the peer misbehaved" if reason == "denied" else "its idle link made room for another peer"
        return f"{why}; {wait}"

    def admits(self, peer: PeerId) -> bool:
        """Whether this peer may have a link now. False if it is banned.

        A peer that has a link already may have a new one. Any other peer may, if it does not reconnect too often and
        the table can take its link (`_has_room`).
        """
        if self.is_banned(peer):
            return False
        return peer in self._links or (not self._returns_too_often(peer) and self._has_room(peer))

    def add(self, link: Link) -> None:
        """Add a new link. It replaces the peer's previous link; the caller ends that one.

        If the peer had none and the table is full, the link of an idle stranger is ended and removed. That stranger is
        refused for STRANGER_SECONDS.
        """
        if link.peer not in self._links:
            known = link.peer in self._known
            if not known:
                self._strangers.take(1, trio.current_time())
            if self._is_full(known) and (idle := self._idle_stranger(known)) is not None:
                self.ban(idle.peer, STRANGER_SECONDS, "busy")
                idle.end("it had its link for long without an exchange, and others wait")
                del self._links[idle.peer]
        self._links[link.peer] = link

    def remove(self, link: Link) -> None:
        """Remove a link that has ended, unless the peer has a new link already."""
        if self._links.get(link.peer) is link:
            del self._links[link.peer]

    def know(self, peer: PeerId) -> None:
        """Note that a peer is known: it gave or took chunks, or this node dials it."""
        self._known.add(peer)

    def is_known(self, peer: PeerId) -> bool:
        """Whether a peer is known, as `know` notes it; False: it is a stranger."""
        return peer in self._known

    def note_silence(self, peer: PeerId) -> bool:
        """Note that a link to this peer died without a sign.

        Returns whether another one did so in the SILENT_AGAIN_SECONDS before.
        """
        again = trio.current_time() - self._silent.get(peer, float("-inf")) < SILENT_AGAIN_SECONDS
        self._silent[peer] = trio.current_time()
        return again

    def fell_silent(self, peer: PeerId) -> bool:
        """Whether a link to this peer died without a sign in the last SILENT_SECONDS."""
        return trio.current_time() - self._silent.get(peer, float("-inf")) < SILENT_SECONDS

    def needs_small_packets(self, peer: PeerId) -> bool:
        """Whether this peer should be dialled with small packets: its last link died silently, or stood still."""
        return self.fell_silent(peer) or self.large_packets.suspects(peer, trio.current_time())

    def came_up(self, peer: PeerId) -> None:
        """Note the time at which a link to this peer came up: now."""
        times = self._returns.setdefault(peer, deque(maxlen=MAX_RETURNS))
        times.append(trio.current_time())

    def was_useful(self, link: Link) -> None:
        """Do not count this ended link as a return of its peer, if it was of use.

        It was, if a wanted chunk came on it or USEFUL_BYTES of chunks were sent. A relay may end useful
        links at its limit again and again. `admits` refuses a peer with too many returns.
        """
        times = self._returns.get(link.peer)
        if times and (link.took or link.outgoing.served >= USEFUL_BYTES):
            times.pop()

    def flaps(self, peer: PeerId) -> bool:
        """Whether the last two links to this peer both came up in the last FLAP_SECONDS."""
        times = self._returns.get(peer)
        return times is not None and len(times) > 1 and times[-2] > trio.current_time() - FLAP_SECONDS

    def _returns_too_often(self, peer: PeerId) -> bool:
        times = self._returns.get(peer)
        return (
            times is not None
            and len(times) == MAX_RETURNS
            and times[0] > trio.current_time() - RETURN_SECONDS
        )

    def _has_room(self, peer: PeerId) -> bool:
        """Whether the table can take a link to this peer, if necessary in place of an idle stranger's.

        False for a stranger while too many strangers have come lately.
        """
        known = peer in self._known
        if not known and self._strangers.wait(trio.current_time(), 1) > 0:
            return False
        return not self._is_full(known) or self._idle_stranger(known) is not None

    def _is_full(self, known: bool) -> bool:
        return len(self._links) >= (MAX_PEERS if known else MAX_PEERS - RESERVED)

    def _idle_stranger(self, known: bool) -> Link | None:
        """Return the link to end for a new one: the oldest of a stranger that took no chunks; None: there is none.

        `known`: whether the new peer is known. For a stranger, only a link older than STRANGER_SECONDS is ended.
        """
        strangers = [link for link in self._links.values() if not self._is_useful(link)]
        oldest = min(strangers, key=lambda link: link.since, default=None)
        longer = known or (oldest is not None and oldest.since < trio.current_time() - STRANGER_SECONDS)
        return oldest if longer else None

    def _is_useful(self, link: Link) -> bool:
        return link.peer in self._known or link.outgoing.served > 0
