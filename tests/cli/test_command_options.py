"""Options that only hand a value on: it arrives where it acts. No node is started here."""

import json
from pathlib import Path
from typing import Any

import pytest

from flux_tui.cli.commands import demo as demo_command
from flux_tui.cli.commands import node as node_command
from flux_tui.cli.main import FAILED, OK, USAGE, run
from flux_tui.cli.output import Failure
from flux_tui.core.ids import raw_cid
from flux_tui.demo import check, narrated_dashboard
from flux_tui.gateway import gateway


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "f").write_bytes(b"f")
    assert run(["add", "-q", str(tmp_path / "f"), "--home", str(tmp_path / "home")]) == OK
    return tmp_path / "home"


def test_gateway(home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    given: dict[str, Any] = {}

    class Recorded:
        def __init__(self, _home: object, **words: Any) -> None:
            given.update(words)

        async def run(self, host: str, port: int, started: Any) -> None:
            given.update(host=host, port=port)
            started(["http://192.0.2.1:1"])

    monkeypatch.setattr(gateway, "Gateway", Recorded)
    words = ["--host", "192.0.2.1", "--port", "1", "--host-name", "a", "--host-name", "b"]
    words += ["--fetch-seconds", "3", "--max-connections", "4", "--json", "--home", str(home)]
    assert run(["gateway", *words]) == OK
    told = json.loads(capfd.readouterr().out.splitlines()[-1])
    assert told == {"event": "listening", "urls": ["http://192.0.2.1:1"]}
    assert (given["hosts"], given["fetch_seconds"], given["max_connections"]) == (("a", "b"), 3.0, 4)
    assert (given["host"], given["port"], given["begin"]) == ("192.0.2.1", 1, None)
    monkeypatch.setattr("flux_tui.cli.commands.servers.gateway.ensure_node", lambda *_: None)
    assert run(["gateway", "--fetch", "--home", str(home)]) == OK
    assert given["begin"] is not None


def test_verbose_is_log_level_info(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    levels: list[str] = []

    def note(level: str, *, as_json: bool) -> None:
        levels.append(level)
        raise Failure("enough")

    monkeypatch.setattr(node_command, "begin_logging", note)
    for words in (["-v"], ["--verbose"], ["--verbose", "--log-level", "debug"], ["--json"]):
        assert run(["node", *words, "--home", str(tmp_path)]) == FAILED
    assert levels == ["info", "info", "debug", "warning"]


def test_demo(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    given: list[bool] = []
    monkeypatch.setattr(demo_command, "need_terminal", lambda *_: None)
    monkeypatch.setattr(narrated_dashboard, "show", lambda _scenario, *, auto, **_: given.append(auto))
    assert run(["demo", "hello", "--auto"]) == OK
    assert run(["demo", "hello"]) == OK
    assert given == [True, False]
    assert run(["demo", "hello", "--json"]) == USAGE
    capfd.readouterr()
    assert run(["demo", "--list", "--json"]) == OK
    rows = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    assert rows[0]["name"] == "hello"

    def fails(names: list[str], tell: Any) -> bool:
        tell(check.Told("not_observed", names[0], "  ✗ it is late\n      words"))
        return False

    monkeypatch.setattr(check, "check", fails)
    assert run(["demo", "hello", "--check", "--json"]) == FAILED
    told = json.loads(capfd.readouterr().out)
    assert (told["event"], told["scenario"]) == ("not_observed", "hello")
    assert run(["demo", "hello", "--check"]) == FAILED
    assert capfd.readouterr().out == "  ✗ it is late\n      words\n"


def test_doctor_offline(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    capfd.readouterr()
    run(["doctor", "--offline", "--json", "--home", str(home)])
    told = capfd.readouterr()
    checks = {found["check"]: found["text"] for found in map(json.loads, told.out.splitlines())}
    assert "mdns" not in checks
    assert "no time server was asked" in checks["clock"]
    assert "asking" not in told.err
    assert run(["doctor", "--offline", "--only", "mdns", "--home", str(home)]) == USAGE
    capfd.readouterr()
    run(["doctor", "--ntp", "127.0.0.1:9", "--only", "clock", "--only", "lock", "--home", str(home)])
    assert "asking the time server 127.0.0.1:9 (--offline: nobody)" in capfd.readouterr().err


def test_add_again(tmp_path: Path, home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    car = tmp_path / "f.car"
    capfd.readouterr()
    assert run(["add", "-q", "--verify", str(tmp_path / "f"), "--home", str(home)]) == OK
    root = capfd.readouterr().out.split()[0]
    assert run(["export", "--car", root, str(car), "--json", "--home", str(home)]) == OK
    assert json.loads(capfd.readouterr().out)["blocks"] == 1
    assert run(["export", "--car", root, "-", "--json", "--home", str(home)]) == USAGE
    capfd.readouterr()
    assert run(["add", "-q", str(car), "--home", str(home)]) == OK
    assert capfd.readouterr().out.split()[0] == root
    assert run(["add", "-q", "--as-file", str(car), "--home", str(home)]) == OK
    assert capfd.readouterr().out.split()[0] != root
    assert run(["export", str(tmp_path / "s.flux"), "--json", "--home", str(home)]) == OK
    assert json.loads(capfd.readouterr().out)["entries"] > 0


def test_a_closed_stdout_is_one_sentence(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "big").write_bytes(b"b" * 2_000_000)
    capfd.readouterr()
    assert run(["add", "-q", str(tmp_path / "big"), "--home", str(home)]) == OK
    root = capfd.readouterr().out.split()[0]
    monkeypatch.setattr("sys.stdout", None)
    for words in (["cat", root], ["get", root, "-o", "-"], ["export", "--car", root, "-"]):
        assert run([*words, "--home", str(home)]) == FAILED
        assert capfd.readouterr().err == "flux-tui: standard output is closed\n"


def test_a_time_that_is_no_number_is_refused(home: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["cat", raw_cid(b"x"), "--timeout", "nan", "--home", str(home)]) == USAGE
    assert "'nan' is not a number of seconds" in capfd.readouterr().err


def test_the_help_shows_the_own_options_of_a_command_first(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["get", "--help"]) == OK
    own, _, of_node = capfd.readouterr().out.partition("\nNode options:\n")
    assert all(option in own for option in ("--output", "--timeout", "--json", "--quiet", "--help"))
    assert "--listen" in of_node
    assert "--listen" not in own
    assert "Examples:" in of_node
