"""Scenario files: errors are reported before anything starts, and captions are short and true."""

import re
import tomllib
from pathlib import Path
from typing import get_args

import pytest

from flux_tui.core.text.plain import plain_lines
from flux_tui.demo.facts.fact_syntax import parse_text
from flux_tui.demo.scenario import Panel, ScenarioError, load, names, parse, reading_time
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.widgets.caption_strip import MAX_LINES
from flux_tui.ui.widgets.panel_layout import PANELS

IN_WORDS = {
    "{refusals}": "slow1 rate_limited, again in 2.9 s; shy1 busy, again in 0.5 s; club denied, never again",
    "{next:film.mkv}": "Next: the want is pushed to all again in 2.1 s, at 12:48:41.",
}
"""Facts in words, about as long as they get."""
GOOD = """
title = "T"
about = "a"
lasts = "1 min"
watch = "you"
stated = "s"
outcome = ["pending = 0"]
[[nodes]]
name = "you"
[[nodes]]
name = "h"
count = 2
[[content]]
name = "film.mkv"
size = "1MiB"
[[steps]]
caption = "{h1.sent} of {size:film.mkv}"
actions = [{ do = "add", nodes = ["h1", "h2"], content = "film.mkv" }]
until = ["h1.count:object_added = 1"]
"""


def test_a_valid_scenario_is_read() -> None:
    found = parse("good", GOOD)
    assert found.names == ("you", "h1", "h2")
    assert found.content[0].bytes == 1 << 20
    assert reading_time("x" * 100) > reading_time("x")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('watch = "you"', 'watch = "who"', "'who' is not among h1, h2, you"),
        ('outcome = ["pending = 0"]', "outcome = []", "no outcome is stated"),
        ('outcome = ["pending = 0"]', 'outcome = ["happiness = 1"]', "'happiness' is no fact"),
        ('outcome = ["pending = 0"]', 'outcome = ["pending is 0"]', "is no condition"),
        ('outcome = ["pending = 0"]', 'outcome = ["noes:tired = 0"]', "'tired' is none of rate_limited"),
        ('outcome = ["pending = 0"]', 'outcome = ["count:nonsense = 0"]', "'nonsense' is none of"),
        ('outcome = ["pending = 0"]', 'outcome = ["whole = 1"]', "does not say of which content"),
        ('outcome = ["pending = 0"]', 'outcome = ["pending:x = 1"]', "'x' is none of"),
        ('outcome = ["pending = 0"]', 'outcome = ["eve.pending = 0"]', "'eve' is not among"),
        ("{h1.sent}", "{h3.sent}", "'h3' is not among"),
        ("{h1.sent}", "{h1.nonsense}", "is no fact"),
        ('content = "film.mkv" }', 'content = "other" }', "'other' is not among film.mkv"),
        ('do = "add"', 'do = "explode"', "explode"),
        ('until = ["h1.count:object_added = 1"]', "", "nothing has to be seen"),
        ("count = 2", "count = 2\nsettings = { nonsense = 1 }", "'nonsense' is not a setting"),
        ("count = 2", "count = 2\nsettings = { max_uploads = -1 }", "max_uploads"),
        ('size = "1MiB"', 'size = "much"', "is not a size such as 10GiB"),
        ('size = "1MiB"', 'size = "0"', "has no size"),
        ('name = "h"\ncount = 2', 'name = "you"', "same name"),
        ('name = "h"', 'name = "holder-of-it"', "longer than the 9 columns that panels have"),
        ("[[steps]]", "[[steps]]\npanel = 'nowhere'", "nowhere"),
        ("[[steps]]", "[[steps]]\nselect = 'nobody'", "'nobody' is not among"),
        ("[[steps]]", "[[steps]]\npicture = true", "only Flow shows"),
        ("[[steps]]", "[[steps]]\ninspects = true", "no line is selected to inspect"),
        ("[[steps]]", "[[steps]]\nwhen = ['h3.pending = 0']", "'h3' is not among"),
        ("{h1.sent}", "{+h1.sent}", "nothing can have grown before"),
        ("{size:film.mkv}", "{next:other}", "'other' is not among film.mkv"),
        ('outcome = ["pending = 0"]', 'outcome = ["next:film.mkv = 1"]', "'next:film.mkv' is no fact"),
        ('title = "T"', "title = 1", "title"),
        ('title = "T"', "title", "the scenario bad:"),
        ('about = "a"', 'about = "a"\nextra = 1', "extra"),
    ],
)
def test_an_error_is_one_sentence(old: str, new: str, words: str) -> None:
    assert old in GOOD
    with pytest.raises(ScenarioError) as caught:
        parse("bad", GOOD.replace(old, new))
    assert words in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_an_unknown_scenario_lists_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match="there are hello, "):
        load("../hello")


def test_a_step_can_point_at_every_panel_of_the_dashboard() -> None:
    assert get_args(Panel) == PANELS


@pytest.mark.parametrize("name", names())
def test_captions_are_short_and_their_numbers_are_facts(name: str) -> None:
    scenario = load(name)
    for text in [
        scenario.stated,
        *(t for step in scenario.steps for t in (step.caption, step.press, step.seen) if t),
    ]:
        bare = re.sub(r"\{[^}]*\}", "", text)
        # Numbers of panels, in brackets, do not count.
        assert not re.search(r"\d", re.sub(r"\(\d\)", "", bare)), f"a number is written in: {text}"
        shown = re.sub(r"\{[^}]*\}", "12,345", text)
        assert len(wrapped(plain_lines(*shown.split("\n")), 80 - 7)) <= 2, (
            f"more than two lines of a small terminal: {text}"
        )
        for fact, words in IN_WORDS.items():
            shown = shown.replace("12,345", words, text.count(fact))
        assert len(wrapped(plain_lines(*shown.split("\n")), 80 - 7)) <= MAX_LINES, text
    end = scenario.end
    assert end.panel != "flow" or end.about or end.from_start, (
        "what happened leaves the screen after a minute"
    )
    assert scenario.about == scenario.about.strip()
    assert len(scenario.about) <= 54, "one line of a menu on a small terminal"
    assert len(scenario.lasts) <= 6


@pytest.mark.parametrize("name", names())
def test_it_ends_on_a_full_screen(name: str) -> None:
    assert load(name).end.panel in ("flow", "objects")


@pytest.mark.parametrize("name", names())
def test_the_presenter_pushes(name: str) -> None:
    """The first thing that happens because of a person happens when the presenter presses a key."""
    pressed = [step for step in load(name).steps if step.press]
    assert pressed
    assert pressed[0].actions


@pytest.mark.parametrize("width", range(40, 130))
def test_a_command_in_a_caption_is_never_broken(width: int) -> None:
    lines = wrapped(plain_lines(*load("hello").stated.split("\n")), width)
    assert any("[ and ]" in line for line in lines)


@pytest.mark.parametrize("name", names())
def test_the_stated_outcome_names_facts_and_has_conditions(name: str) -> None:
    """The stated outcome names facts, and conditions check it."""
    scenario = load(name)
    assert parse_text(scenario.stated)
    assert len(scenario.outcome) >= 2
    assert tomllib.loads((Path("flux_tui/demo/scenarios") / f"{name}.toml").read_text())
