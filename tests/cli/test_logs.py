"""The log of a node: its levels, and one JSON object a line."""

import json
import logging
import socket
import subprocess
import sys
from pathlib import Path

from flux_tui.cli.logs import JsonFormatter
from flux_tui.cli.output import failure_in
from flux_tui.core.ids import raw_cid
from tests.bench.nodes import LISTEN, flux


def record(message: str, error: BaseException | None = None) -> logging.LogRecord:
    about = None if error is None else (type(error), error, error.__traceback__)
    return logging.LogRecord("flux_tui.x", logging.WARNING, "x.py", 1, message, None, about)


def test_a_line_is_one_object_whatever_the_text() -> None:
    evil = 'a"\n{"level":"error"}\x1b[2J\x7f\u202e'
    line = JsonFormatter().format(record(evil))
    assert line.isascii()
    assert line.isprintable()
    found = json.loads(line)
    assert (found["message"], found["level"], found["logger"]) == (evil, "warning", "flux_tui.x")
    assert "error" not in found


def test_a_traceback_is_a_field() -> None:
    try:
        raise ValueError("\x1b[2J")
    except ValueError as error:
        line = JsonFormatter().format(record("it failed", error))
    assert line.isprintable()
    assert "ValueError: \x1b[2J" in json.loads(line)["error"]


def test_a_failure_is_found_in_either_form() -> None:
    assert failure_in("flux-tui: no room") == "no room"
    assert failure_in('{"level": "error", "message": "no room", "failed": true}') == "no room"
    for line in ('{"level": "error", "message": "no room"}', "[1]", "2026 WARNING flux-tui: x", ""):
        assert failure_in(line) is None


def test_a_node_that_fails_says_why_as_a_line_of_its_log(tmp_path: Path) -> None:
    for name in ("home", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "settings.toml").write_text(
            "low_priority = false\n"
        )  # a busy machine starts it late
    with socket.create_server(("127.0.0.1", 0)) as taken:
        listen = ["--listen", f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}", "--no-mdns", "--log-json"]
        done = flux("node", "-q", *listen, home=tmp_path / "home", check=False)
        told = flux("want", raw_cid(b"x"), *listen, home=tmp_path / "other", check=False)
    assert done.returncode == told.returncode == 1
    line = json.loads(done.stderr.splitlines()[-1])
    assert (line["level"], "the port is in use" in line["message"]) == ("error", True)
    assert told.stderr.startswith("flux-tui: cannot listen on"), "the sentence, not the line of the log"


def test_levels(tmp_path: Path) -> None:
    failed = flux("node", "--log-level", "loud", *LISTEN, home=tmp_path, check=False)
    assert failed.returncode == 2
    assert "'debug', 'info', 'warning', 'error'" in failed.stderr
    (tmp_path / "settings.toml").write_text('log_level = "loud"\n')
    failed = flux("node", home=tmp_path, check=False)
    assert (failed.returncode, 'expected one of "debug", "info"' in failed.stderr) == (1, True)


def test_debug_lines_of_a_library_that_logs_each_address_are_left_out() -> None:
    """A run of two minutes had 40,000 of them."""
    code = (
        "from flux_tui.cli.logs import begin_logging; begin_logging('debug', as_json=False); "
        "from multiaddr import Multiaddr; str(Multiaddr(Multiaddr('/ip4/127.0.0.1/tcp/1').to_bytes())); "
        "import logging; logging.getLogger('flux_tui').debug('ours')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stderr.splitlines()
    assert ["ours" in line for line in lines] == [True], lines
