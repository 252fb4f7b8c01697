"""The command line in pipes and scripts: a file on stdout, a time limit, no words, no colours."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

from flux_tui.core.ids import raw_cid
from tests.bench.nodes import LISTEN, Node, flux, running, state


def test_a_file_goes_through_a_pipe_and_a_get_has_an_end(tmp_path: Path) -> None:
    data = random.Random(1).randbytes(3_500_000)
    (tmp_path / "x.tar").write_bytes(data)
    one = Node(tmp_path / "one")
    with running(one):
        root, ticket = flux("add", "-q", str(tmp_path / "x.tar"), home=one.home).stdout.split()
        two = Node(tmp_path / "two", "--join", one.addrs[0])
        with running(two):
            piped = subprocess.run(
                [sys.executable, "-m", "flux_tui", "get", ticket, "-o", "-", "--home", str(two.home)],
                capture_output=True, timeout=120, check=True,
            )  # fmt: skip
            assert piped.stdout == data
            assert not (Path.cwd() / "-").exists()
            lacking = raw_cid(b"nobody has this")
            late = flux("get", lacking, "--timeout", "1", "--json", home=two.home, check=False)
            assert late.returncode == 1
            told = json.loads(late.stdout.splitlines()[-1])
            assert (told["event"], told["why"]["cid"]) == ("timeout", lacking)
            assert late.stderr.startswith(f"flux-tui: {lacking[:4]}"), late.stderr
            assert not state(two.home)["pending"], "the want was taken back"
            flux("get", lacking, "--timeout", "0", "--keep", home=two.home, check=False)
            assert [want["cid"] for want in state(two.home)["pending"]] == [lacking]
            flux("cancel", lacking, home=two.home)
            wrong = flux("get", root, "-o", "-", "--only", "x", home=two.home, check=False)
            assert (wrong.returncode, wrong.stdout) == (2, "")


def test_a_folder_goes_through_tar_and_two_nodes(tmp_path: Path) -> None:
    """What a pipe brings to one node, a pipe takes from another one, byte for byte; and a consumer may stop early."""
    (tmp_path / "x" / "deep").mkdir(parents=True)
    (tmp_path / "x" / "deep" / "a").write_bytes(random.Random(2).randbytes(3_000_000))
    (tmp_path / "x" / "b").write_text("b")
    (tmp_path / "y").mkdir()
    one = Node(tmp_path / "one")
    with running(one):
        two = Node(tmp_path / "two", "--join", one.addrs[0])
        with running(two):
            program = f"{sys.executable} -m flux_tui"
            script = (
                f"set -o pipefail; tar c x | {program} add - -q --name x.tar --home one > told &&"
                f" {program} get -q $(tail -1 told) -o - --home two | tar x -C y &&"
                f" {program} cat $(head -1 told) --home two | head -c 5 | wc -c"
            )
            done = subprocess.run(
                ["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False
            )
            assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "5", ""), done
    same = subprocess.run(["diff", "-r", "x", "y/x"], cwd=tmp_path, capture_output=True, check=False)
    assert same.returncode == 0


def test_quiet_and_colourless_anywhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    (tmp_path / "f").write_bytes(b"words")
    loud = flux("add", str(tmp_path / "f"), home=home)
    assert "No node is running" in loud.stderr
    for arguments in (["-q", "add"], ["add", "-q", "--no-color"], ["--no-color", "--quiet", "add"]):
        quiet = flux(*arguments, str(tmp_path / "f"), home=home)
        assert (quiet.stdout, quiet.stderr) == (loud.stdout, "")
    failed = flux("-q", "add", str(tmp_path / "missing"), home=home, check=False)
    assert "missing does not exist" in failed.stderr, "why it failed is said all the same"
    assert "--no-color" in flux("state", "--help").stdout
    environment = dict(os.environ, FLUX_TUI_LISTEN=LISTEN[1], FLUX_TUI_MDNS="maybe")
    wrong = subprocess.run(
        [sys.executable, "-m", "flux_tui", "node", "--home", str(home)],
        capture_output=True, text=True, timeout=60, env=environment, check=False,
    )  # fmt: skip
    assert (wrong.returncode, wrong.stderr.count("\n")) == (1, 1)
    assert "mdns is 'maybe', expected true or false" in wrong.stderr
