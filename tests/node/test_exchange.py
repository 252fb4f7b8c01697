"""What nodes tell each other about peers: signed by this node, and checked before anything else is done."""

from pathlib import Path

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair

from flux_tui import FluxNode, Join
from flux_tui.config import Settings
from flux_tui.core.api.effects import Introduce, TellRecords
from flux_tui.core.api.inputs import IntroductionCame, PeerFault, RecordsCame, UnknownCame
from flux_tui.core.wire import codec
from flux_tui.core.wire.exchange import MAX_RECORDS, Introduction, Records
from flux_tui.net.discovery.peer_records import seal
from flux_tui.net.port import Network
from flux_tui.node.exchange import OwnRecord, RecordLimits, take
from flux_tui.testing.memory_network import Switchboard
from tests.support.networks import Node, Seen
from tests.support.nodes_here import until

LOOPBACK = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False)


def record(number: int, addr: str = "/ip4/9.9.9.9/tcp/1") -> bytes:
    return seal(create_new_key_pair(bytes([number]) * 32).private_key, [addr], 1)


class Told:
    """A network that keeps what it is told to tell."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.told: list[tuple[str, bytes]] = []

    def __getattr__(self, name: str) -> object:
        return getattr(self.network, name)

    def tell(self, peer: str, data: bytes) -> None:
        self.told.append((peer, data))


@pytest.fixture
async def one() -> "Node":
    async with Switchboard().opening()(Seen()) as network:
        return Node(network, Seen())


async def test_a_node_tells_its_own_record_and_others(one: Node) -> None:
    network = Told(one.network)
    now = [1000.0]
    own = OwnRecord(network, lambda: now[0])  # type: ignore[arg-type]
    own.tell(TellRecords(peers=("a", "b"), records=(record(7),)))  # type: ignore[arg-type]
    assert [peer for peer, _ in network.told] == ["a", "b"]
    told = codec.decode_told(network.told[0][1])
    assert isinstance(told, Records)
    mine = one.network.open_record(told.records[0])
    assert mine is not None
    assert (mine.peer, mine.addrs, mine.seq) == (one.id, one.network.addrs, 1_000_000)
    assert told.records[1] == record(7)
    now[0] = 10.0  # the clock was set back by more than an hour or not: numbers only rise
    own.introduce(Introduce(via=one.id, to=one.id))
    now[0] = 9000.0
    own.introduce(Introduce(via=one.id, to=one.id))
    last = codec.decode_told(network.told[-1][1])
    assert isinstance(last, Introduction)
    newer = one.network.open_record(last.record)
    assert newer is not None
    assert newer.seq > mine.seq


async def test_what_a_peer_tells_is_opened(one: Node) -> None:
    data = codec.encode_told(Records(records=(record(7), record(8))))
    given = take(one.network, RecordLimits(), one.id, data, 0.0)
    assert isinstance(given, RecordsCame)
    assert [found.addrs for found in given.records] == [("/ip4/9.9.9.9/tcp/1",)] * 2
    assert given.reach == 1
    data = codec.encode_told(Introduction(to=one.id, record=record(7), steps=1))
    given = take(one.network, RecordLimits(), one.id, data, 0.0)
    assert isinstance(given, IntroductionCame)
    assert (given.to, given.steps) == (one.id, 1)


async def test_garbage_and_forgeries_are_faults_of_the_teller(one: Node) -> None:
    forged = codec.encode_told(Records(records=(record(7)[:-1] + b"x",)))
    for data, fault in ((b"x", "garbage"), (bytes(30_000), "garbage"), (forged, "bad_signature")):
        given = take(one.network, RecordLimits(), one.id, data, 0.0)
        assert isinstance(given, PeerFault)
        assert given.fault == fault
    assert isinstance(take(one.network, RecordLimits(), one.id, b"\x91\xa3new", 0.0), UnknownCame)


async def test_records_of_one_peer_are_checked_up_to_its_budget(one: Node) -> None:
    limits = RecordLimits()
    data = codec.encode_told(Records(records=tuple(record(number) for number in range(1, MAX_RECORDS + 1))))
    taken = [take(one.network, limits, one.id, data, 0.0) is not None for _ in range(10)]
    assert sum(taken) == 4
    assert take(one.network, limits, one.id, data, 16.0) is not None


async def test_nodes_that_joined_one_meet_each_other_and_again_without_it(tmp_path: Path) -> None:
    """Three leaves of a star become neighbours. After the middle has gone and all were restarted, too."""
    names = ("a", "b", "c")
    async with (
        FluxNode.open(tmp_path / "middle", LOOPBACK) as middle,
        FluxNode.open(tmp_path / "a", LOOPBACK) as a,
        FluxNode.open(tmp_path / "b", LOOPBACK) as b,
        FluxNode.open(tmp_path / "c", LOOPBACK) as c,
    ):
        for leaf in (a, b, c):
            leaf.push_intent(Join(middle.addrs[0]))
        await until(lambda: all(leaf.derive_state().connected == 3 for leaf in (a, b, c)), 30.0)
        ports = [int(leaf.addrs[0].split("/")[4]) for leaf in (a, b, c)]
    again = [Settings(listen=(f"/ip4/127.0.0.1/tcp/{port}",), mdns=False) for port in ports]
    async with (
        FluxNode.open(tmp_path / names[0], again[0]) as a,
        FluxNode.open(tmp_path / names[1], again[1]) as b,
        FluxNode.open(tmp_path / names[2], again[2]) as c,
    ):
        await until(lambda: all(leaf.derive_state().connected == 2 for leaf in (a, b, c)), 30.0)
