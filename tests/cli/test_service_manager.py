"""What a service manager is told (sd_notify)."""

import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from flux_tui.cli.service_manager import READY, still_starting, tell_service_manager


@pytest.mark.parametrize("kind", ["path", "abstract"])
def test_it_is_told_that_the_node_is_ready(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = str(tmp_path / "notify") if kind == "path" else f"@flux-tui-{tmp_path}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(name if kind == "path" else "\0" + name[1:])
        monkeypatch.setenv("NOTIFY_SOCKET", name)
        tell_service_manager(READY)
        assert manager.recv(100) == b"READY=1"


def test_a_long_start_is_no_hanging_one() -> None:
    assert still_starting(1_000_000, 10_000_000) == (
        "EXTEND_TIMEOUT_USEC=60000000\nSTATUS=reading the series: 1,000,000 of 10,000,000 entries"
    )


@pytest.mark.parametrize("name", [None, "", "relative", "/nowhere/at/all"])
def test_without_one_nothing_happens(name: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    if name is not None:
        monkeypatch.setenv("NOTIFY_SOCKET", name)
    tell_service_manager(READY)


def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """Of its program, only the place is another one: systemd asks whether it can be executed."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not installed")
    text = (Path(__file__).parents[2] / "assets" / "flux-tui.service").read_text()
    program = Path(sys.executable).parent / "flux-tui"
    unit = tmp_path / "flux-tui.service"
    unit.write_text(text.replace("/opt/flux-tui/bin/flux-tui", str(program)))
    assert str(program) in unit.read_text()
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
