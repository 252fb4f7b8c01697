"""Faults of a home, each set up on purpose: a foreign owner, open rights, a stale lock, a full disk, an old version."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from flux_tui import __version__
from flux_tui.cli import run
from flux_tui.config import Settings
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import ObjectState, State
from flux_tui.doctor import home_checks
from flux_tui.doctor.checkup import Found, Patient, examine
from flux_tui.home import Home
from tests.bench.nodes import LISTEN, flux, wait_for
from tests.core.samples import CID
from tests.support.rights import without_rights

NOBODY = 65_534


@pytest.fixture
def home(tmp_path: Path) -> Home:
    found = Home(tmp_path / "home")
    found.prepare()
    found.settings.write_text("low_priority = false\n")  # a busy machine would start a node late
    return found


def test_a_home_in_order(home: Home, tmp_path: Path) -> None:
    patient = Patient(home, Settings())
    assert home_checks.check_home(patient)[0] == "ok"
    assert home_checks.check_lock(patient) == ("ok", "no node runs, and the last one stopped in order")
    assert home_checks.check_disk(patient)[0] == "ok"
    verdict, text = home_checks.check_home(Patient(Home(tmp_path / "none"), Settings()))
    assert (verdict, "there is no home at" in text) == ("unknown", True)


def test_a_foreign_home(home: Home) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    home.identity.write_bytes(b"key")
    os.chown(home.identity, NOBODY, -1)
    verdict, text = home_checks.check_home(Patient(home, Settings()))
    assert verdict == "wrong"
    assert text.startswith(
        f"a file of the home, {home.identity} belongs to nobody, and you are root: act as that user"
    )
    os.chown(home.path, NOBODY, -1)
    verdict, text = home_checks.check_home(Patient(home, Settings()))
    assert verdict == "wrong"
    assert text.startswith(f"the home {home.path} belongs to nobody, and you are root: act as that user")
    assert f"chown -R 0 {home.path}" in text
    with without_rights():
        assert home_checks.check_home(Patient(home, Settings()))[0] == "wrong", "a home that cannot be read"


def test_a_home_that_cannot_be_written_or_that_others_can_read(home: Home, tmp_path: Path) -> None:
    home.path.chmod(0o500)
    with without_rights():
        verdict, text = home_checks.check_home(Patient(home, Settings()))
    assert (verdict, "cannot be written: give yourself the rights" in text) == ("wrong", True)
    home.path.chmod(0o700)
    home.identity.write_bytes(b"key")
    home.identity.chmod(0o644)
    verdict, text = home_checks.check_home(Patient(home, Settings()))
    assert (verdict, "close it (chmod 600)" in text) == ("wrong", True)
    (tmp_path / "file").write_bytes(b"")
    verdict, text = home_checks.check_home(Patient(Home(tmp_path / "file"), Settings()))
    assert (verdict, "is not a folder" in text) == ("wrong", True)


def test_a_stale_lock(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    """A node that was killed, and one that is stopped (it holds the lock, and its socket is there)."""
    node = subprocess.Popen(
        [sys.executable, "-m", "flux_tui", "node", "--home", str(home.path), *LISTEN], stdout=subprocess.PIPE
    )
    assert node.stdout is not None
    try:
        assert node.stdout.readline()
        check = ["doctor", "--only", "lock", "--home", str(home.path)]
        assert run(check) == 0
        assert f"the node with pid {node.pid} runs" in capsys.readouterr().out
        node.send_signal(signal.SIGSTOP)
        verdict, text = home_checks.check_lock(Patient(home, Settings()))
        assert (verdict, f"the process {node.pid} holds the lock of the home" in text) == ("wrong", True)
    finally:
        node.kill()
        node.wait()
        node.stdout.close()
    assert run(check) == 1
    told = capsys.readouterr()
    assert "the lock of the home is stale: its node ended" in told.out
    assert told.err == "flux-tui: 1 thing is wrong\n"


def test_a_full_disk(home: Home) -> None:
    """A disk of its own, in a namespace of its own, filled to the last byte."""
    script = f"""
        mount -t tmpfs -o size=4m none {home.path} &&
        (head -c 5000000 /dev/zero > {home.path}/filler 2>/dev/null; true) &&
        exec {sys.executable} -m flux_tui doctor --only disk --home {home.path}
    """
    probe = subprocess.run(
        ["unshare", "-m", "mount", "-t", "tmpfs", "none", str(home.path)], capture_output=True
    )
    if probe.returncode:
        pytest.skip(f"no disk of its own: {probe.stderr.decode().strip()}")
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True, timeout=120)
    assert done.returncode == 1, done.stderr
    assert (
        f"WRONG  disk       the disk of {home.path} is full: 0 B are free, and keep_free keeps" in done.stdout
    )
    assert "remove something, or lower keep_free" in done.stdout


def test_the_disk_of_an_object_that_is_fetched_is_looked_at(home: Home, tmp_path: Path) -> None:
    """keep_free never keeps more than a tenth of a disk, so a real full one is the test above."""
    object_ = ObjectState(root=CID, origin="wanted", since=0.0, path=str(tmp_path / "films" / "film"))
    (tmp_path / "films").mkdir()
    patient = Patient(home, Settings(), state=State(objects={CID: object_}))
    assert tmp_path / "films" in list(home_checks._folders(patient))
    assert home_checks.check_disk(patient)[0] == "ok"


def test_an_old_version_in_the_path(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "bin" / "flux-tui"
    old.parent.mkdir()
    old.write_text("#!/bin/sh\necho 'flux-tui, version 0.1.0'\n")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:{old.parent}:/usr/bin:/bin")
    assert home_checks.check_version(Patient(home, Settings()))[0] == "ok", "it cannot be run"
    old.chmod(0o755)
    verdict, text = home_checks.check_version(Patient(home, Settings()))
    assert verdict == "wrong"
    assert text.startswith(
        f"beside this flux-tui {__version__} there is 0.1.0 at {old}: remove it or update it"
    )


def test_a_node_of_an_old_version_that_runs(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    patient = Patient(home, Settings(), state=State(version="0.1.0", peer_id=PeerId("x"), running=True))
    assert home_checks.check_version(patient)[0] == "ok", "it does not run"
    with home.lock():
        verdict, text = home_checks.check_version(patient)
    assert (verdict, text.startswith("the node that runs is of version 0.1.0, and this program of")) == (
        "wrong",
        True,
    )


def test_settings_that_cannot_be_used(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.settings.write_text("upload_limit = true\n")
    assert run(["doctor", "--only", "settings", "--only", "disk", "--json", "--home", str(home.path)]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert '"check":"settings","verdict":"wrong"' in lines[0]
    assert "upload_limit is True, expected a rate" in lines[0]
    assert '"check":"disk","verdict":"ok"' in lines[1]


def test_a_damaged_series_is_named(home: Home, capsys: pytest.CaptureFixture[str]) -> None:
    home.database.write_bytes(b"not a database" * 1000)
    assert run(["doctor", "--only", "home", "--home", str(home.path)]) == 1
    assert "the series cannot be read: " in capsys.readouterr().out


def test_a_check_that_the_machine_does_not_allow_is_unknown(home: Home) -> None:
    def raises(_: Patient) -> Found:
        raise PermissionError(1, "Operation not permitted")

    (found,) = examine(Patient(home, Settings()), {"x": raises})
    assert (found.verdict, found.text) == ("unknown", "this could not be checked: operation not permitted")


def test_nothing_is_changed(home: Home) -> None:
    """It is run on homes that are in trouble: it makes no file, and takes no lock."""
    before = sorted(os.listdir(home.path))
    flux("doctor", "--ntp", "none", "--no-mdns", "--listen", "/ip4/127.0.0.1/tcp/0", home=home.path)
    assert sorted(os.listdir(home.path)) == before
    wait_for(lambda: home.running() is None, seconds=30)


def test_a_misspelt_variable_of_the_environment(
    home: Home, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("FLUX_TUI_MIN_PEER", "4")
    assert run(["doctor", "--only", "settings", "--home", str(home.path)]) == 1
    assert "FLUX_TUI_MIN_PEER is not read; did you mean FLUX_TUI_MIN_PEERS" in capsys.readouterr().out
