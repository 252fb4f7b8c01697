"""The closed sets of words in events: reasons, causes, and what they are about."""

from typing import Literal, TypeAlias, get_args

Reason: TypeAlias = Literal[
    "rate_limited", "busy", "low_space", "not_held", "denied", "too_large", "shutting_down"
]
"""Why a node says NO. A closed set: every reason tells the requester what to do next."""

REASONS: tuple[Reason, ...] = get_args(Reason)

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
"""Why a want is pushed again: a NO named a time, a delayed yes did, its lease lapsed, nobody answered, a
person asked for it, or a chunk could not be written here."""

LapseCause: TypeAlias = Literal[
    "deadline", "disconnected", "restarted", "refused", "corrupt", "slow", "unwritten", "moved"
]
"""Why a lease ended without its chunk: its deadline passed, the holder disconnected, this node was restarted,
the holder said NO, the holder sent wrong bytes, the holder's queue here was full, chunks cannot be written
here, or another holder sends it sooner."""

About: TypeAlias = Literal["want", "hold", "custom"]
"""What a NO, or the time of a next push, is about: sending chunks, keeping a replica, or taking a message of
a program's own kind."""

HeldHow: TypeAlias = Literal["begun", "whole", "gone"]
"""How much of a replica its keeper has."""

LossCause: TypeAlias = Literal["left", "silent", "slow", "surplus"]
"""Why a peer does not count as a keeper any more: it disconnected and did not come back, it never said that
it had begun, its queue here was full, or fewer replicas are wanted now."""

DropCause: TypeAlias = Literal[
    "released", "evicted", "quota", "low_space", "too_large", "denied", "cancelled", "failed", "lost"
]
"""Why a replica is no longer kept here: no origin needs it any more, another replica needed the room, the
quota is smaller now, it turned out to be larger than the room or than objects may be, the policy refuses all
its origins, a person here dropped it, it could not be fetched, or its file was changed or removed."""

Via: TypeAlias = Literal["direct", "gossip", "routed"]
"""How an intent came: pushed by its signer, forwarded by gossip, or routed through the DHT by a node that is
close to what it wants."""
