"""Every picture in screenshots/, as SVG and PNG: of the demo `storm`, which is played for them, and of a browser.

    python -m tests.pictures [FOLDER]

The demo's real nodes run, and the dashboard on one of them, without a terminal (Textual's own test driver), with
keys pressed as a person would; each picture is what it then shows. Chunks and times are others each time, but
the moment is the same: when many have said NO, much is on its way, and a part of it is here.
"""

import asyncio
import io
import os
import threading
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.pictures.target import target_of

if TYPE_CHECKING:
    from textual.app import App
    from textual.pilot import Pilot

    from flux_tui.core.series.state import State
    from flux_tui.demo.narrated_dashboard import Story
    from flux_tui.ui.dashboard.app import Dashboard
    from flux_tui.ui.watching.watched_node import WatchedNode

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "assets" / "swarm.flux"
"""The recording that the browser shows: a page shows a recording or a home, never a demo."""
COLOURS = 96
SCENARIO = "storm"
WIDE, SMALL = (120, 40), (80, 24)
PATIENCE_SECONDS = 180.0
LOOK_SECONDS = 0.05
LAID_OUT_SECONDS = 0.5
"""After this, a terminal of another size is laid out anew, on a busy machine too."""
HERE, LATEST = 25, 60
"""The moment comes when so many chunks are here; if it has not come when so many are, it is then."""
COUNTING, SENDERS, RETRIES, DUE = 5, 3, 7, 2
"""And so many peers have said when to come back, so many send, so many wants count down, and so few are due."""
SOON_SECONDS = (0.2, 5.0)
"""The least and the most seconds left of a countdown that moves visibly."""
DARK, LIGHT = "flux", "flux-light"


class Picture(NamedTuple):
    """A picture: the size of the terminal, and the keys pressed before."""

    name: str
    size: tuple[int, int] = WIDE
    keys: tuple[str, ...] = ()
    theme: str = DARK


def typed(text: str) -> tuple[str, ...]:
    """Return the keys of a text."""
    names = {"#": "number_sign", ":": "colon", "_": "underscore", " ": "space", "-": "minus"}
    return tuple(names.get(character, character) for character in text)


DURING = (
    Picture("storm"),
    Picture("light", theme=LIGHT),
    Picture("large", (200, 60)),
    Picture("small", SMALL),
    Picture("tiny", (60, 20)),
)
"""The pictures taken during the demo, in order."""


def after(moment: int) -> tuple[Picture, ...]:
    """When it is over, and everything can be looked at again. `moment`: the entry at which the others were taken."""
    at = ("t", *typed(f"#{moment}"), "enter")
    return (
        Picture("whole"),
        Picture("frozen", keys=(*at, "1", "left_square_bracket", "left_square_bracket")),
        Picture("playing", keys=("t", *typed(f"#{moment // 2}"), "enter", "1", "S", "P")),
        Picture("inspect", keys=(*at, "5", "down", "enter")),
        Picture("filter", keys=("1", "slash", *typed("kind:status_no reason:busy"), "enter")),
        Picture("command", keys=("1", "colon", *typed("filter reason:"), "tab")),
        Picture("help", keys=("1", "question_mark")),
    )


def is_in_the_middle(state: "State", now: float) -> bool:
    """Return whether this is the moment for the pictures."""
    if not HERE <= state.chunk_count < LATEST:
        return state.chunk_count >= LATEST
    least, most = SOON_SECONDS
    left = [peer.until - now for peer in state.peers.values() if peer.until]
    senders = {lease.peer for lease in state.leases.values()}
    waits = [
        pending.next_push_at - now
        for pending in state.pending.values()
        if pending.next_push_at and pending.cid not in state.leases
    ]
    return (
        sum(seconds > least for seconds in left) >= COUNTING
        and len(senders) >= SENDERS
        and sum(least < seconds < most for seconds in waits) >= RETRIES
        and sum(seconds <= 0 for seconds in waits) <= DUE
    )


