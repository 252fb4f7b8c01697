"""Signs this node's intents, and verifies the intents of other nodes before anything else is done with them."""

import os
from collections.abc import Callable

from flux_tui.core.api.effects import Broadcast
from flux_tui.core.api.inputs import IntentCame, NotAdmitted, PeerFault, RouteCame, UnknownCame
from flux_tui.core.ids import PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.peers.intent_limits import IntentLimits
from flux_tui.core.series.events import Via
from flux_tui.core.wire import codec
from flux_tui.core.wire.messages import INTENT_TTL, MAX_ADDRS, Intent, Route, SealedIntent, Want
from flux_tui.net.port import Network

NONCE_BYTES = 12


def seal(network: Network, effect: Broadcast, now: float) -> SealedIntent:
    """Make the intent that `effect` describes, with this node's return addresses, and sign it with the node's key.

    `now`: the wall clock's time, from which the intent's expiry is counted.
    """
    intent = Intent(
        origin=network.peer_id,
        nonce=effect.nonce or os.urandom(NONCE_BYTES),
        expires=now + INTENT_TTL,
        body=effect.body,
        addrs=network.addrs[:MAX_ADDRS],
    )
    signed = codec.encode_intent(intent)
    return SealedIntent(signed=signed, signature=network.sign(signed))


def broadcast(
    network: Network, effect: Broadcast, now: float, dropped: Callable[[PeerId, SealedIntent], None]
) -> None:
    """Sign an intent, and push it directly to the effect's peers.

    If the effect says so, route it through the DHT and gossip it to the swarm, too. `dropped`: called for
    each peer to which the intent could not be pushed.
    """
    sealed = seal(network, effect, now)
    for peer in effect.peers:
        if not network.push(peer, sealed):
            dropped(peer, sealed)
    if effect.routes:
        network.route(effect.routes, Route(intent=sealed, hops=1))
    if effect.gossip:
        network.publish(codec.encode_sealed(sealed))


def unseal(
    network: Network,
    machine: Machine,
    limits: IntentLimits,
    sender: PeerId,
    sealed: SealedIntent,
    *,
    gossip: bool,
    now: float,
) -> IntentCame | PeerFault | UnknownCame | NotAdmitted | None:
    """Verify an intent that `sender` pushed or gossiped. Returns an input for the machine.

    - IntentCame: the intent is valid.
    - PeerFault: the intent is invalid, and the sender is at fault.
    - UnknownCame: this version does not know the intent's kind.
    - NotAdmitted: the intent's origin pushed too many intents. The result is None instead if the intent came by
      another peer or by gossip.
    """
    intent = _verified(network, machine, limits, sender, sealed, now)
    if isinstance(intent, NotAdmitted):
        return None if gossip else intent
    if not isinstance(intent, Intent):
        return intent
    via: Via = "direct" if intent.origin == sender and not gossip else "gossip"
    return IntentCame(intent=intent, via=via, fresh=intent.origin == sender, by=sender)


def unseal_route(
    network: Network, machine: Machine, limits: IntentLimits, sender: PeerId, route: Route, *, now: float
) -> RouteCame | PeerFault | UnknownCame | None:
    """Verify an intent that came through the DHT. Returns an input for the machine.

    - RouteCame: the intent is valid.
    - PeerFault, UnknownCame: as in `unseal`.
    - None: the intent's origin pushed too many intents.
    """
    intent = _verified(network, machine, limits, sender, route.intent, now)
    if isinstance(intent, NotAdmitted):
        return None
    if not isinstance(intent, Intent):
        return intent
    return RouteCame(peer=sender, intent=intent, sealed=route.intent, hops=route.hops)


def unsigned_want(
    limits: IntentLimits, peer: PeerId, want: Want, *, now: float, wall: float
) -> IntentCame | NotAdmitted:
    """Return the input for a want of a peer that signs no intents. The connection has authenticated the peer.

    It counts against the same limits as a signed one. NotAdmitted: the peer pushed too many. `now`, `wall`: steady time
    and the wall clock's.
    """
    intent = Intent(origin=peer, nonce=os.urandom(NONCE_BYTES), expires=wall + INTENT_TTL, body=want)
    if not limits.admits_sender(peer, now) or not limits.admits_origin(peer, now):
        return NotAdmitted(peer=peer, forwarded=False, intent=intent)
    limits.signed(peer, now)
    return IntentCame(intent=intent, via="direct", fresh=True, by=peer)


def _verified(
    network: Network,
    machine: Machine,
    limits: IntentLimits,
    sender: PeerId,
    sealed: SealedIntent,
    now: float,
) -> Intent | PeerFault | UnknownCame | NotAdmitted | None:
    try:
        intent = codec.decode_intent(sealed.signed)
    except codec.UnknownKindError as error:
        return UnknownCame(peer=sender, kind=f"intent {error.kind}")
    except codec.BadFrameError as error:
        return PeerFault(peer=sender, fault="garbage", text=f"this should be an intent and is not: {error}")
    # A copy that came by another way is not counted again.
    copy = machine.has_seen(intent)
    if not copy and not limits.admits_origin(intent.origin, now):
        return NotAdmitted(peer=sender, forwarded=False, intent=intent) if intent.origin == sender else None
    if not network.verify(intent.origin, sealed.signed, sealed.signature):
        return PeerFault(peer=sender, fault="bad_signature", text="an intent that its origin did not sign")
    if not copy:
        limits.signed(intent.origin, now)
    network.note_addrs(sender, intent.addrs)
    return intent
