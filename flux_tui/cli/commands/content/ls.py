"""`flux-tui ls`: the names in a folder, of which only the folder is fetched."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

import click

from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.arguments.time_limit import patience, timeout_option
from flux_tui.cli.content.looking import Looking, as_failures, read_path
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.output import print_json, tell
from flux_tui.core.content import nodes
from flux_tui.core.content.path_walk import FolderItem, Part, list_folder
from flux_tui.core.content.unixfs_trees import decode_node
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.text.quantities import human_size

AT_ONCE = 256
"""Entries whose roots are read together."""


class _Row(NamedTuple):
    name: str
    cid: Cid
    kind: Literal["file", "folder", "link", "?"]
    size: int | None
    """Bytes of content of a file; of everything below it where only the folder says so."""
    target: str | None = None


@click.command(
    epilog="""\b
Examples:
  flux-tui ls bafy…                  what is in it: kind, size and name
  flux-tui ls bafy…/photos/2024      a folder in it
  flux-tui ls --names bafy…          fetch nothing but the folder itself
  flux-tui ls --json bafy…           with CIDs, one line each"""
)
@click.argument("what", metavar="CID-or-TICKET[/PATH]")
@click.option("--names", is_flag=True, help="Only what the folder itself says; the roots of what is in it are not"
              " fetched. Sizes are then those of all blocks below a name.")  # fmt: skip
@timeout_option
@home_option
@node_options
@json_option
def ls(what: str, names: bool, timeout: float | None, home: Path | None, as_json: bool, **flags: Any) -> None:
    """List a folder inside an object. No content is fetched.

    What is here is read without a node. Otherwise the home's node is started, and fetches the folder, and the first
    block of each file and folder in it.
    """
    path = read_path(what)
    with Looking(the_home(home), path.ticket, flags, patience(timeout), as_json=as_json) as looking:
        part = looking.resolve(path)
        if part.kind != "folder":
            name = part.name or path.ticket.name or part.cid
            _print([_Row(name, part.cid, part.kind, _size(looking, part), part.target)], as_json)
            return
        items = looking.walk(list_folder(part.cid))
        for at in range(0, len(items), AT_ONCE):
            _print(_rows(looking, items[at : at + AT_ONCE], names), as_json)


def _size(looking: Looking, part: Part) -> int | None:
    if part.kind != "file" or part.size is not None:
        return part.size
    return len(looking.wait((part.cid,))[part.cid])


def _rows(looking: Looking, items: Sequence[FolderItem], names: bool) -> list[_Row]:
    inner = [item.cid for item in items if not is_leaf(item.cid)]
    found = looking.blocks.read_now(inner) if names else looking.wait(inner)
    return [_row(item, found.get(item.cid)) for item in items]


def _row(item: FolderItem, data: bytes | None) -> _Row:
    if is_leaf(item.cid):
        return _Row(item.name, item.cid, "file", item.tsize)
    if data is None:
        return _Row(item.name, item.cid, "?", item.tsize)
    with as_failures():
        node = decode_node(item.cid, data)
    match node:
        case nodes.FileNode():
            return _Row(item.name, item.cid, "file", node.size)
        case nodes.SymlinkNode():
            return _Row(item.name, item.cid, "link", None, node.target)
        case nodes.FolderNode() | nodes.ShardNode():
            return _Row(item.name, item.cid, "folder", item.tsize)


def _print(rows: Sequence[_Row], as_json: bool) -> None:
    for row in rows:
        if as_json:
            print_json(
                {"name": row.name, "cid": row.cid, "kind": row.kind, "size": row.size, "target": row.target}
            )
            continue
        size = "" if row.size is None else human_size(row.size)
        end = "/" if row.kind == "folder" else f" → {row.target}" if row.target else ""
        tell(f"{size:>10}  {row.name}{end}")
