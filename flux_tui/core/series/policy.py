"""What a node lets others have, and how fast. Pure.

A policy is a value: it comes from settings and flags when a node starts, a pushed command changes it while
the node runs, and every change is an entry. What follows from it is said to those who ask, as a NO with its
reason; nobody is ever kept waiting in silence.
"""

from typing import Any

import msgspec

from flux_tui.core.ids import PeerId

BURST_SECONDS = 0.25
"""Seconds' worth that may leave at once after a rest."""


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """Zero, or empty: no limit. `settings.toml` has a key of the same name for each."""

    upload_limit: int = 0
    """Bytes/s that leave this node."""
    per_peer_limit: int = 0
    """Bytes/s to any one peer."""
    upload_chunks: int = 0
    """Chunks/s that leave this node."""
    per_peer_chunks: int = 0
    """Chunks/s to any one peer."""
    max_uploads: int = 16
    """Peers that are served at the same time; the next hear `busy`."""
    quota: int = 0
    """Bytes of replicas that are kept for others. Zero: none; who asks hears `low_space`."""
    max_object: int = 0
    """Bytes of the largest object that is kept for others; for a larger one they hear `too_large`."""
    allow: tuple[PeerId, ...] = ()
    """If there are any: only these peers are served; the others hear `denied`."""
    deny: tuple[PeerId, ...] = ()
    """These peers hear `denied`."""

    def refuses(self, peer: PeerId) -> bool:
        """Whether a peer gets nothing from this node."""
        return peer in self.deny or bool(self.allow and peer not in self.allow)


class PolicyChange(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The fields of a policy that change; None stays as it is."""

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


class Bucket:
    """A token bucket that may go into debt: whoever finds it not in debt may take any amount, and the next
    one waits until that is made up for. So chunks of any size pass, at the rate that was set.
    """

    __slots__ = ("_at", "_level", "rate")

    def __init__(self, rate: float, now: float) -> None:
        self.rate = rate
        """Tokens a second; 0: no limit."""
        self._level = rate * BURST_SECONDS
        self._at = now

    def level(self, now: float) -> float:
        """Tokens that are there; negative: debt."""
        if now > self._at:
            self._level = min(self._level + (now - self._at) * self.rate, self.rate * BURST_SECONDS)
            self._at = now
        return self._level

    def spend(self, amount: float, now: float) -> None:
        """Take tokens."""
        self._level = self.level(now) - amount

    def ready_at(self, now: float) -> float:
        """When the debt is made up for."""
        debt = -self.level(now)
        return now + debt / self.rate if self.rate and debt > 0 else now

    def wait(self, queued: float, now: float) -> float:
        """Seconds until so many tokens that stand before are spent, and the debt is made up for."""
        return max(0.0, (queued - self.level(now)) / self.rate) if self.rate else 0.0
