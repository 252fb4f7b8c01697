"""The terminal of a page: packets of Textual's server on one side, a terminal of its own on the other."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from flux_tui.cli.web_terminal import HEAD, PRELUDE, packets
from tests.support.demos import processes_of


class Page:
    """The server's end of a page."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        environment = dict(os.environ, TMPDIR=str(folder), COLUMNS="80", ROWS="24")
        environment["TEXTUAL_DRIVER"] = "textual.drivers.web_driver:WebDriver"
        self.process = subprocess.Popen(
            [sys.executable, "-m", "flux_tui.cli.web_terminal", *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, bufsize=0,
        )  # fmt: skip
        self.shown = b""
        self.told: list[dict[str, object]] = []
        self._came = bytearray()

    def read(self) -> bool:
        """Take what came. Return whether more can come."""
        assert self.process.stdout is not None
        data = self.process.stdout.read(1 << 16)
        self._came += data or b""
        if self._came.startswith(PRELUDE):
            del self._came[: len(PRELUDE)]
        for kind, content in packets(self._came):
            if kind == b"D":
                self.shown += content
            else:
                self.told.append(json.loads(content))
        return bool(data)

    def until(self, words: bytes, seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while words not in self.shown:
            assert self.read(), f"{words!r} was not shown"
            assert time.monotonic() < deadline

    def send(self, kind: bytes, content: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(HEAD.pack(kind, len(content)) + content)


@pytest.fixture
def page(folder: Path) -> Iterator[Page]:
    found = Page(folder, "demo")
    with found.process:  # closes its pipes, and waits for it
        yield found


def test_packets_are_taken_when_they_are_complete() -> None:
    pending = bytearray(HEAD.pack(b"D", 3) + b"abc" + HEAD.pack(b"M", 2) + b"{")
    assert list(packets(pending)) == [(b"D", b"abc")]
    pending += b"}"
    assert list(packets(pending)) == [(b"M", b"{}")]
    assert not pending


def test_a_page_shows_the_menu_then_a_dashboard_and_the_menu_again(page: Page) -> None:
    page.until(b"ten-thousand")
    page.send(b"M", json.dumps({"type": "resize", "width": 120, "height": 40}).encode())
    page.send(b"D", b"\r")
    page.until(b"Four real nodes start", seconds=120)
    page.shown = b""
    page.send(b"D", b"q")
    page.until(b"ten-thousand")
    page.send(b"D", b"q")
    while page.read():
        pass
    assert page.told == [{"type": "exit"}]
    assert page.process.wait(10) == 0


def test_a_closed_page_ends_its_program(page: Page, folder: Path) -> None:
    page.until(b"ten-thousand")
    assert processes_of(folder), "the process for the nodes was started before anything was chosen"
    page.send(b"M", json.dumps({"type": "quit"}).encode())
    while page.read():
        pass
    page.process.wait(20)
