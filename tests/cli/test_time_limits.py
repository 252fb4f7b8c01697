"""`--timeout`, `--wait` and `--keep` on two nodes; and `join`, `leave` and `custom`. Commands run in this process."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from flux_tui.cli.main import FAILED, OK, run
from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.store.series_reader import SeriesReader
from tests.bench.nodes import Node, running, state, wait_for

NOBODY_HAS, NO_CHUNK = dag_cid(b"nobody has this"), raw_cid(b"nor this")


class Two:
    """Two nodes that are joined."""

    def __init__(self, one: Node, two: Node) -> None:
        self.one, self.two = one, two


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Two]:
    place = tmp_path_factory.mktemp("limits")
    one = Node(place / "one")
    with running(one):
        two = Node(place / "two", "--join", one.addrs[0])
        with running(two):
            wait_for(lambda: any(peer["connected"] for peer in state(two.home)["peers"]), every=0.1)
            yield Two(one, two)


Flux = Callable[..., tuple[int, str, str]]


@pytest.fixture
def flux(two: Two, capfd: pytest.CaptureFixture[str]) -> Flux:
    """Return a function that runs a command for the second node, and returns its status, stdout and stderr."""

    def call(*words: str, home: Path = two.two.home) -> tuple[int, str, str]:
        capfd.readouterr()
        status = run([*words, "--home", str(home)])
        return (status, *capfd.readouterr())

    return call


def pending(two: Two) -> list[str]:
    return [want["cid"] for want in state(two.two.home)["pending"]]


def last_line(text: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(text.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    "words",
    [
        ["cat", NOBODY_HAS],
        ["cat", NO_CHUNK, "--length", "1"],
        ["ls", NOBODY_HAS],
        ["inspect", f"{NOBODY_HAS}/a"],
        ["get", NOBODY_HAS, "-o", "-"],
        ["get", f"{NOBODY_HAS}/a"],
        ["get", NOBODY_HAS, "--only", "*.jpg"],
        ["want", NOBODY_HAS],
        ["export", "--car", NOBODY_HAS, "-"],
    ],
    ids=lambda words: " ".join(word[:9] for word in words),
)
def test_a_time_that_is_over_is_told_in_the_sentence_of_why(words: list[str], two: Two, flux: Flux) -> None:
    status, _, said = flux(*words, "--timeout", "0.3")
    assert status == FAILED
    failure = said.splitlines()[-1]
    cid = next(word for word in words if word.startswith("baf"))[:59]
    assert failure.startswith(f"flux-tui: {cid}"), said
    told = f"; {two.one.peer_id} ", "nothing of it is known yet", "has not taken the want yet"
    assert any(words in failure for words in told), said
    wait_for(lambda: pending(two) == [], every=0.1)


def test_a_want_that_is_kept(two: Two, flux: Flux) -> None:
    status, told, _ = flux("want", NOBODY_HAS, NO_CHUNK, "--timeout", "0.5", "--keep", "--json")
    assert status == FAILED
    assert (last_line(told)["event"], last_line(told)["why"]["cid"]) == ("timeout", NOBODY_HAS)
    assert set(pending(two)) == {NOBODY_HAS, NO_CHUNK}
    status, told, said = flux("cancel", NOBODY_HAS, NO_CHUNK, "--json")
    assert (status, last_line(told)["command"]) == (OK, "cancel"), said
    wait_for(lambda: pending(two) == [], every=0.1)


def test_a_want_that_comes(two: Two, flux: Flux, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"f" * 5000)
    status, told, _ = flux("add", "--json", str(tmp_path / "f"), home=two.one.home)
    root = last_line(told)["root"]
    for _ in range(2):  # the second time it is here already
        status, told, said = flux("want", root, "--wait", "--json")
        assert status == OK, said
        assert [json.loads(line)["event"] for line in told.splitlines()] == ["pushed", "done"]
    status, told, said = flux("want", root, "--wait", "--timeout", "30")
    assert (status, told) == (OK, "")
    assert "verified" in said
    assert flux("retry", "--json")[0] == OK


def test_a_peer_that_answers_and_one_that_does_not(two: Two, flux: Flux) -> None:
    assert flux("join", two.one.addrs[0], "--wait")[0] == OK
    nobody = f"/ip4/127.0.0.1/tcp/9/p2p/{'12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA'}"
    status, _, said = flux("join", nobody, "--wait")
    assert status == FAILED
    assert "127.0.0.1" in said.splitlines()[-1]
    status, told, _ = flux("join", nobody, "--timeout", "0", "--json")
    assert (status, last_line(told)["event"]) == (FAILED, "timeout")
    status, told, said = flux("leave", two.one.peer_id, "--json")
    assert (status, last_line(told)["peers"]) == (OK, [two.one.peer_id]), said
    wait_for(lambda: not [peer for peer in state(two.two.home)["peers"] if peer["connected"]], every=0.1)
    assert flux("leave", "nobody")[0] == FAILED
    assert flux("join", two.one.addrs[0], "--timeout", "30")[0] == OK


def test_replicas_that_nobody_keeps(two: Two, flux: Flux, tmp_path: Path) -> None:
    (tmp_path / "held").write_bytes(b"held")
    _, told, _ = flux("add", "--json", str(tmp_path / "held"))
    root = last_line(told)["root"]
    status, told, said = flux("hold", root, "--replicas", "2", "--timeout", "0.5", "--json")
    assert (status, last_line(told)["event"]) == (FAILED, "timeout")
    assert "0 of 2 replicas are whole" in said
    wait_for(lambda: state(two.two.home)["holds"] == [], every=0.1)


def test_a_message_of_a_kind_of_its_own(two: Two, flux: Flux) -> None:
    status, told, said = flux("custom", "chat.say", "hello", "--to", two.one.peer_id, "--json")
    assert (status, last_line(told)["bytes"]) == (OK, 5), said

    def came() -> bool:
        reader = SeriesReader.open(Home(two.one.home).database)
        try:
            entries = reader.read_before(reader.last_seq() + 1, 50)
        finally:
            reader.close()
        return any(isinstance(one.event, ev.CustomReceived) and one.event.size == 5 for one in entries)

    wait_for(came, every=0.1)
    assert flux("custom", "No Kind", "x")[0] == FAILED
    assert flux("custom", "chat.say", "x" * 40_000)[0] == FAILED
