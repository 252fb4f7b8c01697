"""`flux-tui get` of an object that is here."""

import stat
from pathlib import Path

from tests.bench.nodes import Node, flux, running, state, wait_for

BYTES = b"an object that was removed" * 1_000


def shared(home: Path) -> list[str]:
    return [found["root"] for found in state(home)["objects"]]


def test_a_removed_object_is_shared_again(tmp_path: Path) -> None:
    node, film = Node(tmp_path / "home"), tmp_path / "film"
    film.write_bytes(BYTES)
    with running(node):
        root = flux("add", str(film), home=node.home).stdout.split()[0]
        assert flux("get", root, "-o", str(film), home=node.home).stderr == f"{root}: is here already\n"
        flux("rm", root, home=node.home)
        assert shared(node.home) == []
        told = flux("get", root, "-o", str(film), home=node.home)
        assert told.stdout == f"{film}\n"
        assert told.stderr.splitlines()[-1] == f"{root}: is here already, and is shared again"
        assert shared(node.home) == [root]
        assert film.read_bytes() == BYTES

        flux("rm", root, home=node.home)
        film.chmod(film.stat().st_mode | stat.S_IXUSR)  # the mode is part of the root
        told = flux("get", root, "-o", str(film), home=node.home, check=False)
        assert told.returncode == 1
        assert told.stderr.splitlines()[-1] == (
            f"flux-tui: {film} exists already, and its root CID is another one now: choose another name with -o"
        )
        wait_for(lambda: shared(node.home) == [])
