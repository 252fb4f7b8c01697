"""The closed sets of words that events use: the reasons of a NO, the causes of retries and losses, and the like."""

from typing import Literal, NamedTuple, TypeAlias, get_args

Reason: TypeAlias = Literal[
    "rate_limited", "busy", "low_space", "not_held", "denied", "too_large", "shutting_down"
]
"""Why a node says NO. A closed set: every reason tells the requester what to do next."""

REASONS: tuple[Reason, ...] = get_args(Reason)


class Refusal(NamedTuple):
    """A NO that this node gives: its reason, when the peer may ask again, and words for a person."""

    reason: Reason
    retry_after: float | None = None
    """Seconds after which the peer may ask again; None: waiting does not help."""
    text: str = ""
    """A sentence for a person there; empty if the reason says it all."""


Waste: TypeAlias = Literal["duplicate", "late", "corrupt", "unasked", "hedged", "cancelled", "unwritten"]
"""Why received bytes were of no use.

- duplicate: this node had the chunk already.
- late: the lease had lapsed, and another holder was faster.
- corrupt: the bytes did not hash to the CID.
- unasked: the chunk was never granted to that peer.
- hedged: the chunk was overdue, was granted to a second holder too, and came from both.
- cancelled: it was on its way when it was no longer wanted.
- unwritten: it could not be written here.
"""

WASTES: tuple[Waste, ...] = get_args(Waste)

RetryCause: TypeAlias = Literal["retry_after", "eta", "lapsed", "silence", "asked", "unwritten"]
"""Why a want is pushed again.

- retry_after: a NO named a time.
- eta: a delayed yes named a time.
- lapsed: its lease lapsed.
- silence: no peer answered.
- asked: a person asked for it.
- unwritten: a chunk could not be written here.
"""

LapseCause: TypeAlias = Literal[
    "deadline", "disconnected", "restarted", "refused", "corrupt", "slow", "unwritten", "moved"
]
"""Why a lease ended without its chunk.

- deadline: the chunk did not come in time.
- disconnected: the holder disconnected.
- restarted: this node was restarted.
- refused: the holder said NO.
- corrupt: the holder sent wrong bytes.
- slow: the holder's queue here was full.
- unwritten: chunks cannot be written here now.
- moved: another holder sends it sooner.
"""

ErrorCode: TypeAlias = Literal[
    "other", "cannot_add", "not_pending", "not_adding", "not_shared", "not_whole", "kept_for_others", "kept_by_others",
    "not_kept", "too_many", "cannot_write", "refused", "not_reached", "small_packets", "not_dialled", "not_sent",
    "file_changed", "left_out", "handler_failed", "strangers_limited",
]  # fmt: skip
"""What failed, for programs. The text of an error is for people, and may change.

- other: an older entry, or an error without a code of its own.
- cannot_add: a path could not be read, so it is not shared.
- not_pending, not_adding: there was nothing to cancel.
- not_shared: there was nothing to remove.
- not_whole: it is still being fetched: cancel it instead.
- kept_for_others, kept_by_others: it is a replica: release it instead.
- not_kept: there was no replica to release.
- too_many: a table of this node is full.
- cannot_write: an object cannot be written to its path.
- refused: the blocks of an object contradict each other, or it is too large.
- not_reached: nobody answers at an address.
- small_packets: large packets to or from a peer are lost on the way.
- not_dialled: the budget for strangers' addresses is spent.
- not_sent: a custom message did not reach its peer.
- file_changed: a shared file was changed or removed.
- left_out: a part of a folder is not shared, or was not written.
- handler_failed: a function of a program raised.
- strangers_limited: strangers have caused as many entries as they may in a day.
"""

About: TypeAlias = Literal["want", "hold", "custom"]
"""What a NO, or the time of a next push, is about: sending chunks, keeping a replica, or taking a message of
a program's own kind."""

HeldHow: TypeAlias = Literal["begun", "whole", "gone"]
"""How much of a replica its keeper has: it has begun to fetch it, it has all of it, or it has dropped it."""

LossCause: TypeAlias = Literal["left", "silent", "slow", "surplus"]
"""Why a peer does not count as a keeper any more.

- left: it disconnected and did not come back.
- silent: it never said that it had begun.
- slow: its queue here was full.
- surplus: fewer replicas are wanted now.
"""

DropCause: TypeAlias = Literal[
    "released", "evicted", "quota", "low_space", "too_large", "denied", "cancelled", "failed", "lost"
]
"""Why a replica is no longer kept here.

- released: no origin needs it any more.
- evicted: another replica needed the room.
- quota: the quota is smaller now.
- low_space: it turned out to be larger than the room that there is.
- too_large: it turned out to be larger than objects may be.
- denied: the policy refuses all its origins.
- cancelled: a person here dropped it.
- failed: it could not be fetched.
- lost: its file was changed or removed.
"""

Via: TypeAlias = Literal["direct", "gossip", "routed"]
"""How an intent came. direct: its signer pushed it; gossip: the swarm forwarded it; routed: a node close to
what it wants sent it through the DHT."""

Way: TypeAlias = Literal["direct", "punched", "relayed"]
Speaks: TypeAlias = Literal["flux", "bitswap", "http"]
"""The protocol of a link: flux's own, Bitswap (an IPFS node), or HTTP (a gateway)."""
"""Which way a link to a peer goes. direct: one node dialled the other; punched: both dialled at the same moment,
through their NATs; relayed: a relay stands in between."""
