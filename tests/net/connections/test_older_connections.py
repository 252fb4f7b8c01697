"""A new connection of a peer makes its older ones suspect."""

import pytest
import trio

from flux_tui.net.flux import libp2p_network
from tests.support.hosts import host_of, id_of
from tests.support.networks import Loopback, connect, node


async def test_older_connections_of_a_peer_are_probed_when_a_new_one_comes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    probed: list[object] = []

    async def probe(connection: object) -> bool:
        await trio.lowlevel.checkpoint()
        probed.append(connection)
        return True

    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        monkeypatch.setattr(libp2p_network, "probe", probe)
        (before,) = host_of(b).get_network().connections[id_of(a)]
        assert not probed
        swarm = host_of(a).get_network()
        (known, *_) = host_of(b).get_addrs()
        await swarm.dial_addr(known, id_of(b))
        with trio.fail_after(10):
            while before.muxed_conn not in probed:  # noqa: ASYNC110 - nothing wakes for it
                await trio.sleep(0.01)
        after = [one for one in host_of(b).get_network().connections[id_of(a)] if one is not before]
        assert [one.muxed_conn for one in after]
        assert not [one for one in after if one.muxed_conn in probed], "the new one is not"
