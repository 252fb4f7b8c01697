"""Bitswap with real nodes: Helia and Kubo fetch from a node of flux, and it fetches from them."""

from pathlib import Path

import msgspec

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, is_leaf, parse_cid
from flux_tui.core.series import events as ev
from flux_tui.node.node import FluxNode
from tests.support.ipfs_nodes import IpfsNode, helia, kubo
from tests.support.nodes_here import LOOPBACK, share, until
from tests.support.random_trees import content, make_file, make_folder
from tests.support.victims import events

BITSWAP = msgspec.structs.replace(LOOPBACK, bitswap=True)
LAYOUTS: dict[str, dict[str, object]] = {
    "one-mebibyte-chunks": {"chunk": 1 << 20, "width": 1024},
    "two-mebibyte-chunks": {"chunk": 1 << 21},
    "cidv0-dag-pb-leaves": {"raw": False, "version": 0, "chunk": 65_536},
    "deep": {"chunk": 16_384, "width": 4},
    "trickle": {"chunk": 16_384, "width": 4, "layout": "trickle"},
}
SECONDS = 120.0


async def fetched(node: FluxNode, of: IpfsNode, cid: str, to: Path) -> Path:
    root: Cid = parse_cid(cid)
    node.push_intent(cmd.Get(root, str(to), addrs=(of.addr,)))
    await until(lambda: any(one.root == root for one in events(node, ev.ObjectCompleted)), SECONDS)
    return to


async def test_helia_and_a_node_fetch_from_each_other(tmp_path: Path) -> None:
    folder, file = make_folder(tmp_path / "folder"), make_file(tmp_path / "file")
    many = make_folder(tmp_path / "many", 60)
    async with helia() as other, FluxNode.open(tmp_path / "home", BITSWAP) as node:
        for name, options in LAYOUTS.items():
            cid = await other.add(file, **options)
            assert content(await fetched(node, other, cid, tmp_path / name)) == content(file), name
        for name, source, shard in (("plain", folder, 262_144), ("sharded", many, 100)):
            cid = await other.add(source, shard=shard)
            assert content(await fetched(node, other, cid, tmp_path / name)) == content(source), name
        nodes = [one for one in events(node, ev.ChunkReceived) if not is_leaf(one.cid)]
        assert sum(one.fills for one in nodes) == 3_000_000, "leaves of CIDv0 count as they come"
        (peer,) = {one.peer for one in events(node, ev.ChunkReceived)}
        assert other.addr.endswith(peer)
        assert not events(node, ev.ChunkWasted)
        for name, source in (("file back", file), ("folder back", folder)):
            new = source.rename(tmp_path / f"{name} source")
            root = await share(node, new)
            await other.get(node.addrs[0], root, tmp_path / name)
            assert content(tmp_path / name) == content(new)
        assert {one.peer for one in events(node, ev.ChunksSent)} <= {peer}


async def test_kubo_and_a_node_fetch_from_each_other(tmp_path: Path) -> None:
    folder, file = make_folder(tmp_path / "folder"), make_file(tmp_path / "file")
    async with kubo(tmp_path / "repo") as other, FluxNode.open(tmp_path / "home", BITSWAP) as node:
        for name, source in (("file of kubo", file), ("folder of kubo", folder)):
            cid = await other.add(source)
            assert cid.startswith("Qm")
            assert content(await fetched(node, other, cid, tmp_path / name)) == content(source)
        mine, my_folder = make_file(tmp_path / "mine", 4_000_000), make_folder(tmp_path / "my folder", 40)
        for name, source in (("file to kubo", mine), ("folder to kubo", my_folder)):
            root = await share(node, source)
            await other.get(node.addrs[0], root, tmp_path / name)
            assert content(tmp_path / name) == content(source)
        sent = {cid for one in events(node, ev.ChunksSent) for cid in one.cids}
        assert root in sent
