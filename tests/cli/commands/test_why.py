"""`flux-tui why`, on a running node, on a stopped one, and on a recording."""

import json
import random
from itertools import pairwise
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid
from flux_tui.core.series.events import Granted
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.core.series.want_explanation import why
from flux_tui.store.series_reader import SeriesReader
from tests.bench.nodes import Node, flux, running, state, wait_for

NOBODY_HAS = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"


def test_why_nothing_comes(tmp_path: Path) -> None:
    home, file = tmp_path / "home", tmp_path / "evening.flux"
    with running(Node(home)):
        assert flux("why", home=home).stdout == "nothing is pending\n"
        flux("want", NOBODY_HAS, home=home)
        wait_for(lambda: state(home)["pushed"] == 1, every=0.1)
        told = flux("why", NOBODY_HAS, home=home).stdout.splitlines()
        assert told[0].startswith(f"{NOBODY_HAS}  nothing of it is known yet")
        assert told[1] == "  nobody is connected, and nobody has answered"
        assert told[2].startswith("Next: no peer is connected. The first one that connects is asked")
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


def test_why_is_true_of_real_holders(tmp_path: Path) -> None:
    """One holder is limited and then killed, and one denies. What is predicted is what the node then does."""
    home, film = tmp_path / "me", tmp_path / "film.mkv"
    film.write_bytes(random.Random(1).randbytes(40_000_000))
    me, slow = Node(home), Node(tmp_path / "slow", "--upload-limit", "400KB/s")
    with running(me, slow):
        denies = Node(tmp_path / "denies", "--deny", me.peer_id)
        with running(denies):
            for holder in (slow, denies):
                root = json.loads(flux("add", str(film), "--json", home=holder.home).stdout)["root"]
                flux("join", holder.addrs[0], home=home)
            flux("name", denies.peer_id, "eve", home=home)
            flux("want", root, home=home)

            def told() -> str:
                return flux("why", home=home).stdout

            wait_for(lambda: "eve" in told() and "denies this node" in told(), every=0.1)
            wait_for(lambda: len(flux("series", "--kind", "granted", home=home).stdout.splitlines()) >= 4)
            slow.kill()
            wait_for(lambda: "gone since" in told() and "nobody listens there" in told(), every=0.1)
            assert f"If {slow.peer_id} comes back, it is granted chunks at once." in told()
    stopped = flux("why", home=home).stdout
    assert "No node runs here." in stopped
    assert "said denied at" in stopped
    assert grants_predicted(home, root) >= 1


def grants_predicted(home: Path, root: Cid) -> int:
    """Return how many grants came after a wait, each at the time and to the peer that was predicted."""
    entries = SeriesReader.open(home / "flux.db").read(0, 10_000)
    state, checked = State(), 0
    for entry, after in pairwise(entries):
        apply(state, entry)
        if isinstance(after.event, Granted) and after.at - entry.at > 0.3 and root in state.pending:
            one = why(state, root, entry.at).next
            assert one is not None
            assert (one.how, one.peer) == ("grant", after.event.peer)
            assert one.at == pytest.approx(after.at, abs=0.5)
            checked += 1
    return checked
