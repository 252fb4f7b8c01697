"""Only a download, a holder and a batch themselves change their fields."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path

import pytest

import flux_tui.core
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.leases import Batch
from flux_tui.core.fetching.holders import Holder

CORE = Path(flux_tui.core.__file__).parent
READERS = [path for path in sorted(CORE.rglob("*.py")) if CORE / "series" not in path.parents]
"""Every module that can get hold of one. Those of the series know none, and change the folded state."""
CHANGES = {
    "add", "append", "clear", "discard", "extend", "insert", "move_to_end", "pop", "popitem", "remove", "setdefault",
    "update",
}  # fmt: skip
"""Methods that change a collection."""


def targets(node: ast.AST) -> list[ast.expr]:
    """Return the expressions that this node assigns to, deletes or changes."""
    match node:
        case ast.Assign(targets=found) | ast.Delete(targets=found):
            return [part for one in found for part in (one.elts if isinstance(one, ast.Tuple) else [one])]
        case ast.AugAssign(target=one) | ast.AnnAssign(target=one) | ast.For(target=one):
            return [one]
        case ast.Call(func=ast.Attribute(value=one, attr=name)) if name in CHANGES:
            return [one]
        case _:
            return []


def writes(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Yield the line and name of every field of an object other than `self` that the code changes."""
    for node in ast.walk(tree):
        for target in targets(node):
            while isinstance(target, ast.Subscript | ast.Starred):
                target = target.value
            if isinstance(target, ast.Attribute) and ast.unparse(target.value) != "self":
                yield target.lineno, target.attr


@pytest.mark.parametrize("owner", [Download, Holder, Batch], ids=lambda owner: owner.__name__)
def test_nobody_else_writes_the_fields(owner: type) -> None:
    fields = set(vars(owner)["__slots__"])
    own = Path(inspect.getfile(owner))
    for path in READERS:
        if path == own:
            continue
        found = [(line, name) for line, name in writes(ast.parse(path.read_text())) if name in fields]
        assert not found, f"{path} writes to a {owner.__name__}: add a method to it instead"


@pytest.mark.parametrize(
    "code",
    [
        "download.finishing = True",
        "downloads[root].unanswered_pushes += 1",
        "download.missing[cid] = None",
        "del self._download.missing[cid]",
        "effects, download.postponed = download.postponed, []",
        "for download.have_bytes in (1, 2): pass",
        "batch.holder.lapsed.pop(cid)",
    ],
)
def test_the_check_finds_a_write(code: str) -> None:
    assert list(writes(ast.parse(code)))


def test_the_check_passes_over_reads_and_own_fields() -> None:
    code = "self.missing[cid] = None\nself.count += 1\nleft = download.missing\nif download.finishing: go()"
    assert not list(writes(ast.parse(code)))
