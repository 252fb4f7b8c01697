"""No id is cut where a program reads: every peer id and CID that a command prints into a pipe is whole."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flux_tui.core.ids import PeerId, dag_cid, short
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import State
from flux_tui.core.text.names import StateNames
from flux_tui.home import Home
from flux_tui.petnames import PetNames
from flux_tui.store.store import Store

ADA = PeerId("12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA")
BOB = PeerId("12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS")
ADDR = f"/ip4/192.0.2.7/tcp/4001/p2p/{ADA}"
FILM, KEPT, SONG = (dag_cid(b"%d" % number) for number in range(3))
CUT = re.compile(r"\S*…\S*")
"""A shortened id."""


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.prepare()
    store = Store.open(found.path)
    store.commit(
        [
            (1.0, ev.NodeStarted(peer_id=BOB, addrs=(), version="1", max_pending=9)),
            (2.0, ev.PeerConnected(peer=ADA, addr=ADDR)),
            (3.0, ev.Requested(cid=FILM)),
            (4.0, ev.PushedWant(cids=(FILM,), peers=(ADA,), gossip=False, retry=False, next_push_at=99.0)),
            (5.0, ev.StatusNo(peer=ADA, cids=(FILM,), reason="busy", retry_after=50.0, has_it=True)),
            (6.0, ev.HoldRequested(root=KEPT, size=1, replicas=1)),
            (7.0, ev.ObjectAdded(root=SONG, name="a song", size=5, chunks=1, path="/x/a song")),
        ]
    )
    store.close()
    return found


def piped(home: Home, *words: str) -> str:
    return subprocess.run(
        [sys.executable, "-m", "flux_tui", *words, "--home", str(home.path)],
        capture_output=True, text=True, timeout=60, check=True,
    ).stdout  # fmt: skip


def test_each_command_that_prints_ids(home: Home) -> None:
    PetNames(home).rename(BOB, "bob")
    for words, ids in (
        (["state"], (FILM, KEPT, SONG, ADA, ADDR)),
        (["series"], (FILM, KEPT, SONG, ADA)),
        (["why", FILM], (FILM, ADA)),
        (["name"], (BOB,)),
    ):
        told = piped(home, *words)
        assert [one for one in ids if one not in told] == [], (words, told)
        assert not CUT.findall(told), (words, told)


def test_a_terminal_gets_short_ones() -> None:
    names = StateNames()
    assert [str(names.peer(ADA)), str(names.cid(FILM))] == [short(ADA), short(FILM)]
    whole = StateNames(State(), {BOB: "bob"}, whole=True)
    assert [str(whole.peer(ADA)), str(whole.peer(BOB)), str(whole.name(FILM))] == [ADA, "bob", FILM]
