"""The programs in this folder do what they are for, on real nodes on loopback; and what the public names promise."""

import os
import struct
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
import trio

import flux_tui
from flux_tui import CustomReceived, FluxNode, Settings, parse_cid
from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from tests.api import cache, chat, feed

HERE = Path(__file__).parent
SECONDS = 60


async def line_of(told: pytest.CaptureFixture[str], text: str, heard: list[str]) -> str:
    """Wait until a program has printed a line with this text. `heard`: all that it printed so far."""
    with trio.fail_after(SECONDS):
        while True:
            heard[0] += told.readouterr().out
            for line in heard[0].splitlines():
                if text in line:
                    return line
            await trio.sleep(0.02)


async def test_a_cache(tmp_path: Path, capsys: pytest.CaptureFixture[str], nursery: trio.Nursery) -> None:
    built = tmp_path / "built"
    built.mkdir()
    (built / "lib.a").write_bytes(os.urandom(2_000_000))
    (built / "version").write_text("7")
    nursery.start_soon(cache.main, ["serve", str(tmp_path / "one"), str(built)])
    root, addr = (await line_of(capsys, "/p2p/", [""])).split()
    two, out = str(tmp_path / "two"), tmp_path / "out"
    assert await cache.main(["get", two, root, addr, str(out), "60"]) == 0
    assert (out / "lib.a").read_bytes() == (built / "lib.a").read_bytes()
    assert await cache.main(["get", two, root, addr, str(out), "60"]) == 0, "it is here already"
    assert await cache.main(["evict", two, root]) == 0
    freed = int((await line_of(capsys, "freed", [""])).split()[1])
    assert freed > 2_000_000, "all its blocks are forgotten"
    assert (out / "version").read_text() == "7", "and its files are the user's"
    lacking = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
    assert await cache.main(["get", two, lacking, addr, str(tmp_path / "no"), "0.5"]) == 1
    missed = await line_of(capsys, "MISS", [""])
    assert missed.startswith(f"MISS {lacking[:4]}"), (
        "and the reason, as far as it is known within half a second"
    )
    async with FluxNode.open(two, Settings.local()) as node:
        assert not node.is_pending(parse_cid(lacking)), "the deadline took the want back"
    nursery.cancel_scope.cancel()


async def test_a_chat(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    nursery: trio.Nursery,
) -> None:
    read, write = os.pipe()
    with os.fdopen(read) as typed, os.fdopen(write, "w", buffering=1) as keyboard:
        monkeypatch.setattr(sys, "stdin", typed)
        async with FluxNode.open(tmp_path / "bob", Settings.local(), listens=("chat.say",)) as bob:
            said: list[str] = []
            bob.on(CustomReceived, kind="chat.say")(lambda event: said.append(event.payload.decode()))
            done = trio.Event()

            async def run() -> None:
                await chat.main(str(tmp_path / "ada"), "ada", bob.addrs[0])
                done.set()

            nursery.start_soon(run)
            heard = [""]
            async for entry in bob.follow(CustomReceived, kind="chat.here"):
                bob.answer(entry.event.peer, "chat.here", b"bob")
                break
            bob.push_intent(cmd.Custom("chat.say", b'"hello"'))
            await line_of(capsys, "hello", heard)
            keyboard.write("and you\n")
            with trio.fail_after(SECONDS):
                while not said:  # noqa: ASYNC110
                    await trio.sleep(0.02)
            assert said == ['"and you"']
        await line_of(capsys, "is gone", heard)
        keyboard.close()
        with trio.fail_after(SECONDS):
            await done.wait()
    async with FluxNode.open(tmp_path / "ada", Settings.local()) as ada:
        pages = ada.store.reader()
        mine = [one.event for one in pages.read(0, 1000) if isinstance(one.event, ev.PushedCustom)]
        pages.close()
        assert mine[-1].payload == b'"and you"', "what this node said is in its own series"


async def test_a_feed(tmp_path: Path, capsys: pytest.CaptureFixture[str], nursery: trio.Nursery) -> None:
    reading = struct.Struct("!Id")
    async with FluxNode.open(tmp_path / "sensor", Settings.local()) as sensor:
        nursery.start_soon(feed.main, str(tmp_path / "sink"), sensor.addrs[0])
        async for entry in sensor.follow(flux_tui.PeerConnected, after=0):
            assert entry.event.peer
            break
        for number in range(300):
            sensor.push_intent(cmd.Custom("sensor.reading", reading.pack(number, float(number))))
        assert (await line_of(capsys, "300 ", [""])).split() == ["300", "149.5"], "none was lost"
        nursery.cancel_scope.cancel()


def test_on_asyncio(tmp_path: Path) -> None:
    (tmp_path / "f.bin").write_bytes(b"asyncio")
    done = subprocess.run(
        [sys.executable, str(HERE / "aio.py"), "home", "f.bin"],
        cwd=tmp_path, capture_output=True, text=True, timeout=SECONDS, check=True,
    )  # fmt: skip
    assert done.stdout.startswith("bafk")
    assert not done.stderr


# ── the public names ────────────────────────────────────────────────────────────────────────────


def test_every_command_and_event_is_a_public_name() -> None:
    wanted = [kind.__name__ for kind in (*cmd.COMMAND_TYPES, *ev.EVENT_TYPES)]
    assert set(wanted) <= set(flux_tui.__all__)
    for name in flux_tui.__all__:
        assert getattr(flux_tui, name) is not None
    assert dir(flux_tui) == sorted(flux_tui.__all__)


def test_an_import_costs_nothing() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import sys, flux_tui; print('trio' in sys.modules, 'msgspec' in sys.modules)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout.split() == ["False", "False"]


@pytest.mark.parametrize(
    ("raised", "kinds"),
    [
        (partial(parse_cid, "nonsense"), (flux_tui.BadIdError, flux_tui.FluxError, ValueError)),
        (partial(Settings.local, what=1), (flux_tui.SettingsError, flux_tui.FluxError)),
        (
            partial(cmd.check_command, cmd.Add("relative")),
            (flux_tui.BadCommandError, flux_tui.FluxError),
        ),
    ],
)
def test_every_error_is_a_flux_error(
    raised: Callable[[], object], kinds: tuple[type[Exception], ...]
) -> None:
    for kind in kinds:
        with pytest.raises(kind):
            raised()


def test_local_settings_can_be_changed() -> None:
    local = Settings.local(upload_limit="2MB/s", max_pending=10)
    assert (local.listen, local.mdns) == ((flux_tui.LOOPBACK,), False)
    assert (local.upload_limit, local.max_pending) == (2_000_000, 10)
