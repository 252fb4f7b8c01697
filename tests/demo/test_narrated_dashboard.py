"""The demo under the dashboard: its captions, its keys, the homes of other nodes, and leaving it."""

import os
import pty
import re
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from fcntl import ioctl
from pathlib import Path

import pytest

from flux_tui.core.text.plain import plain_lines
from flux_tui.demo.asciicast import record
from flux_tui.demo.narrated_dashboard import Story, lane_text
from flux_tui.demo.scenario import Look, load
from flux_tui.demo.scenario_player import Lane, Player, StoryState
from flux_tui.demo.swarm_control import Swarm
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.watching.captions import Pointer
from flux_tui.ui.widgets.caption_strip import MAX_LINES
from tests.bench.nodes import wait_for
from tests.support.demos import processes_of


def test_lanes_are_one_line_of_a_small_terminal() -> None:
    race = load("race")
    lanes = [lane_text(Lane(lane.label, 123, 300)) for lane in race.lanes]
    assert lanes[0].startswith("████░░░░░░░░ 123/300 ")
    assert len(wrapped(plain_lines("   ".join(lanes)), 80 - 7)) == 1
    assert lane_text(Lane("x", 0, 0)) == "░░░░░░░░░░░░ 0/0 x"
    for step in race.steps:
        caption = re.sub(r"\{[^}]*\}", "12.3 s", step.caption)
        assert len(wrapped(plain_lines(*caption.split("\n"), "   ".join(lanes)), 80 - 7)) <= MAX_LINES


class Pages:
    """A player for tests of its captions only."""

    def __init__(self) -> None:
        self.player = Player(load("hello"), Swarm(load("hello")))
        for number in (1, 2, 3):
            self.tell(f"step {number}", number)

    def tell(self, text: str, step: int) -> None:
        self.player._put(StoryState(text, step, 5, "you"), text)

    def text(self) -> str:
        return self.player.shown().state.text


@pytest.fixture
def pages() -> Iterator[Pages]:
    found = Pages()
    yield found
    found.player.swarm.close()


def test_captions_can_be_paged_back_and_on(pages: Pages) -> None:
    assert pages.text() == "step 3"
    for text, back in (("step 2", 1), ("step 1", 2), ("step 1", 2)):
        pages.player.move(-1)
        assert (pages.text(), *pages.player.shown()[1:]) == (text, True, back)
    pages.player.move(1)
    assert pages.text() == "step 2"
    pages.player.toggle_pause()  # from an earlier caption: to the newest
    assert (pages.text(), *pages.player.shown()[1:]) == ("step 3", False, 0)
    pages.player.toggle_pause()
    assert pages.player.shown().paused
    pages.player.move(1)
    assert not pages.player.shown().paused


def test_every_caption_of_a_step_can_be_read_again(pages: Pages) -> None:
    player = pages.player
    player._put(StoryState("1 is here", 4, 5, "you"), "{n} are here")
    player._put(StoryState("2 are here", 4, 5, "you"), "{n} are here")
    player._put(StoryState("all are here", 4, 5, "you", seen=True), "all are here")
    player.move(-1)
    assert pages.text() == "2 are here", "as it was said last"
    player._put(StoryState("the end", 5, 5, "you", over=True), "the end")
    assert pages.text() == "2 are here", "who reads is not carried on"
    assert player.shown().back == 2
    for text in ("all are here", "the end", "the end"):
        player.move(1)
        assert pages.text() == text
    assert player.shown().back == 0
    player.move(-1)
    player.move(-1)
    player.move(-1)
    assert pages.text() == "step 3"


def test_the_first_caption_has_none_before_it() -> None:
    with closing(Swarm(load("hello"))) as swarm:
        player = Player(load("hello"), swarm)
        player.move(-1)
        assert not player.shown().paused
        player._put(StoryState("one", 1, 5, "you"), "one")
        player.move(-1)
        assert not player.shown().paused


def test_a_demo_leaves_by_itself_only_with_once(pages: Pages) -> None:
    pages.player.speed = 1e6
    over = StoryState("the end", 5, 5, "you", seen=True, over=True)
    pages.player._put(over, over.text)
    story = Story(pages.player, once=True)
    assert (story.caption.step, story.caption.ends) == (5, False)
    story._over_since = time.monotonic() - 10
    assert (story.caption.text, story.caption.ends) == ("the end", True)
    other = Story(pages.player)
    other._over_since = time.monotonic() - 10
    assert (other.caption.node, other.caption.ends) == ("you", False)


