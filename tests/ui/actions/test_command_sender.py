"""Sending commands to the shown node, without an app."""

import threading
from collections.abc import Callable

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.content.object_paths import ObjectPath, parse_object_path
from flux_tui.core.content.path_walk import NoSuchNameError
from flux_tui.core.content.ticket import Ticket
from flux_tui.home import HomeError
from flux_tui.ui.actions.command_sender import NOTHING_HERE, STILL_STARTING, CommandSender
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.typed.part_wanted import PartWanted
from flux_tui.ui.watching.liveness import Liveness
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode
from tests.support.typed import CHUNK, ROOT

STOP = cmd.Stop("mark")


class Sent:
    """A sender, and what it told and called."""

    def __init__(
        self,
        push: Callable[[Command], None] | None,
        *,
        alive: bool = True,
        restart: Callable[[], None] | None = None,
        find_part: Callable[[ObjectPath], Ticket] | None = None,
        starting: bool = False,
    ) -> None:
        self.told: list[str] = []
        self.sent = 0
        self.told_again = threading.Event()
        node = WatchedNode(
            title="home", source=Source(lambda: None), push=push, alive=lambda: alive, restart=restart,
            find_part=find_part,
            starting=lambda: starting, trouble=lambda: None if alive or starting else "the port is taken",
        )  # fmt: skip
        nodes = Nodes(node)
        liveness = Liveness(nodes, seconds=0.1, restart_key="R")
        self.sender = CommandSender(nodes, liveness, notify=self._notify, sent=self._count)

    def _notify(self, message: str, *, severity: str = "information", timeout: float | None = None) -> None:
        self.told.append(message)
        self.told_again.set()

    def _count(self) -> None:
        self.sent += 1


def test_pushed_commands_are_told() -> None:
    pushed: list[Command] = []
    sent = Sent(pushed.append)
    assert sent.sender.ready()
    assert sent.sender.push([STOP], "told the node to stop")
    assert pushed == [STOP]
    assert (sent.told, sent.sent) == (["told the node to stop"], 1)


def test_a_part_is_pushed_when_it_is_found() -> None:
    wanted = PartWanted(parse_object_path(f"{ROOT}/a/b.txt"), None, "mark")
    pushed, arrived = list[Command](), threading.Event()

    def push(command: Command) -> None:
        pushed.append(command)
        arrived.set()

    sent = Sent(push, find_part=lambda path: Ticket(CHUNK, path.names[-1]))
    assert sent.sender.push([wanted, STOP], "pushed 2 wants")
    assert arrived.wait(30)
    while len(pushed) < 2:
        arrived.clear()
        assert arrived.wait(30)
    assert sorted(map(repr, pushed)) == sorted(map(repr, [STOP, cmd.Want(CHUNK, "mark")]))
    assert sent.told == ["pushed 2 wants"]


def test_a_part_that_there_is_not_is_told() -> None:
    def nothing(path: ObjectPath) -> Ticket:
        raise NoSuchNameError(f"there is no 'b.txt' in {path.ticket.root}/a")

    sent = Sent(lambda command: None, find_part=nothing)
    wanted = PartWanted(parse_object_path(f"{ROOT}/a/b.txt"), None, "mark")
    sent.sender.push([wanted], "pushed 1 want")
    while len(sent.told) < 2:
        sent.told_again.clear()
        assert len(sent.told) == 2 or sent.told_again.wait(30)
    assert f"b.txt cannot be fetched: there is no 'b.txt' in {ROOT}/a" in sent.told


def test_an_error_of_the_node_is_one_sentence() -> None:
    def gone(command: Command) -> None:
        raise HomeError("no node runs on this home")

    sent = Sent(gone)
    assert not sent.sender.push([STOP], "told the node to stop")
    assert (sent.told, sent.sent) == (["no node runs on this home"], 0)
    with pytest.raises(ValueError, match="no node runs on this home"):
        sent.sender.push_or_raise([STOP], "")


def test_a_node_that_is_starting_is_not_said_to_be_gone() -> None:
    def gone(command: Command) -> None:
        raise HomeError("no node runs on this home")

    sent = Sent(gone, alive=False, starting=True)
    assert not sent.sender.push([STOP], "")
    assert sent.told == [STILL_STARTING]


def test_a_recording_takes_no_command_and_no_restart() -> None:
    sent = Sent(None)
    assert not sent.sender.ready()
    assert not sent.sender.push([STOP], "")
    sent.sender.restart()
    assert sent.told == [NOTHING_HERE] * 3


def test_a_gone_node_takes_no_command_and_is_started_again() -> None:
    started: list[str] = []
    sent = Sent(lambda command: None, alive=False, restart=lambda: started.append("again"))
    assert not sent.sender.ready()
    assert sent.told == ["the port is taken; press R to start it again"]
    sent.sender.restart()
    assert started == ["again"]
    assert sent.told[-1] == "starting the node"


def test_a_running_node_is_not_started_again() -> None:
    sent = Sent(lambda command: None, restart=lambda: None)
    sent.sender.restart()
    assert sent.told == ["the node runs"]
    other = Sent(lambda command: None)
    other.sender.restart()
    assert other.told == ["this node is not ours to start"]
