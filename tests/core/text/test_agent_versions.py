"""The names that peers suggest for themselves: of exactly one form, and such as a person could give."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.text.agent_versions import agent_version, checked_suggestion, suggested_name
from flux_tui.core.text.names import MAX_NAME, checked_name
from flux_tui.core.text.plain import plain

PEER = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"


def test_a_name_is_told_and_read() -> None:
    assert agent_version("0.2.0") == "flux-tui/0.2.0"
    assert agent_version("0.2.0", "ada") == "flux-tui/0.2.0 (ada)"
    for name in ("ada", "ada two", "ada (at home)", "Zoë", "日本語", "a)", "(", "'; rm -rf", "$HOME"):
        assert suggested_name(agent_version("0.3.0rc1+x", name)) == name
    assert suggested_name(agent_version("0.2.0")) == ""


@pytest.mark.parametrize(
    "told",
    [
        "",
        "ada",
        "py-libp2p/0.8.1",
        "kubo/0.32.1/desktop (ada)",
        "flux-tui",
        "flux-tui/ (ada)",
        "flux-tui/0.2.0(ada)",
        "flux-tui/0.2.0  (ada)",
        "flux-tui/0.2.0 ada",
        "flux-tui/0.2.0 ()",
        "flux-tui/0.2.0 ( )",
        "flux-tui/0.2.0 ( ada)",
        "flux-tui/0.2.0 (ada two )",
        "flux-tui/0.2.0 (ada  two)",
        "flux-tui/0.2.0 (ada) ",
        "flux-tui/0.2.0 (ada)\n",
        "\nflux-tui/0.2.0 (ada)",
        "flux-tui/0.2.0 (ada\nbob)",
        "FLUX-TUI/0.2.0 (ada)",
        "flux-tui/\u0660.2.0 (ada)",
        f"flux-tui/{'1' * 33} (ada)",
        f"flux-tui/0.2.0 ({'x' * (MAX_NAME + 1)})",
        "flux-tui/0.2.0 (" + "x" * 10_000_000,
        "flux-tui/0.2.0 (\x1b[2Jada)",
        "flux-tui/0.2.0 (\x00)",
        "flux-tui/0.2.0 (\u202eada)",
        "flux-tui/0.2.0 (ada\u200d)",
        "flux-tui/0.2.0 (ada\ufe0f)",
        "flux-tui/0.2.0 (\u3164)",
        "flux-tui/0.2.0 (ada\u00a0two)",
        "flux-tui/0.2.0 (\uff41\uff44\uff41)",
        "flux-tui/0.2.0 (\ufb01lm)",
        "flux-tui/0.2.0 (e\u0301va)",
        "flux-tui/0.2.0 (12D3…AAAA)",
        f"flux-tui/0.2.0 ({PEER})",
        f"flux-tui/0.2.0 ({PEER[:24]}…)",
        "flux-tui/0.2.0 (--join)",
    ],
)
def test_what_others_tell_suggests_nothing(told: str) -> None:
    assert suggested_name(told) == ""


@given(st.text(max_size=60))
def test_a_suggestion_can_always_be_given_and_shown(name: str) -> None:
    for told in (name, agent_version("0.2.0", name)):
        found = suggested_name(told)
        if found:
            assert checked_name(found) == plain(found) == found
            assert found == name


@given(st.text(min_size=1, max_size=MAX_NAME))
def test_what_may_be_suggested_is_read(name: str) -> None:
    try:
        checked = checked_suggestion(name)
    except ValueError:
        return
    assert suggested_name(agent_version("0.2.0", checked)) == checked
