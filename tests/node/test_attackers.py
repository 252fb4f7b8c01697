"""A real node serves objects that are made to do harm, and another one fetches them."""

from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.content import protobufs
from flux_tui.core.content.nodes import FolderEntry
from flux_tui.core.content.protobufs import PBLink, UnixFS
from flux_tui.core.content.unixfs_trees import build_folder, build_symlink
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, until

EVIL = b"pwned\n"


class Attacker:
    """Puts any blocks into the store of a node."""

    def __init__(self, node: FluxNode) -> None:
        self._node = node

    def put(self, cid: Cid, data: bytes) -> Cid:
        self._node.store.share_block(cid, data)
        return cid

    def leaf(self) -> Cid:
        return self.put(raw_cid(EVIL), EVIL)

    def link(self, target: str) -> Cid:
        return self.put(*build_symlink(target))

    def folder(self, **entries: Cid) -> Cid:
        root = build_folder([FolderEntry(name.replace("_", "."), cid, 60) for name, cid in entries.items()])
        return self.put(*root.blocks[-1])

    def shard(self, **links: Cid) -> Cid:
        """Return a part of a HAMT with names in any slots. A name begins with s and its slot."""
        body = UnixFS(protobufs.HAMT_SHARD, data=b"\x07", hash_type=0x22, fanout=256)
        data = protobufs.encode_node([PBLink(cid, name[1:], 60) for name, cid in links.items()], body)
        return self.put(dag_cid(data), data)


async def fetched(
    tmp_path: Path, node: FluxNode, root: Cid, victim: Path
) -> tuple[list[ev.ErrorOccurred], set[str]]:
    """Fetch an object beside `victim`. Return the errors, and what is in the folder afterwards."""
    victim.parent.mkdir()
    victim.write_text("precious")
    async with FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        b.push_intent(cmd.Get(root, str(victim.parent / "nice"), "nice", 6, node.addrs, "me"))
        await until(lambda: not b.count_pending())
        await until(lambda: len(series_of(b)) == b.derive_state().seq)
        errors = [entry.event for entry in series_of(b) if isinstance(entry.event, ev.ErrorOccurred)]
    assert victim.read_text() == "precious"
    return errors, {path.name for path in victim.parent.iterdir() if not path.name.endswith(".flux-part")}


async def test_links_and_a_folder_of_the_same_name_in_two_shards(tmp_path: Path) -> None:
    """This used to leave evil.sh beside the object."""
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
        make = Attacker(a)
        climb = make.folder(q=make.link(".."))
        deep = make.shard(s00x=make.folder(evil_sh=make.leaf(), victim=make.leaf()))
        deep = make.shard(s00=make.shard(s00=deep))
        root = make.shard(s00p=climb, s01x=make.link("p/q/.."), s02=deep)
        errors, names = await fetched(tmp_path, a, root, tmp_path / "dl" / "victim")
    assert names == {"victim"}
    assert [(error.cid, error.by) for error in errors] == [(root, "me")]
    assert "a name that belongs elsewhere" in errors[0].text


async def test_links_that_lead_out_are_left_out_and_the_rest_comes(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
        make = Attacker(a)
        root = make.folder(
            p=make.folder(q=make.link("..")),
            x=make.link("p/q/.."),
            y=make.link("/etc"),
            z=make.link("good"),
            good=make.leaf(),
        )
        errors, names = await fetched(tmp_path, a, root, tmp_path / "dl" / "victim")
    assert names == {"victim", "nice"}
    nice = tmp_path / "dl" / "nice"
    assert {path.name for path in nice.iterdir()} == {"p", "z", "good"}
    assert (nice / "z").read_bytes() == EVIL
    assert [(error.cid, error.by) for error in errors] == [(root, None)]
    assert errors[0].text == (
        f"{nice} is there without 2 links: x → p/q/.. (it leads out of the folder);"
        " y → /etc (it leads out of the folder)"
    )


async def test_an_object_that_is_nothing_but_a_link(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a:
        root = Attacker(a).link("victim")
        errors, names = await fetched(tmp_path, a, root, tmp_path / "dl" / "victim")
    assert names == {"victim"}
    assert ["nothing but a link" in error.text for error in errors] == [True]
