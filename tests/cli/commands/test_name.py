"""`flux-tui name`, and the names in what other commands print."""

import json
from pathlib import Path

from tests.bench.nodes import flux

ADA = "12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA"


def test_names_are_given_listed_and_taken_away(tmp_path: Path) -> None:
    home = tmp_path / "home"
    assert "no peer has a name yet" in flux("name", home=home).stderr
    assert f"{ADA} is called ada now" in flux("name", ADA, "ada", home=home).stderr
    assert flux("name", home=home).stdout == f"ada  {ADA}\n"
    assert json.loads(flux("name", "--json", home=home).stdout) == {"peer": ADA, "name": "ada"}
    flux("name", "ada", "ada", "two", home=home)
    assert flux("name", home=home).stdout == f"ada two  {ADA}\n"
    assert json.loads(flux("name", "ada two", "--json", home=home).stdout) == {"peer": ADA, "name": None}
    for words, sentence in (
        (("bob", "eve"), "is not a peer that this node knows"),
        ((ADA, "x" * 30), "too long"),
    ):
        failed = flux("name", *words, home=home, check=False)
        assert (failed.returncode, sentence in failed.stderr) == (1, True)
    (home / "names.toml").write_text("= 1")
    assert "is not TOML" in flux("name", home=home, check=False).stderr
