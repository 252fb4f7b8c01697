"""The quota: whether there is room for one more replica, and which replicas make room. Pure.

- One origin may use at most a share of the quota, unless it is the only peer that is allowed.
- The replica that was wanted least recently makes room. Only replicas do: what the user added or got is never
  touched. A replica that was wanted or accepted a short while ago does not make room for a new one.
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
    """Why an object is not kept for a peer."""

    reason: Reason
    retry_after: float | None = None
    """Seconds after which the peer may ask again; None: it need not."""
    text: str = ""
    """A sentence for a person; empty if the reason says it all."""


class Quota:
    """The room for replicas. The policy and the replicas are those of the state."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    @property
    def excess(self) -> int:
        """Bytes of replicas above the quota; negative: bytes that are free."""
        state = self.ledger.state
        return state.kept_bytes - state.policy.quota

    def share_refusal(self, peer: PeerId, root: Cid, size: int) -> HoldRefusal | None:
        """Why an origin may not have this object kept as well: its share is used up; None if it may."""
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
        """Why there is no room for so many bytes; None if there is, or if it can be made."""
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
        """Return the replicas that have to go so that there is room for `size` more bytes."""
        found = []
        over = self.excess + size
        for kept in self.oldest_first():
            if over <= 0:
                break
            over -= kept.charge
            found.append(kept.root)
        return found

    def oldest_first(self) -> list[KeptReplica]:
        """Return the replicas that may make room, those wanted least recently first."""
        objects = self.ledger.state.objects
        found = [
            kept
            for root, kept in self.ledger.state.kept.items()
            if not kept.own and ((known := objects.get(root)) is None or known.origin == "held")
        ]
        return sorted(found, key=lambda kept: kept.last_wanted)
