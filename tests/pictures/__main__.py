"""Every picture in screenshots/, as SVG and PNG, from the recording in assets/.

    python -m tests.pictures [FOLDER]

The dashboard runs without a terminal (Textual's own test driver), on the recorded series, with keys
pressed as a person would; each picture is what it then shows.
"""

import asyncio
import io
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "assets" / "swarm.flux"
COLOURS = 96


class Picture(NamedTuple):
    """A situation: how large the terminal is, and which keys were pressed."""

    name: str
    size: tuple[int, int]
    keys: tuple[str, ...] = ()
    theme: str = "flux"


def typed(text: str) -> tuple[str, ...]:
    """The keys of a text."""
    names = {"#": "number_sign", ":": "colon", "_": "underscore", " ": "space", "-": "minus"}
    return tuple(names.get(character, character) for character in text)


def at(moment: str) -> tuple[str, ...]:
    """The keys that go to a moment."""
    return ("t", *typed(moment), "enter")


PICTURES = (
    Picture("storm", (120, 40), at("#640")),
    Picture("whole", (120, 40)),
    Picture("frozen", (120, 40), (*at("#430"), "left_square_bracket", "left_square_bracket")),
    Picture("playing", (120, 40), (*at("#300"), "S", "P")),
    Picture("inspect", (120, 40), (*at("#640"), "5", "down", "enter")),
    Picture("filter", (120, 40), (*at("#700"), "slash", *typed("kind:status_no reason:busy"), "enter")),
    Picture("command", (120, 40), (*at("#640"), "colon", *typed("filter reason:"), "tab")),
    Picture("help", (120, 40), ("question_mark",)),
    Picture("light", (120, 40), at("#640"), "flux-light"),
    Picture("small", (80, 24), at("#640")),
    Picture("tiny", (60, 20), (*at("#640"), "3")),
    Picture("large", (200, 60), at("#640")),
)


async def take(picture: Picture, folder: Path) -> None:
    """One picture."""
    from flux_tui.ui.app import Dashboard
    from flux_tui.ui.glyphs import Glyphs
    from flux_tui.ui.place import Place
    from flux_tui.ui.source import Source

    place = Place(title="swarm.flux", source=Source.of_file(RECORDING))
    app = Dashboard(place, clock=lambda: 0.0, glyphs=Glyphs(unicode=True), theme=picture.theme)
    async with app.run_test(size=picture.size) as pilot:
        await pilot.pause()
        while app.source.loading:
            app.tick()
        await pilot.press(*picture.keys)
        await app.workers.wait_for_complete()
        await pilot.pause()
        svg = app.export_screenshot(title="flux-tui")
    (folder / f"{picture.name}.svg").write_text(svg)
    (folder / f"{picture.name}.png").write_bytes(png(svg))


async def take_in_a_browser(folder: Path) -> None:
    """The dashboard as a page; in whatever Chromium is here."""
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
    """An SVG of a terminal as PNG, in whatever monospaced font is here."""
    import resvg_py

    return small(
        resvg_py.svg_to_bytes(svg_string=svg.replace("Fira Code", "DejaVu Sans Mono"),
                              monospace_family="DejaVu Sans Mono")
    )  # fmt: skip


def small(picture: bytes) -> bytes:
    """A PNG of few colours: a terminal has no more, and it is a fifth of the size."""
    from PIL import Image

    image = Image.open(io.BytesIO(bytes(picture))).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def main() -> None:
    """The command."""
    os.environ.pop("NO_COLOR", None)
    os.environ["TZ"] = "UTC"
    time.tzset()
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "screenshots"
    folder.mkdir(exist_ok=True)
    for picture in PICTURES:
        asyncio.run(take(picture, folder))
        print(f"{folder / picture.name}.png")
    asyncio.run(take_in_a_browser(folder))


if __name__ == "__main__":
    main()
