"""What identify tells of the program, in both directions."""

from typing import Any

from libp2p.identity.identify.identify import AGENT_VERSION, ID
from libp2p.identity.identify.pb.identify_pb2 import Identify
from libp2p.identity.identify_push.identify_push import push_identify_to_peers
from libp2p.identity.update import update_peerstore_from_identify
from libp2p.utils.varint import read_length_prefixed_protobuf

from flux_tui.core.ids import PeerId
from flux_tui.net.upstream.identify.agent_version import exchange_agent_versions
from tests.support.hosts import two_plain_hosts
from tests.support.nodes_here import until


async def told_to(host: Any, peer: Any) -> str:
    """Return the agent version that a peer tells a host that asks."""
    stream = await host.new_stream(peer, [ID])
    message = Identify()
    message.ParseFromString(await read_length_prefixed_protobuf(stream, use_varint_format=True))
    return message.agent_version


async def test_libp2p_still_tells_its_own_and_keeps_none() -> None:
    assert AGENT_VERSION.startswith("py-libp2p/")
    async with two_plain_hosts() as (one, other):
        assert await told_to(one, other.get_id()) == AGENT_VERSION
        message = Identify(agent_version="flux-tui/0.2.0 (ada)")
        await update_peerstore_from_identify(one.get_peerstore(), other.get_id(), message)
        assert "ada" not in str(one.get_peerstore().peer_data_map[other.get_id()].metadata)


async def test_each_host_tells_its_own_and_hears_those_of_peers() -> None:
    """Also those that know nothing of it hear, and are heard."""
    async with two_plain_hosts() as (one, other):
        heard: list[tuple[PeerId, str]] = []
        exchange_agent_versions(one, "flux-tui/0.2.0 (ada)", lambda *told: heard.append(told))
        assert await told_to(other, one.get_id()) == "flux-tui/0.2.0 (ada)"
        assert await told_to(one, other.get_id()) == AGENT_VERSION
        peer = PeerId(str(other.get_id()))
        await push_identify_to_peers(other)
        await until(lambda: (peer, AGENT_VERSION) in heard)
        exchange_agent_versions(other, "flux-tui/0.2.0 (bob)", lambda *told: None)
        await push_identify_to_peers(other)
        await until(lambda: (peer, "flux-tui/0.2.0 (bob)") in heard)


async def test_without_an_agent_version_it_is_that_of_libp2p() -> None:
    async with two_plain_hosts() as (one, other):
        exchange_agent_versions(one, "", lambda *told: None)
        assert await told_to(other, one.get_id()) == AGENT_VERSION
