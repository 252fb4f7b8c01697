"""Tells peers a host's own agent version by identify, and reports the agent versions of peers. For libp2p 0.8.x.

Replaces `_mk_identify_protobuf` and `update_peerstore_from_identify`, where identify and identify push use them.

What libp2p 0.8.1 does:

- Every host of a process tells the same agent version, `AGENT_VERSION` of its module `identify`: `py-libp2p/0.8.1`.
- It reads the agent versions of peers, and keeps none of them.

A peer that comes back may tell another one: see `identify_again.py`.

Upstream: no issue is known. Test: tests/net/upstream/identify/test_agent_version.py; those of its tests that begin
with `test_libp2p_still` show what libp2p does, and fail when upstream changes.
"""

from collections.abc import Callable
from typing import Any
from weakref import WeakKeyDictionary

from libp2p.host import basic_host
from libp2p.identity.identify import identify
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push import identify_push
from libp2p.identity.update import update_peerstore_from_identify
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.ids import PeerId

Heard = Callable[[PeerId, str], None]
_told: WeakKeyDictionary[Any, str] = WeakKeyDictionary()
"""The agent version of each host."""
_heard: WeakKeyDictionary[Any, Heard] = WeakKeyDictionary()
"""The functions that are called with the agent versions of peers, by the host's peerstore."""
_make = identify._mk_identify_protobuf
_update = update_peerstore_from_identify


def exchange_agent_versions(host: Any, agent_version: str, heard: Heard) -> None:
    """Let a host tell peers this agent version, and call `heard` with each agent version that a peer tells.

    What a peer tells is not checked. With an empty `agent_version`, the host tells libp2p's own.
    """
    if agent_version:
        _told[host] = agent_version
    _heard[host.get_peerstore()] = heard
    for module in (identify, identify_push):
        module._mk_identify_protobuf = _make_own  # type: ignore[attr-defined]  # it is imported there
    for user in (basic_host, identify_push):
        user.update_peerstore_from_identify = _update_and_tell  # type: ignore[attr-defined]  # it is imported there


def _make_own(host: Any, observed_multiaddr: Multiaddr | None) -> Identify:
    message = _make(host, observed_multiaddr)
    if host in _told:
        message.agent_version = _told[host]
    return message


async def _update_and_tell(peerstore: Any, peer_id: ID, identify_msg: Identify) -> None:
    await _update(peerstore, peer_id, identify_msg)
    if peerstore in _heard:
        _heard[peerstore](PeerId(str(peer_id)), identify_msg.agent_version)
