"""`flux-tui gateway` as a process: what it prints, what it serves, and how it ends."""

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, matches
from tests.bench.nodes import flux


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_serves_until_a_signal_ends_it(tmp_path: Path, number: signal.Signals) -> None:
    home, film = tmp_path / "home", tmp_path / "film"
    film.write_bytes(b"a film")
    root = flux("add", str(film), home=home).stdout.split()[0]
    command = [sys.executable, "-m", "flux_tui", "gateway", "--port", "0", "--home", str(home)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        url = process.stdout.readline().strip()
        assert url.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(f"{url}/ipfs/{root}?format=raw", timeout=60) as answer:
            assert matches(Cid(root), answer.read())
        process.send_signal(number)
        assert process.wait(60) == 128 + number
        told = process.stderr.read()
    assert told == "only what is here is served (--fetch fetches the rest); ctrl+c ends it\n"


def test_without_a_home_or_a_port_it_says_so(tmp_path: Path) -> None:
    told = flux("gateway", home=tmp_path / "none", check=False)
    assert (told.returncode, "there is nothing at" in told.stderr) == (1, True)
    (tmp_path / "film").write_bytes(b"a film")
    flux("add", str(tmp_path / "film"), home=tmp_path / "home")
    taken = flux("gateway", "--host", "192.0.2.1", home=tmp_path / "home", check=False)
    assert (taken.returncode, taken.stderr.startswith("flux-tui: cannot serve at 192.0.2.1")) == (1, True)
