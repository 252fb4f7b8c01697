"""A node and IPFS nodes: what is fetched from them and given to them is in the series, and within the node's limits."""

import os
from contextlib import suppress
from pathlib import Path

import msgspec
import trio

from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.ids import Cid, cid_bytes, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.net.bitswap.messages import Entry, Presence
from flux_tui.node.node import FluxNode
from tests.support.bitswap_peer import BitswapPeer, bitswap_peer
from tests.support.nodes_here import LOOPBACK, share, until
from tests.support.victims import events, victim, works

BITSWAP = msgspec.structs.replace(LOOPBACK, bitswap=True)
CHUNK = 64 * 1024


def file_of(size: int) -> tuple[Cid, bytes, dict[Cid, bytes]]:
    """Return the root, the content and the blocks of a file."""
    data = os.urandom(size)
    builder, blocks = FileBuilder(CHUNK), dict[Cid, bytes]()
    for at in range(0, size, CHUNK):
        leaf = data[at : at + CHUNK]
        blocks[raw_cid(leaf)] = leaf
        builder.add_leaf(raw_cid(leaf), len(leaf))
    root = builder.finish()
    return root.cid, data, blocks | dict(root.blocks)


def settings(**limits: object) -> Settings:
    return msgspec.structs.replace(BITSWAP, **limits)


async def wanted(peer: BitswapPeer, node: FluxNode, *entries: Entry) -> None:
    await peer.dial(node.addrs[0])
    await peer.want(node.peer_id, *entries)


def blocks_of(root: Cid) -> Entry:
    return Entry(cid_bytes(root), tells=True)


async def test_a_file_of_an_ipfs_node_is_fetched_and_every_answer_is_in_the_series(tmp_path: Path) -> None:
    root, data, blocks = file_of(600_000)
    async with victim(tmp_path, BITSWAP) as node, bitswap_peer() as peer:
        peer.holds = blocks
        node.push_intent(cmd.Get(root, str(tmp_path / "out"), addrs=(peer.addr,)))
        await until(lambda: events(node, ev.ObjectCompleted), 40)
        assert (tmp_path / "out").read_bytes() == data
        assert [event.peer for event in events(node, ev.DelayedYes)] == [peer.id]
        assert [(event.peer, event.speaks) for event in events(node, ev.PeerConnected)] == [
            (peer.id, "bitswap")
        ]
        assert node.derive_state().peers[peer.id].speaks == "bitswap"
        assert {cid for event in events(node, ev.Granted) for cid in event.cids} == set(blocks)
        assert {event.cid for event in events(node, ev.ChunkReceived)} == set(blocks)
        assert node.derive_state().duplicate_factor == 1.0


async def test_a_block_that_is_missing_there_is_a_no_and_wrong_bytes_are_not_taken(tmp_path: Path) -> None:
    root, data, blocks = file_of(200_000)
    (missing, *_, wrong) = [cid for cid in blocks if cid != root]
    async with victim(tmp_path, BITSWAP) as node, bitswap_peer(90) as peer, bitswap_peer(91) as other:
        peer.holds = {**blocks, wrong: b"wrong"}
        del peer.holds[missing]
        node.push_intent(cmd.Get(root, str(tmp_path / "out"), addrs=(peer.addr,)))
        await until(lambda: events(node, ev.StatusNo) and events(node, ev.ChunkWasted), 40)
        (no,) = events(node, ev.StatusNo)
        assert (no.peer, no.cids, no.reason, no.has_it) == (peer.id, (missing,), "not_held", False)
        (waste,) = events(node, ev.ChunkWasted)
        assert (waste.peer, waste.cause, waste.size) == (peer.id, "unasked", 5)
        other.holds = blocks
        node.push_intent(cmd.Join(other.addr))
        await until(lambda: events(node, ev.ObjectCompleted), 60)
        assert (tmp_path / "out").read_bytes() == data


async def test_an_ipfs_node_is_given_what_is_shared(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(data := os.urandom(300_000))
    async with victim(tmp_path, BITSWAP) as node, bitswap_peer() as peer:
        root = await share(node, tmp_path / "file")
        absent = Presence(cid_bytes(raw_cid(b"?")), have=False)
        await wanted(peer, node, Entry(cid_bytes(root), have=True), Entry(absent.cid, have=True, tells=True))
        await peer.until(lambda: len(peer.presences) == 2)
        assert set(peer.presences) == {absent, Presence(cid_bytes(root), have=True)}
        await wanted(peer, node, blocks_of(root))
        await peer.until(lambda: peer.blocks)
        assert peer.blocks[0].data == data
        await until(lambda: events(node, ev.ChunksSent))
        assert {cid for event in events(node, ev.IntentReceived) for cid in event.cids} == {root}
        assert {event.cids for event in events(node, ev.GrantReceived)} == {(root,)}
        assert [(event.cids, event.reason) for event in events(node, ev.AnsweredNo)] == [
            ((raw_cid(b"?"),), "not_held")
        ]


async def test_a_peer_that_is_denied_gets_dont_have(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(os.urandom(1000))
    async with bitswap_peer() as peer, victim(tmp_path, settings(deny=(peer.id,))) as node:
        root = await share(node, tmp_path / "file")
        await wanted(peer, node, blocks_of(root), Entry(cid_bytes(root), have=True, tells=True))
        await peer.until(lambda: peer.presences)
        await wanted(peer, node, blocks_of(root))
        await peer.until(lambda: len(peer.presences) == 2)
        assert set(peer.presences) == {Presence(cid_bytes(root), have=False)}
        assert not peer.blocks
        assert {event.reason for event in events(node, ev.AnsweredNo)} == {"denied"}


async def test_a_limit_delays_blocks_and_nobody_has_to_ask_again(tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(6)]
    for path in paths:
        path.write_bytes(os.urandom(200_000))
    async with victim(tmp_path, settings(upload_limit=400_000)) as node, bitswap_peer() as peer:
        roots = [await share(node, path) for path in paths]
        await wanted(peer, node, *map(blocks_of, roots))
        await peer.until(lambda: len(peer.blocks) == len(paths))
        assert not peer.presences
        assert {event.reason for event in events(node, ev.AnsweredNo)} <= {"rate_limited"}


async def test_wantlists_without_end_are_not_admitted_and_the_node_works_on(tmp_path: Path) -> None:
    async with victim(tmp_path, BITSWAP) as node, bitswap_peer() as peer:
        await peer.dial(node.addrs[0])
        with trio.move_on_after(4):
            for number in range(60):
                cids = [raw_cid(b"%d %d" % (number, at)) for at in range(4000)]
                many = [Entry(cid_bytes(cid), tells=True) for cid in cids]
                with suppress(Exception):  # it is disconnected
                    await peer.want(node.peer_id, *many)
        entries = node.derive_state().seq
        assert entries < 4000
        await works(node, tmp_path, settings=BITSWAP)
