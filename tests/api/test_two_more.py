"""The build cache and the live page, written from the README alone, do what they are for."""

import asyncio
import json
import os
import urllib.request
from pathlib import Path

import pytest
import trio

from flux_tui import Add, Stop
from flux_tui.testing import nodes
from tests.api import build_cache, live_page

SECONDS = 60


async def test_a_build_cache_evicts_the_oldest(tmp_path: Path) -> None:
    async with nodes(2, tmp_path) as (a, b):
        words = []
        for number in range(3):
            folder = tmp_path / f"build-{number}"
            folder.mkdir()
            (folder / "out").write_bytes(os.urandom(400_000))
            words.append(await build_cache.put(a, folder, 1_000_000))
        assert [one.name for one in a.objects()] == ["build-1", "build-2"], "the first one had to go"
        assert await build_cache.get(b, words[2], tmp_path / "here", SECONDS)
        assert (tmp_path / "here" / "out").read_bytes() == (tmp_path / "build-2" / "out").read_bytes()


async def test_a_miss_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with nodes(1, tmp_path) as (a,):
        folder = tmp_path / "gone"
        folder.mkdir()
        (folder / "out").write_bytes(b"x" * 10)
        word = await build_cache.put(a, folder, 0)
        assert a.objects() == ()
        with trio.fail_after(SECONDS):
            assert not await build_cache.get(a, word, tmp_path / "here", 0.2)
    assert capsys.readouterr().out.startswith("MISS ")


def test_a_page_shows_the_series_as_it_grows(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    (home / "settings.toml").write_text('listen = ["/ip4/127.0.0.1/tcp/0"]\nmdns = false\n')
    (tmp_path / "<b>f").write_bytes(b"shown as text")

    async def run() -> list[dict[str, object]]:
        task = asyncio.create_task(live_page.main(str(home)))
        while not (told := capsys.readouterr().out):
            assert not task.done(), task.result()
            await asyncio.sleep(0.05)
        got = await asyncio.to_thread(read, told.strip(), tmp_path / "<b>f", home)
        await asyncio.wait_for(task, SECONDS)
        return got

    entries = asyncio.run(run())
    assert entries[0]["event"] == "node_started"
    assert entries[-1]["event"] == "object_added"
    assert entries[-1]["name"] == "<b>f"


def read(page: str, path: Path, home: Path) -> list[dict[str, object]]:
    """Read the page and its events, as a browser does; share a file meanwhile, and stop the node at the end."""
    from flux_tui.home import Home

    with urllib.request.urlopen(page, timeout=SECONDS) as found:
        assert b"EventSource" in found.read()
    found_entries: list[dict[str, object]] = []
    with urllib.request.urlopen(page + "events", timeout=SECONDS) as events:
        Home(home).push(Add(path))
        for raw in events:
            if raw.startswith(b"data: "):
                found_entries.append(json.loads(raw[6:]))
                if found_entries[-1]["event"] == "object_added":
                    break
    Home(home).push(Stop())
    return found_entries
