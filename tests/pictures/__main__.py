"""Every picture in screenshots/, as SVG and PNG, from the recording in assets/.

    python -m tests.pictures [FOLDER]

The dashboard runs without a terminal (Textual's own test driver), on the recorded series, with keys
pressed as a person would; each picture is what it then shows.
"""

import asyncio
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "assets" / "swarm.flux"


class Picture(NamedTuple):
    """A situation: how large the terminal is, and which keys were pressed."""

    name: str
    size: tuple[int, int]
    keys: tuple[str, ...] = ()


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
    Picture("inspect", (120, 40), (*at("#640"), "5", "down", "enter")),
    Picture("filter", (120, 40), (*at("#700"), "slash", *typed("kind:status_no reason:busy"), "enter")),
    Picture("help", (120, 40), ("question_mark",)),
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
    app = Dashboard(place, clock=lambda: 0.0, glyphs=Glyphs(unicode=True))
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


def png(svg: str) -> bytes:
    """An SVG of a terminal as PNG, in whatever monospaced font is here."""
    import resvg_py

    return bytes(
        resvg_py.svg_to_bytes(svg_string=svg.replace("Fira Code", "DejaVu Sans Mono"),
                              monospace_family="DejaVu Sans Mono")
    )  # fmt: skip


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


if __name__ == "__main__":
    main()
