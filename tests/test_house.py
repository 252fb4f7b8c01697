"""The rules of the house that no linter holds: sizes of modules and folders, and where tests lie."""

import ast
import re
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "flux_tui"
TESTS = ROOT / "tests"

MAX_LINES = 500
LONG_MODULES: dict[str, str] = {}
"""Modules that may be longer, by their path, each with the reason."""
MAX_MODULES = 13
LARGE_FOLDERS: dict[str, str] = {}
"""Folders that may have more modules, by their path, each with the reason."""
ALONE = {
    "abuse",
    "api",
    "bench",
    "container",
    "interop",
    "networks",
    "pictures",
    "sim",
    "soak",
    "support",
    "vectors",
}
"""Folders of tests that mirror no package: they try several packages together, or help tests."""


def sources() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def files_of_tests() -> list[Path]:
    return sorted(TESTS.rglob("test_*.py"))


def named(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def test_no_module_is_long() -> None:
    long = {named(path) for path in sources() if len(path.read_text().splitlines()) > MAX_LINES}
    assert long == LONG_MODULES.keys(), "split a module by what it does; an exception that is over goes"


def test_no_folder_is_crowded() -> None:
    counts = Counter(named(path.parent) for path in sources() if path.name != "__init__.py")
    crowded = {folder for folder, count in counts.items() if count > MAX_MODULES}
    assert crowded == LARGE_FOLDERS.keys(), "make a room of those that belong together"


def test_every_room_says_what_it_is_for() -> None:
    silent = [named(path) for path in sources() if not ast.get_docstring(ast.parse(path.read_text()))]
    assert not silent


def listed(text: str) -> list[str]:
    """Return the modules and packages that the docstring of a package lists, one or several a line."""
    if not re.search(r"^(Modules|Packages)\b", text, re.MULTILINE):
        return []
    found = re.findall(r"^ {4}([a-z_/]+(?:, [a-z_/]+)*)  +\S", text, re.MULTILINE)
    return [word.rstrip("/") for words in found for word in words.split(", ")]


def test_the_lists_of_packages_name_modules_that_exist() -> None:
    lists = {
        path.parent: listed(ast.get_docstring(ast.parse(path.read_text())) or "")
        for path in PACKAGE.rglob("__init__.py")
    }
    assert sum(map(len, lists.values())) > 40
    assert not [
        f"{named(folder)}: {name}"
        for folder, names in lists.items()
        for name in names
        if not (folder / name).exists() and not (folder / f"{name}.py").exists()
    ]


def test_tests_lie_where_the_code_lies() -> None:
    lost = []
    for path in files_of_tests():
        folder = path.parent.relative_to(TESTS)
        if folder.parts and folder.parts[0] not in ALONE and not (PACKAGE / folder).is_dir():
            lost.append(path.relative_to(ROOT).as_posix())
    assert not lost


def test_no_test_imports_from_a_test() -> None:
    found = []
    for path in sorted(TESTS.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)]
            found += [f"{path.relative_to(ROOT)} imports {name}" for name in names if is_test(name)]
    assert not found


def is_test(module: str) -> bool:
    """Return whether a module is a file of tests."""
    parts = module.split(".")
    return (
        parts[0] == "tests"
        and parts[-1].startswith("test_")
        and Path(ROOT, *parts).with_suffix(".py").exists()
    )
