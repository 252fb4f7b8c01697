"""Intents one-to-many: gossipsub on one topic.

Best effort by nature (libp2p's queues drop silently when full): who must hear an intent is pushed to
directly, and what nobody answered is pushed again by timer.
Intents carry their origin's signature, so gossipsub's own is off; and a message is named by its content,
so that a copy is a copy whoever sends it.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import sha256

import trio
from libp2p.abc import IHost
from libp2p.peer.id import ID
from libp2p.pubsub.gossipsub import PROTOCOL_ID, PROTOCOL_ID_V11, GossipSub
from libp2p.pubsub.pb import rpc_pb2
from libp2p.pubsub.pubsub import Pubsub
from libp2p.tools.anyio_service import background_trio_service

from flux_tui.core.codec import MAX_SEALED
from flux_tui.core.ids import PeerId
from flux_tui.net.network import INTENT_TOPIC, Receiver

log = logging.getLogger(__name__)

DEGREE, DEGREE_LOW, DEGREE_HIGH = 6, 4, 12
"""Neighbours in the mesh: wanted, at least, at most (gossipsub's own defaults)."""
HEARTBEAT_SECONDS = 1
OUTBOX = 256
"""Intents waiting to be published; the oldest is dropped for a newer one."""


class Broadcast:
    """The gossip side of a network."""

    def __init__(self, pubsub: Pubsub) -> None:
        self._pubsub = pubsub
        self._send, self._receive = trio.open_memory_channel[bytes](OUTBOX)

    def publish(self, data: bytes) -> None:
        """Queue a message for the swarm."""
        try:
            self._send.send_nowait(data)
        except trio.WouldBlock:
            self._receive.receive_nowait()
            self._send.send_nowait(data)

    async def run_outbox(self) -> None:
        """Publish what is queued, until cancelled."""
        async for data in self._receive:
            try:
                await self._pubsub.publish(INTENT_TOPIC, data)
            except Exception as error:  # a neighbour that went away meanwhile
                log.debug("publishing: %r", error)

    async def run_inbox(self, me: PeerId, receiver: Receiver) -> None:
        """Hand over what comes, until cancelled.

        A message names its origin itself, and nobody checks it; who handed it to us only a validator is
        told. It sees each message once, and what it declines goes no further.
        """

        def take(forwarder: ID, message: rpc_pb2.Message) -> bool:
            peer = PeerId(str(forwarder))
            if peer != me:
                if not 0 < len(message.data) <= MAX_SEALED:
                    return False
                receiver.on_gossip(peer, message.data)
            return True

        self._pubsub.set_topic_validator(INTENT_TOPIC, take, is_async_validator=False)
        subscription = await self._pubsub.subscribe(INTENT_TOPIC)
        while True:
            await subscription.get()  # it is read already, but a subscription makes us part of the mesh


@asynccontextmanager
async def open_broadcast(host: IHost) -> AsyncIterator[Broadcast]:
    """Gossipsub on a host, for as long as the context lasts."""
    router = GossipSub(
        [PROTOCOL_ID_V11, PROTOCOL_ID],
        DEGREE,
        DEGREE_LOW,
        DEGREE_HIGH,
        heartbeat_interval=HEARTBEAT_SECONDS,
        spam_protection_enabled=False,  # it would count our own messages, ten a second
    )
    pubsub = Pubsub(
        host,
        router,
        strict_signing=False,
        msg_id_constructor=_content_id,
        allowed_topics=frozenset({INTENT_TOPIC}),
    )
    async with background_trio_service(pubsub), background_trio_service(router):
        await pubsub.wait_until_ready()
        yield Broadcast(pubsub)


def _content_id(message: rpc_pb2.Message) -> bytes:
    return sha256(message.data).digest()
