"""The one table of actions: its names, its keys, and how a person changes them."""

import re

import pytest

from flux_tui.ui.app import Dashboard
from flux_tui.ui.keys import ACTIONS, FOOTER_ORDER, GROUPS, NARRATED, Keys
from flux_tui.ui.panels.strips import LineStrip
from flux_tui.ui.view import text_of
from tests.ui.conftest import Live, on_asyncio


def test_every_action_has_a_name_a_key_a_place_and_something_that_it_runs() -> None:
    names = [action.name for action in (*ACTIONS, *NARRATED)]
    assert len(set(names)) == len(names)
    for action in (*ACTIONS, *NARRATED):
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", action.name)
        assert action.help
        assert action.keys
        assert action.group in GROUPS
        assert not action.label or action.label in FOOTER_ORDER
        assert hasattr(Dashboard, f"action_{action.run.partition('(')[0]}"), action.run


def test_no_key_does_two_things() -> None:
    keys = [key for action in ACTIONS for key in action.keys.split(",")]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("rebound", "sentence"),
    [
        ({"wnat": "x"}, "keys: 'wnat' is no action"),
        ({"want": ""}, "keys: want is '', expected keys such as"),
        ({"want": "a b"}, "keys: want is 'a b', expected keys such as"),
        ({"want": "q"}, "keys: 'q' would do two things, want and quit"),
        ({"want": "/"}, "keys: '/' would do two things, want and filter"),
    ],
)
def test_what_cannot_be_bound_is_explained(rebound: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Keys(rebound)


def test_keys_can_change_places() -> None:
    keys = Keys({"want": "a", "add": "w, f5"})
    shown = {action.name: keys.all_shown(action) for action in ACTIONS}
    assert (shown["want"], shown["add"]) == ("a", "w f5")


def test_who_narrates_has_its_keys_and_leaves_the_rest() -> None:
    keys = Keys(narrated=True)
    shown = {action.name: keys.all_shown(action) for action in keys.actions}
    assert shown["narrate-next"] == "n"
    assert shown["narrate-hold"] == "space"
    assert shown["freeze"] == "F"
    assert shown["previous-match"] == "N"


@on_asyncio
async def test_a_rebound_key_works_is_shown_and_the_old_one_does_nothing(live: Live) -> None:
    app = live.dashboard(keys=Keys({"help": "f9", "freeze": "!"}))
    async with app.run_test(size=(200, 40)) as pilot:
        await pilot.pause()
        await pilot.press("?")
        assert len(app.screen_stack) == 1
        await pilot.press("f9")
        assert len(app.screen_stack) == 2
        await pilot.press("escape", "space")
        assert "live" in text_of(app.query_one("#header", LineStrip)._line)
        await pilot.press("!")
        assert "frozen" in text_of(app.query_one("#header", LineStrip)._line)
        footer = text_of(app.query_one("#footer", LineStrip)._line)
        assert " ! freeze" in footer
        assert " f9 help" in footer
