"""The policy: what a node gives to others, and how fast. Pure.

A policy is a value. It comes from settings and flags when a node starts. A pushed command changes it while
the node runs, and every change is an entry. A peer that the policy limits is told so by a NO with its reason;
no peer waits without an answer.
"""

from typing import Any

import msgspec

from flux_tui.core.ids import PeerId
from flux_tui.core.limits import TokenBucket

BURST_SECONDS = 0.25
"""Seconds' worth of tokens that may be spent at once after a rest."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a node.

    Zero or empty means no limit. `settings.toml` has a key of the same name for each.
    """

    upload_limit: int = 0
    """Bytes/s that leave this node."""
    per_peer_limit: int = 0
    """Bytes/s to any one peer."""
    upload_chunks: int = 0
    """Chunks/s that leave this node."""
    per_peer_chunks: int = 0
    """Chunks/s to any one peer."""
    max_uploads: int = 16
    """Peers that are served at the same time. Other peers are answered `busy`."""
    quota: int = 0
    """Bytes of replicas that are kept for others. Zero: none; every hold is answered `low_space`."""
    max_object: int = 0
    """Bytes of the largest object that is kept for others. A larger one is answered `too_large`."""
    allow: tuple[PeerId, ...] = ()
    """If there are any, only these peers are served. Others are answered `denied`."""
    deny: tuple[PeerId, ...] = ()
    """These peers are answered `denied`."""

    def refuses(self, peer: PeerId) -> bool:
        """Whether a peer gets nothing from this node."""
        return peer in self.deny or bool(self.allow and peer not in self.allow)


class PolicyChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a policy that change. A field that is None stays as it is."""

    upload_limit: int | None = None
    per_peer_limit: int | None = None
    upload_chunks: int | None = None
    per_peer_chunks: int | None = None
    max_uploads: int | None = None
    quota: int | None = None
    max_object: int | None = None
    allow: tuple[PeerId, ...] | None = None
    deny: tuple[PeerId, ...] | None = None

    def given(self) -> dict[str, Any]:
        """The fields that are not None."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def applied(self, policy: Policy) -> Policy:
        """The policy after this change."""
        return msgspec.structs.replace(policy, **self.given())


def rate_limit(rate: float, now: float) -> TokenBucket:
    """Return a bucket for a limit of the policy: `rate` bytes or chunks a second, 0 for none.

    While it has no debt, any amount may be spent, so that chunks of any size pass at the rate that was set.
    """
    return TokenBucket(rate * BURST_SECONDS, rate, now)