def test_a_demo_goes_back_to_the_menu_by_enter(pages: Pages) -> None:
    over = StoryState("the end", 5, 5, "you", seen=True, over=True)
    pages.player._put(over, over.text)
    assert Story(pages.player).caption.press == "", "without a menu, q leaves"
    story = Story(pages.player, menu=True)
    assert (story.caption.press, story.caption.ends) == ("back to the menu", False)
    story.press()
    assert story.caption.ends


def test_a_caption_tells_the_dashboard_where_to_look(pages: Pages) -> None:
    look = Look(panel="flow", select="ada", about="film.mkv", picture=True, filter="x", from_start=True)
    waits = StoryState("?", 4, 5, "you", look, press="read", inspects=True)
    pages.player._put(waits, waits.text)
    caption = Story(pages.player).caption
    assert (caption.node, caption.panel) == ("you", "flow")
    assert caption.pointer == Pointer("ada", "film.mkv", True, "x", True)
    assert (caption.press, caption.inspects) == ("read", True)
    pages.player.move(-1)
    assert Story(pages.player).caption.press == "", "an earlier caption waits for nothing"


def test_what_is_started_is_said_below_the_caption(pages: Pages) -> None:
    state = StoryState("Hello.", 1, 5, "you", starting="starting: you, ada")
    pages.player._put(state, state.text)
    assert Story(pages.player).caption.text == "Hello.\nstarting: you, ada"


class Terminal:
    """A demo in its own terminal."""

    def __init__(self, pid: int, descriptor: int) -> None:
        self.pid = pid
        self.descriptor = descriptor
        self.seen = b""

    def until(self, words: bytes, seconds: float = 40) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.seen:
            assert time.monotonic() < deadline, f"{words!r} was not shown"
            if select.select([self.descriptor], [], [], 0.1)[0]:
                self.seen += os.read(self.descriptor, 1 << 16)

    def press(self, key: bytes) -> None:
        self.seen = b""
        os.write(self.descriptor, key)

    def ended(self, seconds: float = 10) -> int:
        deadline = time.monotonic() + seconds
        while True:
            if select.select([self.descriptor], [], [], 0.05)[0]:
                with suppress(OSError):  # Linux raises this when it is closed
                    self.seen += os.read(self.descriptor, 1 << 16)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                return os.waitstatus_to_exitcode(status)
            assert time.monotonic() < deadline, "it did not end"


@contextmanager
def a_demo(folder: Path, *arguments: str) -> Iterator[Terminal]:
    pid, descriptor = pty.fork()
    if pid == 0:
        environment = dict(os.environ, TMPDIR=str(folder), TERM="xterm-256color")
        os.execve(sys.executable, [sys.executable, "-m", "flux_tui", "demo", *arguments], environment)
    ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    try:
        yield Terminal(pid, descriptor)
    finally:
        os.close(descriptor)


def test_a_person_watches_pages_back_and_leaves(folder: Path) -> None:
    with a_demo(folder, "hello", "--speed", "3") as terminal:
        terminal.until(b"Four real nodes start")
        terminal.until(b"as you", seconds=60)  # the series names the node as the caption does
        terminal.until(b"peers are connected")
        terminal.press(b"v")
        terminal.until(b"this is ada")
        terminal.press(b"n")
        terminal.until(b"press enter: push the want", seconds=60)
        terminal.press(b"p")
        terminal.until(b"1/5")
        terminal.press(b"p")
        terminal.until(b"Four real nodes start")  # the first of the two captions of that step
        terminal.press(b"q")
        assert terminal.ended() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_a_demo_ended_from_outside(number: signal.Signals, folder: Path) -> None:
    with a_demo(folder, "hello") as terminal:
        terminal.until(b"1/5")
        wait_for(lambda: len(processes_of(folder)) >= 4, seconds=30)
        os.kill(terminal.pid, number)
        terminal.ended()


def test_a_recording_is_an_asciicast(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import json

    monkeypatch.setenv("TMPDIR", str(folder))
    cast = tmp_path / "hello.cast"
    status = record(
        ["demo", "hello", "--once", "--speed", "50"], cast, columns=80, rows=24, title="flux-tui demo hello"
    )
    assert status == 0
    head, *lines = [json.loads(line) for line in cast.read_text().splitlines()]
    assert (head["version"], head["width"], head["height"], head["title"]) == (
        2,
        80,
        24,
        "flux-tui demo hello",
    )
    times = [line[0] for line in lines]
    assert times == sorted(times)
    assert {line[1] for line in lines} == {"o"}
    shown = "".join(line[2] for line in lines)
    assert "5/5" in shown
    assert shown.startswith("\x1b[?1049h"), "it begins with the screen of its own"
    assert "\x1b[?1049l" in shown, "and gives it back"
