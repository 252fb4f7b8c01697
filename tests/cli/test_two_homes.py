"""The main job as two people do it: two homes, real processes, shell commands, and kill -9."""

import json
import random
import time
from pathlib import Path

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader
from tests.bench.nodes import LISTEN, Node, flux, running, state, wait_for


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Node, Node]:
    return Node(tmp_path / "a"), Node(tmp_path / "b")


def test_add_here_get_there(tmp_path: Path, pair: tuple[Node, Node]) -> None:
    a, _ = pair
    source = tmp_path / "big.bin"
    source.write_bytes(random.Random(1).randbytes(9_000_001))
    with running(a):
        told = flux("add", str(source), home=a.home).stdout.split()
        root, ticket = told
        out = tmp_path / "out.bin"
        # No node runs in this home: `get` starts one in the background, which then shares the file.
        got = flux("get", ticket, "-o", str(out), *LISTEN, home=tmp_path / "b")
        assert got.stdout.strip() == str(out)
        assert out.read_bytes() == source.read_bytes()
        again = flux("get", ticket, "-o", str(out), home=tmp_path / "b")
        assert "here already" in again.stderr
        other = flux("get", root, "-o", str(source), home=tmp_path / "b", check=False)
        assert (other.returncode, "exists already" in other.stderr) == (1, True)

        told_state = state(tmp_path / "b")
        assert told_state["pending"] == []
        (known,) = told_state["objects"]
        assert (known["root"], known["name"], known["size"]) == (root, "big.bin", 9_000_001)
        assert known["chunks_have"] == known["chunks_total"] == 10
        assert told_state["received_bytes"] == told_state["unique_bytes"] > 9_000_001
        assert told_state["status"][a.peer_id]["has_it"] is True

        lines = flux("series", "--json", home=tmp_path / "b").stdout.splitlines()
        entries = [json.loads(line) for line in lines]
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        assert {
            "requested",
            "pushed_want",
            "delayed_yes",
            "granted",
            "chunk_received",
            "object_completed",
        } <= {entry["event"] for entry in entries}
        middle = json.loads(flux("state", "--json", "--at", "4", home=tmp_path / "b").stdout)
        assert middle["seq"] == 4
        chunks = flux("series", "--kind", "chunk_received", home=tmp_path / "b").stdout.splitlines()
        assert len(chunks) == 10

        flux("export", str(tmp_path / "copy.flux"), home=tmp_path / "b")
        reader = SeriesReader.open(tmp_path / "copy.flux")
        assert reader.last_seq() >= len(entries)
        reader.close()
        assert "stopped" in flux("stop", home=tmp_path / "b").stderr
    assert Home(tmp_path / "b").running() is None
    assert state(tmp_path / "b")["objects"], "a dead home can be read"


@pytest.mark.parametrize("victim", ["requester", "holder", "both"])
def test_a_fetch_finishes_although_the_node_is_killed(
    tmp_path: Path, pair: tuple[Node, Node], victim: str
) -> None:
    """After kill -9 again and again, the file is whole, and no committed chunk is fetched again."""
    a, b = pair
    source, out = tmp_path / "big.bin", tmp_path / "out.bin"
    size = 96 << 20
    source.write_bytes(random.Random(2).randbytes(size))
    a.flags = ("--listen", "/ip4/127.0.0.1/tcp/0")
    chance = random.Random(victim)
    with running(a, b):
        root = Cid(json.loads(flux("add", "--json", str(source), home=a.home).stdout)["root"])
        addrs = tuple(a.addrs)
        Home(b.home).push(cmd.Get(root, str(out), "big.bin", size, addrs))
        kills = 0
        while not out.exists() and kills < 6:
            before = chunks_here(b.home)
            wait_for(
                lambda before=before: out.exists() or chunks_here(b.home) > before, seconds=30, every=0.002
            )
            time.sleep(chance.uniform(0, 0.03))
            if out.exists():
                break
            if victim in ("requester", "both"):
                b.kill()
                b.start()
            if victim in ("holder", "both"):
                a.kill()
                a.start()
            # The holder has a new port, so the node is told its address. A ticket would name the old one.
            Home(b.home).push(cmd.Join(a.addrs[0]))
            kills += 1
        wait_for(out.exists, seconds=60)
        assert kills >= 2, "it was over before it was killed"
        assert out.read_bytes() == source.read_bytes()
        reader = SeriesReader.open(b.home / "flux.db")
        entries = reader.read(0, 1_000_000)
        reader.close()
        received = [entry.event.cid for entry in entries if isinstance(entry.event, ev.ChunkReceived)]
        assert len(received) == len(set(received)) == 97
        assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))


def chunks_here(home: Path) -> int:
    reader = SeriesReader.open(home / "flux.db")
    try:
        last = reader.last_seq()
        return sum(isinstance(e.event, ev.ChunkReceived) for e in reader.read(0, last))
    finally:
        reader.close()


def test_an_interrupted_get_says_how_to_go_on(tmp_path: Path) -> None:
    import signal
    import subprocess
    import sys

    missing = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
    home = tmp_path / "b"
    with running(Node(home)):
        process = subprocess.Popen(
            [sys.executable, "-m", "flux_tui", "get", missing, "-o", str(tmp_path / "x"), "--home", str(home)],
            stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        wait_for(lambda: state(home)["pending"])
        process.send_signal(signal.SIGINT)
        _, words = process.communicate(timeout=20)
        assert process.returncode == 130
        assert "before anything arrived: the same command asks again" in words
        wait_for(lambda: not state(home)["pending"])


def test_a_node_stops_in_order(pair: tuple[Node, Node]) -> None:
    a, _ = pair
    a.start()
    busy = flux("node", *LISTEN, home=a.home, check=False)
    assert (busy.returncode, busy.stdout) == (1, "")
    assert "in use by the node with pid" in busy.stderr
    assert a.stop() == 0
    last = flux("series", "--json", home=a.home).stdout.splitlines()[-1]
    assert json.loads(last)["event"] == "node_stopped"


def test_an_error_of_the_network_is_one_sentence(tmp_path: Path, pair: tuple[Node, Node]) -> None:
    a, _ = pair
    with running(a):
        port = a.addrs[0].split("/")[4]
        taken = flux(
            "node", "--listen", f"/ip4/127.0.0.1/tcp/{port}", "--no-mdns", home=tmp_path / "c", check=False
        )
        assert taken.returncode == 1
        assert "cannot listen" in taken.stderr
        assert len(taken.stderr.strip().splitlines()) == 1
        flux("join", "/ip4/127.0.0.1/tcp/1/p2p/" + a.peer_id, *LISTEN, home=tmp_path / "d")
    wrong = flux("node", "--listen", "nonsense", "--no-mdns", home=tmp_path / "c", check=False)
    assert (wrong.returncode, "expected a multiaddr" in wrong.stderr) == (1, True)
    wait_for(lambda: state(tmp_path / "d")["last_error"] is not None, seconds=20)
    assert "nobody listens there" in state(tmp_path / "d")["last_error"]
    flux("stop", home=tmp_path / "d")
