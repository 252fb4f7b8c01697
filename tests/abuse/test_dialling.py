"""What makes a node dial: strangers control neither the targets nor the rate of its dials."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.peer.id import ID
from libp2p.utils.varint import encode_uvarint
from msgspec.structs import replace

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.series import events as ev
from flux_tui.core.wire.messages import Have, Want
from flux_tui.net.addresses import dial_guard
from flux_tui.net.connections import dial_table
from flux_tui.node.node import FluxNode
from tests.abuse.attacker import Attacker, attacking
from tests.support.gossip import prune
from tests.support.nodes_here import share, until
from tests.support.victims import events, linked, victim, works


class Doors:
    """Ports of this machine that count connections."""

    def __init__(self, ports: tuple[int, ...]) -> None:
        self.ports = ports
        self.knocks = 0

    def addr(self, peer: str, number: int = 0) -> str:
        return f"/ip4/127.0.0.1/tcp/{self.ports[number % len(self.ports)]}/p2p/{peer}"


@asynccontextmanager
async def doors(count: int = 1) -> AsyncIterator[Doors]:
    async with trio.open_nursery() as nursery:
        listeners = [(await trio.open_tcp_listeners(0, host="127.0.0.1"))[0] for _ in range(count)]
        found = Doors(tuple(one.socket.getsockname()[1] for one in listeners))

        async def knock(stream: trio.SocketStream) -> None:
            found.knocks += 1
            await stream.aclose()

        nursery.start_soon(trio.serve_listeners, knock, listeners)
        yield found
        nursery.cancel_scope.cancel()


def a_peer() -> PeerId:
    return PeerId(str(ID.from_pubkey(create_new_key_pair().public_key)))


def told(node: FluxNode) -> list[str]:
    return [error.text for error in events(node, ev.ErrorOccurred)]


@pytest.fixture
def from_afar(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make the node treat every peer of this test as a remote one."""
    monkeypatch.setattr(dial_guard, "_reach", lambda connection: Reach.PUBLIC)


async def answered(attacker: Attacker) -> None:
    """Wait until the victim has processed all pushes: it answers the last one."""
    heard = len(attacker.heard)
    await attacker.want((raw_cid(os.urandom(8)),))
    await until(lambda: len(attacker.heard) > heard)


async def test_peer_exchange_is_not_followed(tmp_path: Path) -> None:
    async with victim(tmp_path) as node, attacking(node.addrs[0]) as attacker, doors() as there:
        await linked(node, attacker)
        stream = await attacker.open("/meshsub/1.1.0")
        body = prune(300, there.addr("")[: -len("/p2p/")]).SerializeToString()
        for _ in range(4):
            await stream.write(encode_uvarint(len(body)) + body)
        await until(lambda: any("peer exchange" in text for text in told(node)))
        await answered(attacker)
        assert not there.knocks
        assert [text for text in told(node) if "peer exchange" in text] == [
            f"{attacker.peer_id} named 300 peers by gossip's peer exchange: this node does not dial them"
        ]
        assert await works(node, tmp_path) < 30


Intents = Callable[[Attacker, Doors, int], tuple[PeerId, tuple[str, ...]]]


async def pushed(attacker: Attacker, node: FluxNode, root: str, there: Doors, count: int) -> None:
    """Push wants with ever new identities and their return addresses."""
    for number in range(count):
        pair = create_new_key_pair()
        origin = PeerId(str(ID.from_pubkey(pair.public_key)))
        addrs = tuple(there.addr(origin, number + more) for more in range(4))
        body = Want(cids=(root,)) if number % 2 else Have(root=root, size=1)  # type: ignore[arg-type]
        await attacker.push(attacker.intent(body, origin=origin, addrs=addrs, pair=pair))


@pytest.mark.usefixtures("from_afar")
async def test_a_remote_peer_cannot_make_the_node_dial_this_machine(tmp_path: Path) -> None:
    async with victim(tmp_path) as node, attacking(node.addrs[0]) as attacker, doors(4) as there:
        (tmp_path / "x").write_bytes(b"something")
        root = await share(node, tmp_path / "x")
        await linked(node, attacker)
        await pushed(attacker, node, root, there, 40)
        await answered(attacker)
        await until(lambda: any("comes from elsewhere" in text for text in told(node)))
        assert not there.knocks
        (text,) = [text for text in told(node) if "comes from elsewhere" in text]
        assert text.endswith(
            f"it is an address of this machine or of a private network, and {attacker.peer_id} comes from elsewhere"
        )
        # An address that a person gives is still dialled.
        node.push_intent(cmd.Join(there.addr(a_peer())))
        await until(lambda: there.knocks)


async def test_a_local_peer_makes_the_node_dial_a_port_only_a_few_times(tmp_path: Path) -> None:
    async with victim(tmp_path) as node, attacking(node.addrs[0]) as attacker, doors() as there:
        (tmp_path / "x").write_bytes(b"something")
        root = await share(node, tmp_path / "x")
        await linked(node, attacker)
        await pushed(attacker, node, root, there, 60)
        await answered(attacker)
        await until(lambda: any("was dialled too often" in text for text in told(node)))
        assert 1 <= there.knocks <= 5
        assert await works(node, tmp_path) < 30


async def test_dead_addresses_of_a_ticket_are_dialled_with_backoff(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tenth of the waits, for a tenth of 35 s: of 52 dials, 5 rounds and a probe remain."""
    tenth = replace(dial_table.REDIAL, first=dial_table.REDIAL.first / 10, most=dial_table.REDIAL.most / 10)
    monkeypatch.setattr(dial_table, "REDIAL", tenth)
    async with victim(tmp_path) as node, doors(4) as there:
        peer = a_peer()
        addrs = tuple(there.addr(peer, number) for number in range(4))
        root = raw_cid(b"what nobody has")
        node.push_intent(cmd.Get(root, str(tmp_path / "out"), "out", 1, addrs, "me"))
        await trio.sleep(3.5)
        assert 8 <= there.knocks <= 28
