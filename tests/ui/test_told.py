"""A dashboard that is told about: what a caption points at, and the key that it waits for."""

from flux_tui.core.ids import PeerId
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.watching.captions import Caption, Pointer
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from tests.support.dashboard import ADA, ROOT, STORY, header
from tests.ui.conftest import Live, on_asyncio


class Teller:
    """A narrator that shows captions one after the other. Enter shows the next one."""

    def __init__(self, *captions: Caption) -> None:
        self._captions = [
            caption._replace(step=step, steps=len(captions)) for step, caption in enumerate(captions, 1)
        ]
        self.at = 0

    @property
    def caption(self) -> Caption:
        return self._captions[self.at]

    def move(self, by: int) -> None:
        self.at = min(max(self.at + by, 0), len(self._captions) - 1)

    def press(self) -> None:
        self.move(1)

    def toggle_pause(self) -> None:
        pass


def words(app: Dashboard) -> str:
    strip = app.query_one(CaptionStrip)
    return " ".join(text_of(line).strip() for line in strip._lines)


def named(live: Live, names: dict[PeerId, str]) -> None:
    live.node = type(live.node)(
        title="home", source=live.node.source, push=live._push, alive=lambda: True, names=names
    )


@on_asyncio
async def test_a_caption_selects_the_line_that_it_tells_of(live: Live) -> None:
    named(live, {ADA: "ada"})
    live.append(*STORY[:2])
    teller = Teller(
        Caption("a", 1, 1, panel="pending", pointer=Pointer(select="film.mkv")),
        Caption("b", 1, 1, panel="noes", pointer=Pointer(select="ada")),
    )
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        panels = app.parts.panels
        assert (panels.current, panels.selected_key()) == ("pending", ROOT)
        await pilot.press("n")
        assert panels.selected_key() is None, "nobody has said NO yet"
        live.append(*STORY[2:])
        app.parts.ticker.tick()
        assert (panels.current, panels.selected_key()) == ("noes", ADA), "once its line exists"


@on_asyncio
async def test_a_caption_shows_the_lanes_of_an_object_then_the_picture(live: Live) -> None:
    live.append(*STORY)
    teller = Teller(
        Caption("a", 1, 1, panel="flow", pointer=Pointer(about="film.mkv")),
        Caption("b", 1, 1, panel="flow", pointer=Pointer(picture=True)),
    )
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.parts.panels.current == "flow"
        app.parts.ticker.tick()
        assert "film.mkv" in str(app.parts.panels.panel().border_title)
        await pilot.press("n")
        assert "film.mkv" not in str(app.parts.panels.panel().border_title)
        assert app.parts.panels.panel().rows
        await pilot.press("V")
        app.parts.ticker.tick()
        assert "V" not in header(app)


@on_asyncio
async def test_a_caption_filters_and_the_next_one_takes_the_filter_away(live: Live) -> None:
    live.append(*STORY)
    teller = Teller(
        Caption("a", 1, 1, panel="series", pointer=Pointer(filter="kind:status_no")),
        Caption("b", 1, 1, panel="pending", pointer=Pointer()),
    )
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert app.parts.panels.filter_of("series").terms
        await pilot.press("n")
        assert not app.parts.panels.filter_of("series").terms
        await pilot.press("1", "/", *"busy", "enter")
        await pilot.press("p", "n")
        assert app.parts.panels.current == "pending"


@on_asyncio
async def test_a_caption_waits_for_enter(live: Live) -> None:
    live.append(*STORY)
    teller = Teller(Caption("Look.", 1, 1, press="push the want"), Caption("It is pushed.", 1, 1))
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        assert "press enter: push the want" in words(app)
        await pilot.press("enter")
        assert teller.at == 1
        assert "press enter" not in words(app)
        await pilot.press("enter")
        assert isinstance(app.screen, InspectScreen), "enter inspects where no caption waits for it"


@on_asyncio
async def test_a_caption_waits_until_something_was_inspected(live: Live) -> None:
    live.append(*STORY)
    teller = Teller(
        Caption(
            "Why?", 1, 1, panel="pending", pointer=Pointer(select="film.mkv"), press="read", inspects=True
        ),
        Caption("So.", 1, 1),
    )
    app = live.dashboard(narrator=teller)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("enter")
        assert isinstance(app.screen, InspectScreen)
        app.parts.ticker.tick()
        assert teller.at == 0, "it is read"
        await pilot.press("escape")
        await pilot.pause()
        app.parts.ticker.tick()
        assert teller.at == 1
