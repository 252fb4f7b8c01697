"""The closed sets that events are made of: why, how, and about what."""

from typing import Literal, TypeAlias, get_args

Reason: TypeAlias = Literal[
    "rate_limited", "busy", "low_space", "not_held", "denied", "too_large", "shutting_down"
]
"""Why a node says NO. A closed set: every reason tells the asker what to do next."""

REASONS: tuple[Reason, ...] = get_args(Reason)

Waste: TypeAlias = Literal["duplicate", "late", "corrupt", "unasked", "hedged", "cancelled", "unwritten"]
"""Why received bytes were of no use.

duplicate: we had it already; late: the lease had lapsed and another holder was faster;
corrupt: it did not hash to its CID; unasked: no grant was ever pushed for it; hedged: it was overdue, was
granted to a second holder, and came from both; cancelled: it was on its way when it was no longer wanted;
unwritten: it could not be written here.
"""

WASTES: tuple[Waste, ...] = get_args(Waste)

RetryCause: TypeAlias = Literal["retry_after", "eta", "lapsed", "silence", "asked", "unwritten"]
"""Why a want is pushed again: a NO named a time, a delayed yes did, its lease lapsed, nobody
answered, a person pressed a key, or what came could not be written here."""

LapseCause: TypeAlias = Literal[
    "deadline", "disconnected", "restarted", "refused", "corrupt", "slow", "unwritten", "moved"
]
"""Why a lease ended without its chunk: too late, the holder left, this node was started again, the holder
said NO, it sent wrong bytes, its queue here was full, what comes cannot be written here, or
another holder sends it sooner."""

About: TypeAlias = Literal["want", "hold", "custom"]
"""What a NO, or the time of a next push, is about: to be sent something, to have a replica kept, or to take something
of a program's own kind."""

HeldHow: TypeAlias = Literal["begun", "whole", "gone"]
"""What there is of a replica at its keeper."""

LossCause: TypeAlias = Literal["left", "silent", "slow", "surplus"]
"""Why somebody counts no longer as a keeper: its stream is gone and it did not come back, it never said
that it had begun, its queue here was full, or fewer replicas are wanted now."""

DropCause: TypeAlias = Literal[
    "released", "evicted", "quota", "low_space", "too_large", "denied", "cancelled", "failed", "lost"
]
"""Why a replica is no longer kept here: nobody wants it kept any more, another one needed the room, the quota
is smaller now, it turned out to be larger than there is room for or than objects may be, the policy refuses
all that it was kept for, somebody here let it go, it could not be had, or its file was changed or removed."""

Via: TypeAlias = Literal["direct", "gossip", "routed"]
"""How an intent came: pushed to us by its signer, forwarded through the swarm, or by way of the DHT, from a
node that is close to what it wants."""
