"""The table of actions: its names, its keys, and how a person changes them."""

import re

import pytest
from msgspec.structs import replace

from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.keys import ACTIONS, FOOTER_ORDERS, GROUPS, NARRATED, Keys
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.widgets.line_strips import LineStrip
from flux_tui.ui.widgets.panel_layout import PANELS
from tests.support.boards import footer
from tests.support.dashboard import STORY, toasts
from tests.ui.conftest import Live, on_asyncio


def test_every_action_has_a_name_a_key_a_place_and_something_that_it_runs() -> None:
    names = [action.name for action in (*ACTIONS, *NARRATED)]
    assert len(set(names)) == len(names)
    for action in (*ACTIONS, *NARRATED):
        assert re.fullmatch(r"[a-z]+(-[a-z0-9]+)*", action.name)
        assert action.help
        assert action.keys
        assert action.group in GROUPS
        assert not action.label or any(action.label in order for order in FOOTER_ORDERS.values())
        assert not action.on or action.label, "what has no place in the footer cannot be on there"


def test_no_key_does_two_things() -> None:
    keys = [key for action in ACTIONS for key in action.keys.split(",")]
    assert len(set(keys)) == len(keys)


@pytest.mark.parametrize(
    ("rebound", "sentence"),
    [
        ({"wnat": "x"}, "keys: 'wnat' is not an action"),
        ({"want": ""}, "keys: want is '', expected keys such as"),
        ({"want": "x y z"}, "keys: want is 'x y z', expected keys such as"),
        ({"want": "a b"}, "keys: 'a' would do two things, add and begin want"),
        ({"want": "J s"}, "keys: 'J s' would do two things, want and panel-1"),
        ({"want": "J"}, "keys: 'J' would do two things, want and begin panel-1"),
        ({"want": "q"}, "keys: 'q' would do two things, want and quit"),
        ({"want": "/"}, "keys: '/' would do two things, want and filter"),
    ],
)
def test_an_invalid_key_binding_is_explained(rebound: dict[str, str], sentence: str) -> None:
    with pytest.raises(ValueError, match=re.escape(sentence)):
        Keys(rebound)


def test_two_actions_can_swap_keys() -> None:
    keys = Keys({"want": "a", "add": "w, f5"})
    shown = {action.name: keys.all_shown(action) for action in ACTIONS}
    assert (shown["want"], shown["add"]) == ("a", "w f5")


def test_a_key_may_be_a_sequence_of_two() -> None:
    keys = Keys({"panel-2": "2, b  :", "zoom": "b z"})
    shown = {action.name: keys.all_shown(action) for action in ACTIONS}
    assert (shown["panel-1"], shown["panel-2"], shown["zoom"]) == ("1, J s", "2, b :", "b z")
    assert keys.starts() == ["J", "b"] or keys.starts() == ["b", "J"]
    assert {key: action.name for key, action in keys.after("b").items()} == {"z": "zoom", "colon": "panel-2"}
    assert [keys.letter(name) for name in ("panel-1", "panel-2", "want")] == ["s", "colon", ""]
    bound = keys.bindings().key_to_bindings
    assert {binding.action for binding in bound["b"]} == {"begin('b')"}
    assert "z" not in bound
    assert (FOOTER_ORDERS["live"].index("jump"), "b", "jump") in keys.footer()


@on_asyncio
async def test_j_and_the_underlined_letter_jump_to_each_panel(live: Live) -> None:
    app = live.dashboard()
    async with app.run_test(size=(60, 20)) as pilot:
        await pilot.pause()
        for letter, name in zip("pnretfos", (*PANELS[1:], PANELS[0]), strict=True):
            await pilot.press("J")
            told = footer(app)
            assert told.startswith(" J  s Series p Pending n NO "), told
            assert len(told) <= 60
            await pilot.press(letter)
            assert app.parts.panels.current == name
            assert not footer(app).startswith(" J")
            assert f"[underline]{letter}[" in str(app.parts.panels.panel().border_title).lower()
        # Any other key ends the sequence, and does nothing.
        await pilot.press("J", "q")
        assert app.is_running
        assert not footer(app).startswith(" J")
        await pilot.press("J", "J", "2")
        assert app.parts.panels.current == "pending"
        await pilot.press("colon", *"panel", "minus", "5", "enter")
        await pilot.pause()
        assert app.parts.panels.current == "peers"
        await pilot.press("/", *"Js", "enter")
        assert app.parts.panels.filter_of("peers").terms[0].value == "js", "what is typed is text"