async def take_all(folder: Path) -> None:
    """Take all pictures of the demo."""
    from flux_tui.demo.narrated_dashboard import Story, watched_node
    from flux_tui.demo.scenario import load
    from flux_tui.demo.scenario_player import Player
    from flux_tui.demo.swarm_control import Swarm

    scenario = load(SCENARIO)
    with closing(Swarm(scenario)) as swarm:
        player = Player(scenario, swarm, read=False)
        story = Story(player)

        def play() -> None:
            swarm.open()
            player.play()

        def node() -> "WatchedNode":
            return watched_node(swarm, player, swarm.members[scenario.watch])

        threading.Thread(target=play, daemon=True).start()
        app = dashboard(node(), story)
        async with app.run_test(size=WIDE) as pilot:
            await until(pilot, lambda: is_in_the_middle(app.parts.nodes.state, time.time()))
            moment = app.parts.nodes.state.seq
            for picture in DURING:
                if picture is not DURING[0]:  # which shows this moment
                    app.theme = picture.theme
                    await pilot.resize_terminal(*picture.size)
                    await settled(pilot)
                save(app, picture, folder)
            await until(pilot, lambda: player.state.over)
        assert player.error is None, player.error
        for picture in after(moment):
            async with dashboard(node(), story).run_test(size=picture.size) as pilot:
                await settled(pilot)
                await pilot.press(*picture.keys)
                await settled(pilot)
                save(pilot.app, picture, folder)
        player.stop()


def dashboard(node: "WatchedNode", story: "Story") -> "Dashboard":
    """Return the dashboard as the demo shows it."""
    from flux_tui.ui.dashboard.app import Dashboard
    from flux_tui.ui.rows.glyphs import Glyphs

    return Dashboard(node, narrator=story, glyphs=Glyphs(unicode=True), theme=DARK)


async def until(pilot: "Pilot[Any]", seen: Callable[[], bool]) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not seen():
        assert time.monotonic() < deadline, "the moment did not come"
        await pilot.pause(LOOK_SECONDS)


async def settled(pilot: "Pilot[Any]") -> None:
    """Wait until everything is read, laid out and shown."""
    app: Any = pilot.app
    await app.workers.wait_for_complete()
    await pilot.pause()
    while app.parts.nodes.source.loading:
        app.parts.ticker.tick()
    app.parts.ticker.tick()
    await pilot.pause(LAID_OUT_SECONDS)
    app.parts.ticker.draw()
    await pilot.pause()


def save(app: "App[Any]", picture: Picture, folder: Path) -> None:
    """Save what is on the screen."""
    svg = app.export_screenshot(title="flux-tui")
    (folder / f"{picture.name}.svg").write_text(svg)
    (folder / f"{picture.name}.png").write_bytes(png(svg))
    print(folder / f"{picture.name}.png")


async def take_in_a_browser(folder: Path) -> None:
    """Take a picture of the dashboard in a browser, with any installed Chromium."""
    from tests.pictures.browser import installed, opened, served

    browser = installed()
    if browser is None:
        print("no Chromium is here: the picture of the browser stays as it is")
        return
    with served(str(RECORDING), "--mask") as address:
        async with opened(browser) as page:
            await page.call("Page.navigate", url=address)
            await page.until_received("recording")
            await page.click(20, 5)
            for key in ("t", *"#640", "\r"):
                await page.key(key)
            await page.until_received("640 entries")
            await page.call(
                "Runtime.evaluate", expression="new Promise(requestAnimationFrame)", awaitPromise=True
            )
            picture = await page.picture()
    (folder / "browser.png").write_bytes(small(picture))


def png(svg: str) -> bytes:
    """Convert an SVG of a terminal to PNG, with any installed monospaced font."""
    import resvg_py

    return small(
        resvg_py.svg_to_bytes(svg_string=svg.replace("Fira Code", "DejaVu Sans Mono"),
                              monospace_family="DejaVu Sans Mono")
    )  # fmt: skip


def small(picture: bytes) -> bytes:
    """Reduce the colours of a PNG: a terminal has few, and the file shrinks to a fifth."""
    from PIL import Image

    image = Image.open(io.BytesIO(bytes(picture))).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """Run the command."""
    folder = target_of("tests.pictures", __doc__, "folder", ROOT / "screenshots")
    os.environ.pop("NO_COLOR", None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder.mkdir(exist_ok=True)
    asyncio.run(take_all(folder))
    asyncio.run(take_in_a_browser(folder))


if __name__ == "__main__":
    main()
