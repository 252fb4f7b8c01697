"""What a shell completes from a home: CIDs by name, peers, kinds; and that it never fails."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, PeerId, dag_cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home
from flux_tui.petnames import PetNames
from flux_tui.store.store import Store

ADA = PeerId("12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA")
BOB = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")
FILM, SONG, KEPT = (dag_cid(b"%d" % number) for number in range(3))


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.prepare()
    store = Store.open(found.path)
    store.commit(
        [
            (1.0, ev.Requested(cid=FILM, name="film.mkv", path="/x/film.mkv")),
            (2.0, ev.Requested(cid=SONG, name="so\x1b[2Jng")),
            (3.0, ev.PeerConnected(peer=ADA, addr="")),
            (4.0, ev.PeerConnected(peer=BOB, addr="")),
            (5.0, ev.HoldRequested(root=KEPT, size=1, replicas=1, name="kept")),
        ]
    )
    store.close()
    PetNames(found).rename(BOB, "bob")
    return found


def completed(home: Home, *words: str, shell: str = "bash") -> list[str]:
    """Return what the shell would offer for the last word."""
    environment = dict(
        os.environ, _FLUX_TUI_COMPLETE=f"{shell}_complete", COMP_WORDS=" ".join(["flux-tui", *words]),
        COMP_CWORD=str(len(words)), FLUX_TUI_HOME=str(home.path),
    )  # fmt: skip
    program = Path(sys.executable).parent / "flux-tui"
    told = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=120)
    assert (told.returncode, told.stderr) == (0, "")
    return [line.partition(",")[2] for line in told.stdout.splitlines() if line]


def test_pending_objects_by_cid_and_by_name(home: Home, tmp_path: Path) -> None:
    assert completed(home, "cancel", "bafy") == [SONG, FILM], "the newest first"
    assert completed(home, "cancel", "fil") == [FILM]
    assert completed(home, "cancel", "nothing") == []
    assert completed(home, "why", "fil") == ["film.mkv", FILM]
    assert completed(home, "release", "ke") == [KEPT]
    assert completed(home, "rm", "bafy") == [], "nothing is here yet"
    assert completed(Home(tmp_path / "none"), "cancel", "bafy") == []
    assert completed(Home(tmp_path / "none"), "cancel", "--home", str(home.path), "fil") == [FILM]


def test_peers_kinds_levels_and_checks(home: Home) -> None:
    assert set(completed(home, "name", "12D3")) == {ADA, BOB}
    assert completed(home, "name", "bo") == [BOB]
    assert completed(home, "limit", "--deny", "bo") == [BOB]
    assert completed(home, "series", "--kind", "status_") == ["status_no"]
    assert completed(home, "node", "--log-level", "w") == ["warning"]
    assert completed(home, "doctor", "--only", "sw") == ["swarm-key"]
    assert "--metrics" in completed(home, "node", "--met")
    assert completed(home, "metri") == ["metrics"]


def test_a_home_that_cannot_be_read_offers_nothing(home: Home) -> None:
    home.database.write_bytes(b"no database")
    home.names.write_text("= 1")
    assert completed(home, "cancel", "bafy") == []
    assert completed(home, "name", "12D3") == []


def test_names_of_others_cannot_steer_the_terminal(home: Home) -> None:
    environment = dict(os.environ, _FLUX_TUI_COMPLETE="fish_complete", COMP_WORDS="flux-tui cancel ",
                       COMP_CWORD="bafy", FLUX_TUI_HOME=str(home.path))  # fmt: skip
    program = Path(sys.executable).parent / "flux-tui"
    told = subprocess.run([program], env=environment, capture_output=True, text=True, timeout=120)
    assert SONG in told.stdout
    assert "\x1b" not in told.stdout
    assert Cid(SONG) == SONG


def test_what_prune_keeps(home: Home) -> None:
    assert completed(home, "prune", "--keep", "30") == ["30d"]
    assert "10GiB" in completed(home, "prune", "--keep", "")
