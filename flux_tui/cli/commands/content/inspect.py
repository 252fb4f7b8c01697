"""`flux-tui inspect`: what one block says: its kind, its sizes, and its links."""

from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.arguments.time_limit import patience, timeout_option
from flux_tui.cli.content.looking import Looking, as_failures, read_path
from flux_tui.cli.home_and_series import fold, open_series, the_home
from flux_tui.cli.output import print_json, tell
from flux_tui.core.content import nodes
from flux_tui.core.content.path_walk import Part
from flux_tui.core.content.protobufs import decode_node as decode_links
from flux_tui.core.content.unixfs_trees import decode_node
from flux_tui.core.ids import Cid, cid_bytes, cid_v0, is_leaf
from flux_tui.core.series.state import ObjectState
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home

SHOWN = 20
"""Links that are shown to a person. `--json` has all."""


@click.command(
    epilog="""\b
Examples:
  flux-tui inspect bafy…               its kind, sizes and links
  flux-tui inspect bafy…/a/b.txt       of a file in it
  flux-tui inspect --json bafk…        for a program

For why something is not here yet: flux-tui why"""
)
@click.argument("what", metavar="CID-or-TICKET[/PATH]")
@timeout_option
@home_option
@node_options
@json_option
def inspect(what: str, timeout: float | None, home: Path | None, as_json: bool, **flags: Any) -> None:
    """Show what a block is: its codec and hash, its kind, its sizes, its links, and whether its object is here.

    If the block is not here, it is fetched; the blocks below it are not.
    """
    path, place = read_path(what), the_home(home)
    with Looking(place, path.ticket, flags, patience(timeout), as_json=as_json) as looking:
        part = looking.resolve(path)
        data = looking.wait((part.cid,))[part.cid]
    with as_failures():
        found = _found(part, data)
    known = _known(place, part.cid)
    found["object"] = None if known is None else {
        "name": known.name, "size": known.size, "have_bytes": known.have_bytes, "path": known.path,
        "whole": known.completed_at is not None and not known.broken,
    }  # fmt: skip
    if as_json:
        print_json(found)
    else:
        _tell(found)


def _found(part: Part, data: bytes) -> dict[str, Any]:
    cid = part.cid
    links = () if is_leaf(cid) else decode_links(data)[0]
    node = None if is_leaf(cid) else decode_node(cid, data)
    return {
        "cid": cid,
        "cid_v0": cid_v0(cid),
        "codec": "raw" if is_leaf(cid) else "dag-pb",
        "sha2_256": cid_bytes(cid)[4:].hex(),
        "block_size": len(data),
        "kind": "leaf" if node is None else _kind(node),
        "size": len(data) if node is None else getattr(node, "size", None),
        "mode": None if node is None else getattr(node, "mode", None),
        "target": part.target,
        "links": [{"name": link.name, "cid": link.cid, "tsize": link.tsize} for link in links],
        "all_blocks": len(data) + sum(link.tsize for link in links),
    }


def _kind(node: nodes.Node) -> str:
    match node:
        case nodes.FileNode():
            return "file"
        case nodes.FolderNode():
            return "folder"
        case nodes.ShardNode():
            return "folder shard"
        case nodes.SymlinkNode():
            return "symbolic link"


def _known(home: Home, cid: Cid) -> ObjectState | None:
    reader = open_series(home)
    try:
        return fold(reader).objects.get(cid)
    finally:
        reader.close()


def _tell(found: dict[str, Any]) -> None:
    rows = {
        "cid": found["cid"],
        "cid v0": found["cid_v0"],
        "codec": found["codec"],
        "sha2-256": found["sha2_256"],
        "kind": found["kind"],
        "size": None if found["size"] is None else f"{human_size(found['size'])} ({found['size']:,} bytes)",
        "mode": None if found["mode"] is None else f"{found['mode']:04o}",
        "target": found["target"],
        "block": f"{found['block_size']:,} bytes",
        "blocks": f"{human_size(found['all_blocks'])} in all blocks, as its links say",
        "object": _object_words(found["object"]),
        "links": counted(len(found["links"]), "link") if found["codec"] == "dag-pb" else None,
    }
    for title, value in rows.items():
        if value is not None:
            tell(f"{title:>9}  {value}")
    for link in found["links"][:SHOWN]:
        tell(f"{human_size(link['tsize']):>10}  {link['cid']}  {link['name']}".rstrip())
    if (more := len(found["links"]) - SHOWN) > 0:
        tell(f"{'':>10}  and {more:,} more (--json has all)")


def _object_words(known: dict[str, Any] | None) -> str:
    if known is None:
        return "only this block is here"
    here = "whole" if known["whole"] else f"{human_size(known['have_bytes'])} here"
    named = f"{known['name']}, " if known["name"] else ""
    return f"{named}{here}" + (f", at {known['path']}" if known["path"] else "")
