"""Names of peers in the dashboard: given, shown everywhere, and taken away."""

from pathlib import Path

import pytest
from textual.pilot import Pilot

from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.petnames import PetNames
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.watching.watched_node import WatchedNode
from tests.support.dashboard import ADA, STORY, facts, shown, toasts
from tests.ui.conftest import START, Live, on_asyncio

OTHER = type(ADA)("12D3KooW" + "C" * 44)


class Named:
    """A live series, and a dashboard whose names are in a home."""

    def __init__(self, folder: Path) -> None:
        self.live = Live()
        self.live.append(*STORY)
        self.names = PetNames(Home(folder))
        node = WatchedNode(
            title="home", source=self.live.node.source, push=self.live.pushed.append, alive=lambda: True,
            names=self.names, rename=self.names.rename,
        )  # fmt: skip
        self.app = Dashboard(node, clock=lambda: START, glyphs=Glyphs(unicode=True))


@pytest.fixture
def named(tmp_path: Path) -> Named:
    return Named(tmp_path)


async def type_line(pilot: Pilot[bool], app: Dashboard, line: str) -> None:
    """Enter a line in the open prompt."""
    app.parts.prompt.field.value = line
    await pilot.pause()
    await pilot.press("enter")
    await pilot.pause()


@on_asyncio
async def test_a_name_is_given_from_inspect_and_shown_everywhere(named: Named, tmp_path: Path) -> None:
    app = named.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("5", "enter")
        await pilot.pause()
        assert isinstance(app.screen, InspectScreen)
        assert facts(app)["name"] == "none yet: n gives it one"
        await pilot.press("n")
        await pilot.pause()
        assert app.parts.prompt.field.value == "name 12D3…AAAA "
        await pilot.press("a", "d", "a", "enter")
        await pilot.pause()
        assert dict(PetNames(Home(tmp_path))) == {ADA: "ada"}
        assert toasts(app)[-1] == "12D3…AAAA is called ada now"
        assert any(" ada " in line for line in shown(app, "peers"))
        assert any(" ada " in line for line in shown(app, "series"))
        assert any("ada" in line for line in shown(app, "noes"))
        assert not any(
            "12D3…AAAA" in line for name in ("series", "noes", "peers") for line in shown(app, name)
        )
        await pilot.press("5", "enter")
        await pilot.pause()
        assert facts(app)["peer"] == f"ada  {ADA}", "the whole id is there on demand"
        assert "name" not in facts(app)


@on_asyncio
async def test_a_name_is_changed_and_taken_away_by_name(named: Named) -> None:
    app = named.app
    named.names.rename(ADA, "ada")
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("colon")
        assert "name ada" in app.parts.acting.completion.lines("name a")
        await type_line(pilot, app, "name ada 'ada two'")
        assert named.names[ADA] == "ada two"
        await pilot.press("colon")
        await type_line(pilot, app, "name 'ada two'")
        assert ADA not in named.names
        assert toasts(app)[-1] == "ada two has no name any more"
        await pilot.press("5", "colon")
        await type_line(pilot, app, "name eve")
        assert named.names[ADA] == "eve", "without a peer, it is the selected one"


@on_asyncio
async def test_what_is_wrong_with_a_name_is_told_in_place(named: Named) -> None:
    app = named.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("6")  # nothing is selected there
        for line, sentence in (
            ("name bob eve", "bob is not a peer that this node knows"),
            ("name", "usage: name [PEER] NAME"),
            ("name 12D3…AAAA", "has no name yet"),
            ("name 12D3…AAAA " + "x" * 30, "too long"),
        ):
            await pilot.press("colon")
            await type_line(pilot, app, line)
            assert sentence in str(app.parts.prompt.query_one("#prompt-error").render())
            assert app.parts.prompt.field.value == line
            await pilot.press("escape")
        assert not named.names


@on_asyncio
async def test_the_names_of_a_demo_stay(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("colon")
        await type_line(pilot, live.app, "name 12D3…AAAA ada")
        assert "cannot be changed here" in str(live.app.parts.prompt.query_one("#prompt-error").render())


@on_asyncio
async def test_ids_with_the_same_end_show_more_of_it(live: Live) -> None:
    twin = type(ADA)("12D3KooW" + "B" * 39 + "AAAAA")
    live.append(*STORY)
    async with live.app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert any("12D3…AAAA" in line for line in shown(live.app, "series"))
        live.append(ev.PeerConnected(peer=twin, addr="/ip4/192.0.2.8/tcp/4001"))
        live.app.parts.ticker.tick()
        await pilot.pause()
        for name in ("series", "peers"):
            lines = shown(live.app, name)
            assert any("…AAAAAAAA" in line for line in lines)
            assert any("…BBBAAAAA" in line for line in lines)
            assert not any("12D3…AAAA" in line for line in lines)


@on_asyncio
async def test_the_name_that_a_peer_suggests_is_typed_already(named: Named, tmp_path: Path) -> None:
    app = named.app
    named.live.append(ev.NameSuggested(peer=ADA, suggested="ada two"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        assert any("calls itself ada two" in line for line in shown(app, "series"))
        assert not any("ada" in line for line in shown(app, "peers")), (
            "its id stands for it until it has a name"
        )
        await pilot.press("5", "enter")
        await pilot.pause()
        assert facts(app)["calls itself"] == "ada two"
        await pilot.press("n")
        await pilot.pause()
        assert app.parts.prompt.field.value == "name 12D3…AAAA ada\\ two"
        await pilot.press("enter")
        await pilot.pause()
        assert dict(PetNames(Home(tmp_path))) == {ADA: "ada two"}
        named.live.append(ev.NameSuggested(peer=ADA, suggested="bob"))
        app.parts.ticker.tick()
        await pilot.pause()
        assert any("ada two" in line for line in shown(app, "peers")), "the given name stays"
        await pilot.press("5", "enter")
        await pilot.pause()
        assert (facts(app)["peer"], facts(app)["calls itself"]) == (f"ada two  {ADA}", "bob")
        await pilot.press("n")
        await pilot.pause()
        assert app.parts.prompt.field.value == "name ada\\ two ", "a name that was given is not replaced"


@on_asyncio
async def test_the_name_that_a_peer_suggests_completes_a_line(named: Named) -> None:
    app = named.app
    named.live.append(ev.NameSuggested(peer=ADA, suggested="ada two"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        lines = app.parts.acting.completion.lines
        assert lines("name 12D3…AAAA ") == lines("name 12D3…AAAA a") == ["name 12D3…AAAA ada\\ two"]
        assert lines("name 12D3…AAAA b") == lines("name nobody a") == lines("name 12D3…AAAA a b") == []
        assert not any("ada" in line for line in lines("name a")), "it is no name of a peer"
        named.names.rename(OTHER, "Ada Two")
        assert lines("name 12D3…AAAA ") == [], "another peer has that name"
        named.names.rename(OTHER, "")
        await pilot.press("m")
        await pilot.pause()
        assert lines(f"name {ADA} ") == []
        assert not any("ada two" in line for line in shown(app, "series")), "a mask hides it, too"
        await pilot.press("5", "enter")
        await pilot.pause()
        assert "calls itself" not in facts(app)


@on_asyncio
async def test_a_name_that_another_peer_has_is_not_typed(named: Named) -> None:
    app = named.app
    named.names.rename(OTHER, "Ada")
    named.live.append(ev.NameSuggested(peer=ADA, suggested="ada"))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("5", "enter")
        await pilot.pause()
        assert facts(app)["calls itself"] == "ada"
        await pilot.press("n")
        await pilot.pause()
        assert app.parts.prompt.field.value == "name 12D3…AAAA "
