"""The quota: whether there is room for one more replica, and which replicas must go to make room. Pure.

- One origin may use at most a share of the quota, unless it is the only peer that is allowed.
- The replica that a peer took chunks of least recently goes first. Objects that the user added or got are never
  dropped. A replica that was used or accepted a short while ago does not go to make room for a new one.
"""

from typing import NamedTuple

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.series.state import KeptReplica
from flux_tui.core.turn import Ledger

SHARE = 2
"""The divisor of the quota for one origin: it may use half of it."""
PROTECTED_SECONDS = 600.0
"""Seconds after it was wanted or accepted for which a replica does not make room for another."""


class HoldRefusal(NamedTuple):
    """The NO to a peer that asks to keep an object: the reason, and when to ask again."""

    reason: Reason
    retry_after: float | None = None
    """Seconds after which the peer may ask again; None: it need not."""
    text: str = ""
    """A sentence for a person; empty if the reason says it all."""


class Quota:
    """Decides whether one more replica fits into the policy's quota, and which replicas go to make room.

    It reads the policy and the replicas from the state.
    """

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @property
    def excess(self) -> int:
        """Bytes of replicas above the quota. Negative: so many bytes are free."""
        state = self.ledger.state
        return state.kept_bytes - state.policy.quota

    def share_refusal(self, peer: PeerId, root: Cid, size: int) -> HoldRefusal | None:
        """Return the NO if this object would exceed the share of the quota that one origin may use; otherwise None.

        A quota of 0 refuses everything.
        """
        policy = self.ledger.state.policy
        if not policy.quota:
            return HoldRefusal("low_space", text="nothing is kept for others here")
        share = policy.quota if policy.allow == (peer,) else policy.quota // SHARE
        replicas = self.ledger.state.kept.items()
        others = sum(kept.charge for other, kept in replicas if peer in kept.origins and other != root)
        if others + size > share:
            return HoldRefusal("low_space", text="that is more than one peer may have kept here")
        return None

    def room_refusal(self, size: int) -> HoldRefusal | None:
        """Return the NO if there is no room for `size` bytes, even if older replicas are dropped; otherwise None."""
        over = self.excess + size
        for kept in self.oldest_first():
            if over <= 0:
                break
            wait = kept.last_wanted + PROTECTED_SECONDS - self.ledger.wall
            if wait > 0:  # the oldest is checked first: when it may go, there may be room
                return HoldRefusal("low_space", round(max(wait, 1.0), 3))
            over -= kept.charge
        return None if over <= 0 else HoldRefusal("low_space")

    def to_drop(self, size: int = 0) -> list[Cid]:
        """Return the replicas to drop so that there is room for `size` more bytes. They are too few if no more can go.

        `size` 0: those to drop so that the quota is not exceeded.
        """
        found = []
        over = self.excess + size
        for kept in self.oldest_first():
            if over <= 0:
                break
            over -= kept.charge
            found.append(kept.root)
        return found

    def oldest_first(self) -> list[KeptReplica]:
        """Return the replicas that may be dropped to make room, the one that was used least recently first."""
        objects = self.ledger.state.objects
        found = [
            kept
            for root, kept in self.ledger.state.kept.items()
            if not kept.own and ((known := objects.get(root)) is None or known.origin == "held")
        ]
        return sorted(found, key=lambda kept: kept.last_wanted)
