"""The dashboard as pictures, at the four sizes that are promised. After a wanted change of looks:

pytest tests/ui/test_snapshots.py --snapshot-update
"""

from collections.abc import Callable

import pytest
from textual.pilot import Pilot

from flux_tui.ui.dashboard.app import Dashboard
from tests.ui.conftest import replayed

SnapCompare = Callable[..., bool]
"""The plugin's fixture."""
SIZES = [(60, 20), (80, 24), (120, 40), (200, 60)]


async def _load(pilot: Pilot[bool]) -> None:
    await pilot.pause()
    app = pilot.app
    assert isinstance(app, Dashboard)
    source = app.parts.nodes.source
    while source.loading or not source.last_seq:  # a busy machine has not read it yet
        app.parts.ticker.tick()
        await pilot.pause()
    source.go_to(640)
    app.parts.ticker.tick()
    await pilot.pause()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_in_the_middle_of_it(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert snap_compare(replayed(), terminal_size=size, run_before=_load)


@pytest.mark.parametrize("key", ["2", "3", "4", "5", "6"])
def test_a_panel_of_a_small_terminal(snap_compare: SnapCompare, key: str) -> None:
    async def press(pilot: Pilot[bool]) -> None:
        await _load(pilot)
        await pilot.press(key)

    assert snap_compare(replayed(), terminal_size=(60, 20), run_before=press)


def test_without_colours(snap_compare: SnapCompare, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    assert snap_compare(replayed(), terminal_size=(120, 40), run_before=_load)


def test_in_a_light_theme(snap_compare: SnapCompare) -> None:
    async def light(pilot: Pilot[bool]) -> None:
        pilot.app.theme = "textual-light"
        await _load(pilot)

    assert snap_compare(replayed(), terminal_size=(120, 40), run_before=light)


@pytest.mark.parametrize("size", SIZES, ids=lambda size: "x".join(map(str, size)))
def test_objects(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    async def press(pilot: Pilot[bool]) -> None:
        await _load(pilot)
        await pilot.press("8")
        await pilot.pause()
        app = pilot.app
        assert isinstance(app, Dashboard)
        app.parts.ticker.draw()
        await pilot.pause()
        # A panel keeps the room that more lines needed before, with a scrollbar. How many there were before the first
        # layout depends on the moment.
        panel = app.parts.panels.panel("objects")
        if panel.count() <= panel.size.height:
            panel.virtual_size = panel.virtual_size.with_height(panel.size.height)
        await pilot.pause()
        panel.refresh()
        await pilot.pause()

    assert snap_compare(replayed(), terminal_size=size, run_before=press)
