"""Law 1: the core does no I/O, reads no clock and uses no randomness. The imports show it."""

import ast
from pathlib import Path

import pytest

import flux_tui

CORE = Path(flux_tui.__file__).parent / "core"
ALLOWED = {
    "base64", "bisect", "collections", "collections.abc", "dataclasses", "datetime", "difflib", "enum", "fnmatch",
    "fractions", "functools", "hashlib", "heapq", "itertools", "math", "re", "typing", "unicodedata", "urllib.parse",
    "msgpack", "msgspec", "mmh3", "typing_extensions",
}  # fmt: skip
IMPURE_CALLS = {"now", "today", "utcnow", "open", "print", "input"}


@pytest.mark.parametrize("path", sorted(CORE.rglob("*.py")), ids=lambda path: str(path.relative_to(CORE)))
def test_a_module_of_the_core_is_pure(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text())):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        for name in names:
            assert name in ALLOWED or name.startswith("flux_tui.core"), f"{path.name} imports {name}"
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            assert called not in IMPURE_CALLS, f"{path.name} calls {called}()"