@on_asyncio
async def test_a_click_in_the_footer_begins_a_jump(live: Live) -> None:
    app = live.dashboard()
    async with app.run_test(size=(160, 40)) as pilot:
        await pilot.pause()
        await pilot.click("#footer", offset=(footer(app).index("jump"), 0))
        assert footer(app).startswith(" J ")
        await pilot.click("#footer", offset=(footer(app).index("Peers"), 0))
        assert app.parts.panels.current == "peers"
        assert not footer(app).startswith(" J ")


def test_a_narrator_takes_its_keys_and_no_others() -> None:
    keys = Keys(narrated=True)
    shown = {action.name: keys.all_shown(action) for action in keys.actions}
    assert shown["narrate-next"] == "n"
    assert shown["narrate-pause"] == "space"
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
        assert "frozen" not in text_of(app.query_one("#header", LineStrip)._line)
        footer = text_of(app.query_one("#footer", LineStrip)._line)
        assert " ! freeze" in footer
        assert " f9 help" in footer
        await pilot.press("!")
        assert "frozen" in text_of(app.query_one("#header", LineStrip)._line)


@on_asyncio
async def test_the_footer_shows_the_keys_that_are_useful_now(live: Live) -> None:
    """At 80 columns there is room for eight or nine keys: those that are useful in the situation."""
    app = live.dashboard()
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        told = footer(app)
        assert all(
            key in told for key in (" w want", " a add", " space freeze", " / filter", " enter inspect")
        )
        assert "live" not in told
        await pilot.press("space")
        await pilot.pause()
        told = footer(app)
        assert all(key in told for key in (" L live", " [ ] step", " enter inspect", " P play", " / filter"))
    recording = replace(live.node, push=None)
    app = Dashboard(recording, clock=lambda: live.now)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        told = footer(app)
        assert "want" not in told
        assert "add" not in told
        assert " P play" in told
        assert "Press" not in app.parts.panels.panel("pending").empty + app.parts.panels.panel("peers").empty


@on_asyncio
async def test_h_and_l_move_between_panels_and_in_and_out_of_inspect(live: Live) -> None:
    live.append(*STORY)
    app = live.dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("l")
        assert app.parts.panels.current == "pending"
        await pilot.press("right", "left", "h")
        assert app.parts.panels.current == "series"
        await pilot.press("G", "enter")
        screen = app.screen
        assert isinstance(screen, InspectScreen)
        await pilot.pause()
        first = screen.subject
        await pilot.press("g", "l")
        await pilot.pause()
        assert screen.subject != first
        assert app.parts.panels.current == "series", "the panels below do not move"
        await pilot.press("h")
        await pilot.pause()
        assert screen.subject == first
        await pilot.press("h")
        assert len(app.screen_stack) == 1


@on_asyncio
async def test_a_filter_names_an_unknown_kind_and_the_key_that_clears_it(live: Live) -> None:
    live.append(*STORY)
    app = live.dashboard()
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press("/", *"kind:grented")
        await pilot.pause()
        empty = app.parts.panels.panel("series").empty
        assert "No kind is called grented (is it granted?)." in empty
        assert "esc leaves it" in empty
        await pilot.press("escape")
        assert "Nothing has happened yet" in app.parts.panels.panel("series").empty
        await pilot.press("5", "/", *"foo:bar", "enter")
        await pilot.pause()
        assert (
            "foo: is not a field: there are kind, peer, cid, reason." in app.parts.panels.panel("peers").empty
        )
        assert app.parts.panels.panel("peers").rows == [], "and that is what is seen"
        await pilot.press("n")
        assert toasts(app)[-1] == "nothing matches"
        await pilot.press("6", "/")
        assert not app.parts.prompt.kind
        assert toasts(app)[-1] == "Throughput has no lines to filter"
        await pilot.press(":", *"filter x", "enter")
        await pilot.pause()
        assert app.parts.prompt.display, "nor by the command line"
        assert app.parts.panels.panel("throughput").rows
