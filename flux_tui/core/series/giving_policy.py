"""The policy: what a node gives to others, and how fast. Pure.

A policy is a value. It is made from settings and flags when a node starts. A pushed command (`Configure`) changes
it while the node runs, and every change is an entry of the series. This node answers a peer that the policy limits
with a NO and its reason. So no peer waits without an answer.

A new limit is one field of `Policy`. Its `Spec` gives the option, the setting and the words for it.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.limits import TokenBucket
from flux_tui.core.series.settings_table import Kind, Spec, table

BURST_SECONDS = 0.25
"""Seconds' worth of tokens that may be spent at once after a rest."""


class ObjectRule(msgspec.Struct, frozen=True, array_like=True):
    """A rule about one object: it names a peer, or, without one, all peers."""

    cid: Cid
    peer: PeerId | None = None


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The limits that apply to everything this node gives to other nodes. Each field is described by its Spec.

    Zero or empty means no limit, unless the Spec says otherwise.
    """

    upload_limit: Annotated[int, Spec(
        Kind.RATE, "Bytes a second that leave this node, e.g. 2MB/s; 0: no limit. A request that would wait too"
        " long is answered `rate_limited`, with the time to ask again.", words="{}/s",
    )] = 0  # fmt: skip
    per_peer_limit: Annotated[int, Spec(
        Kind.RATE, "Bytes a second to any one peer; 0: no limit.", words="{}/s each",
    )] = 0  # fmt: skip
    upload_chunks: Annotated[int, Spec(
        Kind.COUNT, "Chunks a second that leave this node; 0: no limit.", option=None, words="{} chunks/s",
    )] = 0  # fmt: skip
    per_peer_chunks: Annotated[int, Spec(
        Kind.COUNT, "Chunks a second to any one peer; 0: no limit.", option=None, words="{} chunks/s each",
    )] = 0  # fmt: skip
    max_uploads: Annotated[int, Spec(
        Kind.NUMBER, "Peers that are served at the same time. Other peers are answered `busy`.",
        words="{} peers at once", one="1 peer at once",
    )] = 16  # fmt: skip
    quota: Annotated[int, Spec(
        Kind.SIZE, "Bytes of replicas to keep for others, e.g. 10GiB; 0: none, and every request for one is"
        " answered `low_space`.", words="keeps {}", none="keeps nothing",
    )] = 0  # fmt: skip
    max_object: Annotated[int, Spec(
        Kind.SIZE, "Bytes of the largest object to keep for others; 0: the quota is the only limit. A larger one is"
        " answered `too_large`.", words="objects to {}",
    )] = 0  # fmt: skip
    allow: Annotated[tuple[PeerId, ...], Spec(
        Kind.PEERS, "Peer ids. If there are any, only these peers are served; others are answered `denied`.",
        option="Serve this peer, and only the peers that are named so.", words="{} allowed",
    )] = ()  # fmt: skip
    deny: Annotated[tuple[PeerId, ...], Spec(
        Kind.PEERS, "Peer ids that are not served: they are answered `denied`.",
        option="Do not serve this peer.", words="{} denied",
    )] = ()  # fmt: skip
    allow_object: Annotated[tuple[ObjectRule, ...], Spec(
        Kind.OBJECTS, 'Objects that only some peers are served: ["bafy…=12D3KooW…"], one item for each of these peers.'
        " All others are answered `denied`. A CID alone: the object is served to nobody else.",
        option="Serve this object only to this peer, or to those that are named so: CID=PEER-ID.",
        words="allow {} objects",
    )] = ()  # fmt: skip
    deny_object: Annotated[tuple[ObjectRule, ...], Spec(
        Kind.OBJECTS, 'Objects that some peers are not served: ["bafy…=12D3KooW…"]; a CID alone: that nobody is served.'
        " They are answered `denied`. A rule is about the object's root: a peer that is served another object here, and"
        " knows the CIDs of blocks inside this one, gets these blocks. `deny` keeps all from a peer.",
        option="Do not serve this object to this peer (CID=PEER-ID), or to nobody (CID). That is about its root: a peer"
        " that is served another object here, and knows CIDs of blocks inside this one, gets these.",
        words="deny {} objects",
    )] = ()  # fmt: skip

    def refuses(self, peer: PeerId) -> bool:
        """Whether this node serves nothing to this peer."""
        return peer in self.deny or bool(self.allow and peer not in self.allow)


class ObjectRules:
    """The rules of a policy about single objects, arranged to be looked up."""

    def __init__(self, policy: Policy) -> None:
        self._allowed = _by_cid(policy.allow_object)
        self._denied = _by_cid(policy.deny_object)

    def __bool__(self) -> bool:
        return bool(self._allowed or self._denied)

    def refuse(self, peer: PeerId, cid: Cid) -> bool:
        """Whether this node does not serve the object `cid` to this peer."""
        denied, allowed = self._denied.get(cid, ()), self._allowed.get(cid)
        return peer in denied or None in denied or (allowed is not None and peer not in allowed)


def _by_cid(rules: Iterable[ObjectRule]) -> dict[Cid, set[PeerId | None]]:
    found: dict[Cid, set[PeerId | None]] = {}
    for rule in rules:
        found.setdefault(rule.cid, set()).add(rule.peer)
    return found


POLICY = table(Policy)
"""The limits by name."""

if TYPE_CHECKING:
    _Limits = Policy
else:
    _Limits = msgspec.defstruct(
        "_Limits", [(field.name, field.type | None, None) for field in msgspec.structs.fields(Policy)], frozen=True
    )  # fmt: skip


class PolicyChange(_Limits, frozen=True, kw_only=True, omit_defaults=True):
    """A change of some limits. It has the same fields as `Policy`; a field that is None does not change."""

    def given(self) -> dict[str, Any]:
        """Return the fields that this change sets, by name."""
        return {name: value for name, value in msgspec.structs.asdict(self).items() if value is not None}

    def applied(self, policy: Policy) -> Policy:
        """Return the policy with this change applied."""
        return msgspec.structs.replace(policy, **self.given())


def rate_limit(rate: float, now: float) -> TokenBucket:
    """Return a token bucket for a limit of the policy: `rate` bytes or chunks a second; 0 means no limit.

    While the bucket has no debt, any amount may be taken from it. So a chunk of any size can pass, and the average
    rate still holds.
    """
    return TokenBucket(rate * BURST_SECONDS, rate, now)
