"""The word that a person probably meant."""

import pytest

from flux_tui.cli import run
from flux_tui.core.text.close_words import did_you_mean


def test_the_closest_words_are_named() -> None:
    assert did_you_mean("sereis", ["series", "state", "stop"]) == "; did you mean series?"
    assert did_you_mean("Adda", ["ada", "bob"]) == "; did you mean ada?"
    assert did_you_mean("status", ["status_no", "status_na"]) == "; did you mean status_no or status_na?"
    assert did_you_mean("xyz", ["series"]) == ""
    assert did_you_mean("a" * 1_000_000, ["a" * 1_000_000]) == "", "nobody waits for that"
    assert did_you_mean("evil", ["e\x1bvil"]) == "; did you mean e\\x1bvil?"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["sereis"], "No such command 'sereis'; did you mean series?"),
        (["quux"], "No such command 'quux'."),
        (["series", "--kind", "status_n"], "'status_n' is not a kind of entry; did you mean status_no?"),
        (["series", "--kind", "quux"], "'quux' is not a kind of entry; the kinds are: add_cancelled"),
    ],
)
def test_commands_say_it(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(words) != 0
    assert told in capsys.readouterr().err
