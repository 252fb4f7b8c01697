"""Wants that find their holders by DHT: many real nodes over libp2p on loopback, without gossip."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from flux_tui import __version__
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.net.port import Network, OpenNetwork, Receiver
from flux_tui.node.libp2p_of_settings import libp2p_network
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import series_of, share, until

LOOPBACK = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False)
NODES = 14


class Mute:
    """A network that does not gossip."""

    def __init__(self, network: Network) -> None:
        self._network = network

    def __getattr__(self, name: str) -> Any:
        return getattr(self._network, name)

    def publish(self, data: bytes) -> None:
        """Do nothing, so that nobody receives it."""


def mute(home: Path) -> OpenNetwork:
    """Return libp2p without gossip."""

    @asynccontextmanager
    async def opening(receiver: Receiver) -> AsyncIterator[Network]:
        place = Home(home)
        async with libp2p_network(place, LOOPBACK, __version__)(receiver) as network:
            muted: Any = Mute(network)
            yield muted

    return opening


def linked(node: FluxNode) -> set[PeerId]:
    return {peer.peer for peer in node.derive_state().peers.values() if peer.connected}


async def test_a_want_finds_a_holder_that_it_is_not_connected_to(tmp_path: Path) -> None:
    """Every node knows only the hub. The DHT brings the want to the node that has the file."""
    data = bytes(range(256)) * 4000
    (tmp_path / "film.mkv").write_bytes(data)
    async with AsyncExitStack() as stack:
        nodes: list[FluxNode] = []
        for number in range(NODES):
            home = tmp_path / f"home-{number}"
            joined = (nodes[0].addrs[0],) if nodes else ()
            settings = Settings(listen=LOOPBACK.listen, mdns=False, join=joined, min_peers=0)
            nodes.append(await stack.enter_async_context(FluxNode.open(home, settings, network=mute(home))))
        hub, holder, asker = nodes[0], nodes[3], nodes[-1]
        await until(lambda: len(linked(hub)) == NODES - 1)
        root = await share(holder, tmp_path / "film.mkv")
        assert linked(asker) == {hub.peer_id}
        asker.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), by="me"))
        # On a busy machine the first push may leave before the DHT's tables are filled; the next one is a minute later.
        await until(lambda: not asker.count_pending(), 150.0)
        assert (tmp_path / "copy.mkv").read_bytes() == data
        entries = series_of(asker)
        pushed = [entry.event for entry in entries if isinstance(entry.event, ev.PushedWant)]
        assert any(push.routed for push in pushed), "the series says which way it went"
        came = [e.event for e in series_of(holder) if isinstance(e.event, ev.IntentReceived)]
        assert came[0].via == "routed"
        assert came[0].peer == asker.peer_id
        assert not any(isinstance(entry.event, ev.PeerFaulted) for node in nodes for entry in series_of(node))


async def test_a_former_holder_that_the_dht_still_names_answers_not_held(tmp_path: Path) -> None:
    """The file is removed after it was provided. Records at other nodes outlive it, and its answer is a NO."""
    (tmp_path / "film.mkv").write_bytes(b"gone soon")
    async with AsyncExitStack() as stack:
        nodes: list[FluxNode] = []
        for name in ("hub", "holder", "asker"):
            home = tmp_path / name
            joined = (nodes[0].addrs[0],) if nodes else ()
            settings = Settings(listen=LOOPBACK.listen, mdns=False, join=joined, min_peers=0)
            nodes.append(await stack.enter_async_context(FluxNode.open(home, settings, network=mute(home))))
        hub, holder, asker = nodes
        await until(lambda: len(linked(hub)) == 2)
        root = await share(holder, tmp_path / "film.mkv")
        network: Any = hub._network
        await until(lambda: network.dht.statistics().records)
        (tmp_path / "film.mkv").unlink()
        hub.push_intent(cmd.Want(root))  # directly: it says yes, and finds out later
        await until(lambda: any(isinstance(e.event, ev.ChunksLost) for e in series_of(holder)))
        hub.push_intent(cmd.Cancel((root,)))
        assert network.dht.statistics().records
        asker.push_intent(cmd.Want(root))

        def noes() -> list[ev.StatusNo]:
            told = [e.event for e in series_of(asker) if isinstance(e.event, ev.StatusNo)]
            return [no for no in told if no.peer == holder.peer_id]

        await until(noes)
        assert (noes()[0].reason, noes()[0].has_it, noes()[0].cids) == ("not_held", False, (root,))


async def test_a_file_comes_through_a_relay(tmp_path: Path) -> None:
    """The holder is known only by its address at the relay. Both meet there; a direct link may follow.

    tests/networks/test_nat.py tries holders that nobody can dial.
    """
    data = bytes(range(256)) * 20_000
    (tmp_path / "film.mkv").write_bytes(data)
    relay = Settings(listen=LOOPBACK.listen, mdns=False, serve_relay=True)
    async with FluxNode.open(tmp_path / "relay", relay) as middle:
        hidden = Settings(listen=LOOPBACK.listen, mdns=False, relay=(middle.addrs[0],))
        async with (
            FluxNode.open(tmp_path / "holder", hidden) as holder,
            FluxNode.open(tmp_path / "asker", LOOPBACK) as asker,
        ):
            root = await share(holder, tmp_path / "film.mkv")
            addr = f"{middle.addrs[0]}/p2p-circuit/p2p/{holder.peer_id}"
            assert holder.addrs[0] == addr == holder.derive_state().addrs[0]
            asker.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), addrs=(addr,), by="me"))
            await until(lambda: not asker.count_pending(), 60.0)
            assert (tmp_path / "copy.mkv").read_bytes() == data
            assert set(middle.derive_state().peers) == {holder.peer_id}, (
                "its relay is a peer of the holder alone"
            )
            assert not middle.derive_state().peers[holder.peer_id].bytes_in, "and sees nothing"


async def test_an_asker_whose_relay_is_gone_is_still_answered(tmp_path: Path) -> None:
    """Its intents name the relay first. The holder has no link to the relay."""
    (tmp_path / "film.mkv").write_bytes(bytes(100_000))
    async with FluxNode.open(tmp_path / "other", LOOPBACK) as other:
        gone = f"/ip4/127.0.0.1/tcp/1/p2p/{other.peer_id}"
    async with FluxNode.open(tmp_path / "hub", LOOPBACK) as hub:
        joined = Settings(listen=LOOPBACK.listen, mdns=False, join=(hub.addrs[0],))
        behind = Settings(listen=LOOPBACK.listen, mdns=False, join=(hub.addrs[0],), relay=(gone,))
        async with FluxNode.open(tmp_path / "holder", joined) as holder:
            root = await share(holder, tmp_path / "film.mkv")  # announced to no node that could dial for it
            async with FluxNode.open(tmp_path / "asker", behind) as asker:
                assert asker.addrs[0].startswith(gone)
                await until(lambda: holder.peer_id in asker._machine.router._table, 40.0)  # through the hub
                asker.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), by="me"))
                await until(lambda: not asker.count_pending(), 60.0)
                assert (tmp_path / "copy.mkv").read_bytes() == bytes(100_000)


async def test_a_node_reconnects_to_peers_of_its_last_run(tmp_path: Path) -> None:
    """At its second start it is told no peer: the peers of its first run are in its series."""
    (tmp_path / "film.mkv").write_bytes(bytes(100_000))
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
        root = await share(a, tmp_path / "film.mkv")
        async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
            b.push_intent(cmd.Join(a.addrs[0]))
            await until(lambda: linked(b) == {a.peer_id})
        async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
            await until(lambda: linked(b) == {a.peer_id})
            b.push_intent(cmd.Want(root))
            await until(lambda: not b.count_pending())
    async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        before = b.derive_state().errors
        await until(lambda: b._machine.router.next_deadline() < float("inf"))
        assert not linked(b)
        assert b.derive_state().errors == before, "one that is not there any more is not an error"
