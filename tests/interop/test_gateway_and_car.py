"""Helia as a client of the gateway, and CARs that go to Helia and back."""

from pathlib import Path

from flux_tui.core.ids import Cid, is_leaf, parse_cid
from flux_tui.home import Home
from flux_tui.node.offline import add_offline
from tests.bench.gateway import serving
from tests.bench.nodes import flux
from tests.support.ipfs_nodes import helia
from tests.support.random_trees import content, make_file, make_folder


def share(home: Home, path: Path, *, car: bool = False) -> Cid:
    """Share a path, or the object in a CAR. Return its root."""
    return add_offline(home, path, "t", lambda *_: None, lambda _: None, car=car).root


async def test_helias_gateway_client_fetches_from_the_gateway(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    sources = {"file": make_file(tmp_path / "file"), "folder": make_folder(tmp_path / "folder")}
    roots = {name: share(home, source) for name, source in sources.items()}
    sources["sharded"], theirs = make_folder(tmp_path / "sharded", 40), tmp_path / "sharded.car"
    async with helia() as other:
        await other.do("carOut", cid=await other.add(sources["sharded"], shard=100), to=str(theirs))
        roots["sharded"] = share(home, theirs, car=True)
        with serving("-m", "flux_tui", "gateway", "--port", "0", "--home", str(home.path)) as (url, _):
            for name, root in roots.items():
                await other.do("http", url=url, cid=root, to=str(tmp_path / f"{name} got"))
                assert content(tmp_path / f"{name} got") == content(sources[name]), name


async def test_a_car_goes_to_helia_and_back(tmp_path: Path) -> None:
    home, again = Home(tmp_path / "home"), Home(tmp_path / "again")
    async with helia() as other:
        for name, source in (
            ("file", make_file(tmp_path / "file")),
            ("folder", make_folder(tmp_path / "folder")),
        ):
            root, out, back = share(home, source), tmp_path / f"{name}.car", tmp_path / f"{name} back.car"
            flux("export", "--car", root, str(out), home=home.path)
            assert await other.do("carIn", **{"from": str(out)}) == {"roots": [root]}
            await other.do("write", cid=root, to=str(tmp_path / f"{name} at helia"))
            assert content(tmp_path / f"{name} at helia") == content(source)
            await other.do("carOut", cid=root, to=str(back))
            assert share(again, back, car=True) == root


async def test_a_car_of_helia_with_a_sharded_folder_is_added_and_exported(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    many, theirs, ours = make_folder(tmp_path / "many", 60), tmp_path / "theirs.car", tmp_path / "ours.car"
    async with helia() as other, helia() as third:
        cid = await other.add(many, shard=100)
        await other.do("carOut", cid=cid, to=str(theirs))
        root = share(home, theirs, car=True)
        assert root == parse_cid(cid)
        assert not is_leaf(root)
        flux("export", "--car", root, str(ours), home=home.path)
        assert await third.do("carIn", **{"from": str(ours)}) == {"roots": [root]}
        await third.do("write", cid=root, to=str(tmp_path / "got"))
        assert content(tmp_path / "got") == content(many)
