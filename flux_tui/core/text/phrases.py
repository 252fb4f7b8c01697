"""Phrases that entries and panels share: an object's status, a policy, and a difference of clocks. Pure."""

from typing import Any

from flux_tui.core.series.events import Via
from flux_tui.core.series.giving_policy import POLICY, Policy
from flux_tui.core.series.settings_table import Kind, Setting
from flux_tui.core.series.state import ObjectState, PeerState
from flux_tui.core.text.quantities import human_duration, human_size


def object_words(found: ObjectState) -> str:
    """Return how complete an object is here, in a word or two: `whole`, `40%`, `cancelled`, or `changed since`."""
    if found.broken:
        return "changed since"
    if found.completed_at:
        return "whole"
    return "cancelled" if found.cancelled else f"{found.progress:.0%}"


def reason_first(text: str, about: str | None) -> str:
    """Move the reason to the front of a sentence that begins with `about`, a path or address.

    So a narrow line cuts off the path or address, not the reason. Other sentences are returned as they are.
    """
    if not about or not text.startswith(f"{about} "):
        return text
    return f"{text[len(about) + 1 :].removeprefix('cannot be reached: ')} · {about}"


def clock_words(seconds: float, via: Via) -> str:
    """Say that an intent is refused, because its origin's clock is wrong or because the intent is old.

    `seconds`: how far the intent's time is ahead of this node's clock; negative: behind. `via`: how the intent came.
    """
    way = "ahead of" if seconds > 0 else "behind"
    by = {"gossip": "by gossip", "routed": "by DHT", "direct": "directly"}[via]
    return (
        f"an intent {by} is refused: its clock is {human_duration(abs(seconds))} {way} this one, or it is old"
    )


def policy_words(policy: Policy) -> str:
    """Describe a policy in one line: the limits that are set, and what this node does not give at all."""
    parts = (_limit_words(setting, getattr(policy, setting.name)) for setting in POLICY.values())
    return ", ".join(part for part in parts if part)


def _limit_words(setting: Setting, value: Any) -> str:
    if not value:
        return setting.spec.none
    if value == 1 and setting.spec.one:
        return setting.spec.one
    match setting.kind:
        case Kind.RATE | Kind.SIZE:
            return setting.words.format(human_size(value))
        case kind:
            return setting.words.format(f"{len(value) if kind.is_list else value:,}")


def way_words(peer: PeerState) -> str:
    """Return which way the link to a peer goes. Of a direct link that is not flux's own: its protocol."""
    return peer.way if peer.way != "direct" or peer.speaks == "flux" else peer.speaks
