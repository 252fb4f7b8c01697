"""Patterns of `get --only`."""

import pytest

from flux_tui.core.content.selection import Selection


@pytest.mark.parametrize(
    ("pattern", "yes", "no"),
    [
        ("*.jpg", ["a.jpg", "x/y/b.jpg"], ["a.jpeg", "a.jpg/x", "x"]),
        ("/*.jpg", ["a.jpg"], ["x/a.jpg"]),
        ("2024/*.jpg", ["2024/a.jpg"], ["2024/x/a.jpg", "x/2024/a.jpg", "2024"]),
        ("**/2024/*", ["2024/a", "x/2024/a", "x/y/2024/a"], ["2024", "x/2024/a/b"]),
        ("a/**/b", ["a/b", "a/x/b", "a/x/y/b"], ["b", "a/x"]),
        ("photos", ["photos", "x/photos"], ["photos/x"]),
        ("[ab]?", ["a1", "b2"], ["c1", "a", "a12"]),
    ],
)
def test_what_a_pattern_matches(pattern: str, yes: list[str], no: list[str]) -> None:
    selection = Selection([pattern])
    assert all(selection.takes(path.split("/")) for path in yes)
    assert not any(selection.takes(path.split("/")) for path in no)


def test_folders_that_no_pattern_can_match_in_are_not_entered() -> None:
    selection = Selection(["2024/*.jpg", "a/b/c"])
    assert selection.may_be_below([])
    assert selection.may_be_below(["2024"])
    assert selection.may_be_below(["a", "b"])
    assert not selection.may_be_below(["2024", "x"])
    assert not selection.may_be_below(["2023"])
    assert Selection(["*.jpg"]).may_be_below(["any", "depth"])


@pytest.mark.parametrize("pattern", ["", "/", "..", "a/../b", "."])
def test_a_pattern_that_names_nothing_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a pattern"):
        Selection([pattern])
