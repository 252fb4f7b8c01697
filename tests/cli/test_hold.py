"""`flux-tui hold` and `release`, as people use them: real processes, what they print, and what `state` says."""

import random
from pathlib import Path

from flux_tui.core.ids import raw_cid
from tests.bench.nodes import LISTEN, Node, flux, running, state, wait_for


def test_hold_and_release(tmp_path: Path) -> None:
    source = tmp_path / "film.mkv"
    source.write_bytes(random.Random(1).randbytes(3_000_000))
    origin = Node(tmp_path / "origin")
    with running(origin):
        keeper = Node(tmp_path / "keeper", "--quota", "64MiB", "--join", origin.addrs[0])
        stranger = Node(tmp_path / "stranger", "--join", origin.addrs[0])
        with running(keeper, stranger):
            wait_for(lambda: len(state(origin.home)["peers"]) == 2, every=0.2)
            root, ticket = flux("add", str(source), home=origin.home).stdout.split()
            assert (
                flux("hold", ticket, "--replicas", "2", home=origin.home).stderr
                == "pushed a hold: 2 replicas\n"
            )
            wait_for(lambda: state(origin.home)["holds"][0]["whole"] == 1, every=0.2)
            (hold,) = state(origin.home)["holds"]
            assert (hold["root"], hold["name"], hold["replicas"], hold["lacking"]) == (root, "film.mkv", 2, 1)
            assert [(k["peer"], k["how"]) for k in hold["keepers"]] == [(keeper.peer_id, "whole")]
            assert [(n["peer"], n["reason"]) for n in hold["refused"]] == [(stranger.peer_id, "low_space")]
            assert hold["next_push_at"] > hold["last_push_at"]
            told = state(keeper.home)
            assert [(k["root"], k["origins"], k["whole"]) for k in told["kept"]] == [
                (root, [origin.peer_id], True)
            ]
            assert told["kept_bytes"] == 3_000_000
            assert told["objects"][0]["origin"] == "held"

            words = flux("state", home=origin.home).stdout
            assert "held by others" in words
            assert "1 of 2" in words
            assert "low_space" in words
            assert "kept for others, 2.9 MiB of 64.0 MiB" in flux("state", home=keeper.home).stdout
            lines = flux("series", home=origin.home).stdout
            for sentence in (
                "film.mkv: 2 replicas to be kept by others",
                "has room to keep film.mkv",
                "is to keep film.mkv",
                "has begun to keep film.mkv",
                "keeps all of film.mkv",
                "low_space: will not keep film.mkv, waiting will not help (nothing is kept for others here)",
            ):
                assert sentence in lines, sentence
            assert "has film.mkv kept here, 2.9 MiB" in flux("series", home=keeper.home).stdout

            assert flux("release", root, home=origin.home).stderr == "pushed 1 release\n"
            wait_for(lambda: not state(keeper.home)["kept"], every=0.2)
            wait_for(lambda: not state(keeper.home)["dropping"], every=0.2)
            assert state(keeper.home)["chunks"] == {"count": 0, "bytes": 0}
            assert state(origin.home)["holds"] == []
            story = flux("series", home=keeper.home).stdout
            assert "no longer needs film.mkv kept here" in story
            assert "nobody needs it any more: film.mkv 2.9 MiB is no longer kept here" in story
            assert "film.mkv: the copy that was kept for others is gone" in story
            other = raw_cid(b"never heard of")
            flux("release", other, home=origin.home)
            wait_for(lambda: state(origin.home)["last_error"], every=0.2)
            assert "is held neither by others" in state(origin.home)["last_error"]


def test_wrong_use_is_one_sentence(tmp_path: Path) -> None:
    home = tmp_path / "home"
    wrong = flux("hold", "nonsense", *LISTEN, home=home, check=False)
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert flux("hold", raw_cid(b"x"), "--replicas", "0", home=home, check=False).returncode == 2
    assert flux("hold", raw_cid(b"x"), "--replicas", "65", home=home, check=False).returncode == 2
    nobody = flux("release", raw_cid(b"x"), home=home, check=False)
    assert (nobody.returncode, nobody.stderr.count("\n")) == (1, 1)
    assert not home.exists(), "nothing was begun for it"
