"""Nodes on the same local network find each other: two network namespaces joined by a cable."""

import json
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.bench.nodes import flux, state, wait_for
from tests.support.machines import NETWORK, Machine

pytestmark = pytest.mark.netns


def test_two_machines_find_each_other_and_a_file_crosses(rooms: tuple[str, str], tmp_path: Path) -> None:
    data = bytes(range(256)) * 10_000
    (tmp_path / "film.mkv").write_bytes(data)
    with ExitStack() as stack:
        a, b = (Machine(room, tmp_path / room[-1]) for room in rooms)
        for machine in (a, b):
            stack.callback(machine.stop)
        assert f"/ip4/{NETWORK}.1/" in a.told["addrs"][0], "the address that others can reach comes first"
        wait_for(lambda: any(peer["connected"] for peer in state(b.home)["peers"]))
        (peer,) = state(b.home)["peers"]
        assert peer["peer_id"] == a.told["peer_id"]
        added = json.loads(flux("add", "--json", str(tmp_path / "film.mkv"), home=a.home).stdout)
        flux("get", added["root"], "-o", str(tmp_path / "copy.mkv"), home=b.home)
        assert (tmp_path / "copy.mkv").read_bytes() == data
        assert not state(a.home)["errors"] + state(b.home)["errors"], "not even one address that fails"
