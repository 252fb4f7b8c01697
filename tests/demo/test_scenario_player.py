"""The player: it waits for the presenter, gives a busy machine time, and says only what it saw."""

import threading
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.demo import scenario_player as player_module
from flux_tui.demo.facts.scene import Made, Watch
from flux_tui.demo.scenario import parse
from flux_tui.demo.scenario_player import NotSeenError, Player, StoppedError
from flux_tui.demo.swarm_control import Swarm
from flux_tui.home import HomeError
from flux_tui.store.store import Store
from tests.bench.nodes import wait_for

TEXT = """
title = "T"
about = "a"
lasts = "1 min"
watch = "you"
stated = "{chunks} chunks."
outcome = ["chunks >= 1"]
[[nodes]]
name = "you"
[[content]]
name = "heap"
count = 2
size = "1KiB"
[[steps]]
caption = "You will push {number:heap} wants."
press = "push them"
actions = [{ do = "want", nodes = ["you"], content = "heap" }]
until = ["chunks +>= 1"]
seen = "{+chunks} came."
"""
CIDS = (raw_cid(b"0"), raw_cid(b"1"))


class OneNode:
    """A swarm with one node, without a process. It gets what it wants as soon as it is pushed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.watched = Watch(folder / "flux.db")
        self.contents = {"heap": Made(folder, CIDS, 2048)}
        self.everyone = ("you",)
        self.names: dict[PeerId, str] = {}
        self.starting: list[str] = []
        self.trouble = None
        self.reports = self.entries = 0
        self.started: list[str] = []
        self.up = True
        self.refusals = 0
        """How many pushes time out."""
        self.polls_until_up = 0
        """Looks at the swarm until the node is up; each sees progress. 0: never, and without progress."""

    @property
    def members(self) -> "dict[str, OneNode]":
        return {"you": self}

    @property
    def addrs(self) -> tuple[str, ...]:
        return ("/x",) if self.up else ()

    @property
    def home(self) -> "OneNode":
        return self

    def listening(self) -> bool:
        return self.up

    def make(self) -> None:
        pass

    def start(self, name: str) -> None:
        self.started.append(name)

    def watch(self, node: str) -> Watch:
        return self.watched

    def poll(self, first: str | None = None) -> None:
        self.watched.poll()
        if not self.up and self.polls_until_up:
            self.reports += 1
            self.up = self.reports == self.polls_until_up

    def alive(self, node: str) -> bool:
        return True

    def push(self, name: str, *commands: cmd.Command) -> None:
        if self.refusals:
            self.refusals -= 1
            raise HomeError("it does not take commands: timed out")
        store = Store.open(self.folder)
        store.commit([(1.0, ev.ChunkReceived(cid=CIDS[0], size=10, peer=PeerId("x")))], [])
        store.close()


def playing(scene: OneNode, *, read: bool = True, auto: bool = False) -> tuple[Player, threading.Thread]:
    player = Player(parse("t", TEXT), cast("Swarm", scene), speed=100, read=read, auto=auto)

    def play() -> None:
        with suppress(NotSeenError, StoppedError):
            player.play()

    thread = threading.Thread(target=play, daemon=True)
    thread.start()
    return player, thread


@pytest.fixture
def scene(tmp_path: Path) -> OneNode:
    return OneNode(tmp_path)


def test_the_first_look_is_that_of_the_first_step(scene: OneNode) -> None:
    """The dashboard goes to a panel once a step: the first thing that it is told must have it."""
    scenario = parse("t", TEXT.replace("[[steps]]", "[[steps]]\npanel = 'peers'"))
    assert Player(scenario, cast("Swarm", scene)).state.look.panel == "peers"


def test_a_caption_waits_for_the_presenter(scene: OneNode) -> None:
    player, thread = playing(scene)
    wait_for(lambda: player.state.press == "push them", seconds=10)
    assert player.state.text == "You will push 2 wants."
    assert scene.watched.counts["chunk_received"] == 0, "nothing is pushed before the key"
    player.press()
    thread.join(10)
    assert player.state.over
    assert player.state.text == "1 chunks."
    player.move(-1)
    assert player.shown().state.text == "1 came.", "counted from the press"


@pytest.mark.parametrize("read", [True, False])
def test_it_goes_on_by_itself_if_it_is_told_to(read: bool, scene: OneNode) -> None:
    player, thread = playing(scene, read=read, auto=True)
    thread.join(10)
    assert player.state.over
    assert player.error is None


def test_the_next_caption_is_also_the_press(scene: OneNode) -> None:
    player, thread = playing(scene)
    wait_for(lambda: bool(player.state.press), seconds=10)
    player.move(1)
    thread.join(10)
    assert player.state.over


def test_a_player_that_waits_can_be_stopped(scene: OneNode) -> None:
    player, thread = playing(scene)
    wait_for(lambda: bool(player.state.press), seconds=10)
    player.stop()
    thread.join(10)
    assert not thread.is_alive()
    assert not player.state.over


def test_a_start_takes_as_long_as_it_makes_progress(scene: OneNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each look at the clock is a second later, and each look at the swarm sees progress."""
    monkeypatch.setattr(player_module, "time", SimpleNamespace(monotonic=partial(next, count(0.0, 1.0))))
    monkeypatch.setattr(player_module, "START_SECONDS", 10.0)
    scene.up, scene.polls_until_up = False, 20
    player, thread = playing(scene, auto=True)
    thread.join(20)
    assert player.error is None
    assert scene.reports >= 20


def test_a_start_without_progress_fails(scene: OneNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "START_SECONDS", 0.1)
    scene.up = False
    player, thread = playing(scene, auto=True)
    thread.join(10)
    assert player.error == "the node you did not start within 0.1 s"
    assert player.state.failed


def test_a_node_that_is_too_busy_for_a_command_is_asked_again(scene: OneNode) -> None:
    scene.refusals = 3
    player, thread = playing(scene, auto=True)
    thread.join(10)
    assert player.error is None
    assert scene.refusals == 0


def test_a_node_that_takes_no_commands_is_given_up(scene: OneNode, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(player_module, "START_SECONDS", 0.1)
    scene.refusals = 1_000_000
    player, thread = playing(scene, auto=True)
    thread.join(10)
    assert player.error == "it does not take commands: timed out"


@pytest.mark.parametrize(("load", "factor"), [(0.0, 1.0), (2.0, 1.0), (12.0, 6.0)])
def test_a_busy_machine_gets_more_time(load: float, factor: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.getloadavg", lambda: (load, 0.0, 0.0))
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    assert player_module.busy() == factor
