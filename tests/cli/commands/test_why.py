"""`flux-tui why`, on a running node, on a stopped one, and on a recording."""

import json
from pathlib import Path

from tests.bench.nodes import Node, flux, running, state, wait_for

NOBODY_HAS = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def test_why_nothing_comes(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "evening.flux"
    with running(Node(home)):
        assert flux("why", home=home).stdout == "nothing is pending\n"
        flux("want", NOBODY_HAS, home=home)
        wait_for(lambda: state(home)["pushed"] == 1, every=0.1)
        told = flux("why", NOBODY_HAS, home=home).stdout.splitlines()
        assert told[0].startswith("bafy…354  nothing of it is known yet")
        assert told[1] == "  nobody is connected, and nobody has answered"
        assert told[2].startswith("Next: the want is pushed to all again in ")
        asked = json.loads(flux("why", "--json", home=home).stdout)
        assert (asked["cid"], asked["peers"], asked["next"]["how"]) == (NOBODY_HAS, [], "push")
        wrong = flux("why", "film.mkv", home=home, check=False)
        assert wrong.stderr == "flux-tui: film.mkv is not pending here; pending are bafy…354\n"
    stopped = flux("why", "bafy…354", home=home).stdout
    assert stopped.endswith("Next: nothing, until a node runs here again.\n")
    flux("export", str(file), home=home)
    early = flux("why", "--series", str(file), "--at", "start", home=home)
    assert early.stdout == "nothing is pending\n"
    late = flux("why", "--series", str(file), NOBODY_HAS, home=tmp_path / "no home").stdout
    assert "Next:" in late
    for moment, sentence in (("#99999", "there is no entry 99999"), ("noon", "no such moment")):
        bad = flux("why", "--at", moment, home=home, check=False)
        assert bad.returncode == 1
        assert sentence in bad.stderr


def test_why_of_what_is_here_already(tmp_path: Path) -> None:
    home, film = tmp_path / "home", tmp_path / "film"
    film.write_bytes(b"x" * 1000)
    flux("add", str(film), home=home)
    bad = flux("why", "film", home=home, check=False)
    assert (bad.returncode, bad.stderr) == (
        1, f"flux-tui: film is not pending: it is whole, at {film}\n",
    )  # fmt: skip
