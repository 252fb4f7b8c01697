"""The output of the commands: text of others never reaches a terminal unchanged."""

import io
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import click
import pytest

from flux_tui.cli import output
from flux_tui.cli.main import run
from flux_tui.cli.progress import Progress
from flux_tui.cli.state_tables import print_state
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive
from flux_tui.core.text.plain import plain_lines
from tests.core.samples import PEER

STEERS = "a\x1b]0;OWNED\x07[bold]:boom:\x9b2J\u202egpj\u200b\x7f\udcffz"
SHOWN = r"a\x1b]0;OWNED\x07[bold]:boom:\x9b2J\u202egpj\u200b\x7f\udcffz"
CID = raw_cid(b"x")


def is_plain(text: str) -> bool:
    """Return whether a text consists of lines of visible characters."""
    return plain_lines(*text.split("\n")) == text


def test_text_for_people_is_plain(capsys: pytest.CaptureFixture[str]) -> None:
    output.say(f"one {STEERS}\n")
    output.tell(STEERS)
    found = capsys.readouterr()
    assert (found.err, found.out) == (f"one {SHOWN}\\n\n", f"{SHOWN}\n")


def test_json_is_exact_and_has_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    output.print_json({"name": STEERS})
    out = capsys.readouterr().out
    assert json.loads(out) == {"name": STEERS}
    assert is_plain(out)


def test_a_path_is_exact_on_a_pipe_and_plain_on_a_terminal(tmp_path: Path) -> None:
    name = "a\x1b]0;OWNED\x07b"
    program = [sys.executable, "-c", f"from flux_tui.cli.output import tell_path; tell_path({name!r})"]
    assert subprocess.run(program, capture_output=True, check=True).stdout == f"{name}\n".encode()
    master, slave = pty.openpty()
    try:
        subprocess.run(program, stdout=slave, check=True)
        assert os.read(master, 1000).strip() == rb"a\x1b]0;OWNED\x07b"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    "arguments",
    [
        [STEERS],
        ["add", "one", f"--{STEERS}"],
        ["series", STEERS],
        ["series", "--kind", STEERS],
        ["state", "--at", STEERS],
        ["web", "--port", STEERS],
        ["add", STEERS],
        ["get", STEERS],
        ["join", STEERS],
        ["limit", "--quota", STEERS],
        ["replay", STEERS],
        ["demo", STEERS],
        ["demo", "--size", STEERS],
        ["state", "--home", STEERS],
    ],
)
def test_typed_text_is_repeated_as_plain_text(
    arguments: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLUX_TUI_HOME", str(tmp_path / STEERS[:-2]))
    monkeypatch.chdir(tmp_path)
    assert run(arguments) in (1, 2)
    found = capsys.readouterr()
    assert "OWNED" in found.err or "ascii" in found.err or "empty" in found.err or "not a CID" in found.err
    assert is_plain(found.err), ascii(found.err)
    assert found.out == ""


def test_settings_with_control_characters(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "settings.toml").write_text('listen = "\\u001b]0;OWNED\\u0007"\n')
    assert run(["node", "--home", str(home)]) == 1
    err = capsys.readouterr().err
    assert "OWNED" in err
    assert is_plain(err)


def test_no_column_of_the_state_has_control_characters(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "400")
    peer, other = PeerId(PEER), PeerId(PEER[:-1] + "T")
    events: tuple[Event, ...] = (
        ev.NodeStarted(peer_id=peer, addrs=(STEERS,), version=STEERS, max_pending=1),
        ev.ObjectAdded(root=CID, name=STEERS, size=1, chunks=1, path=STEERS),
        ev.HoldRequested(root=CID, name=STEERS, size=1, replicas=1),
        ev.Requested(cid=raw_cid(b"y"), name=STEERS, path=STEERS),
        ev.KeepReceived(peer=other, root=CID, name=STEERS, size=1),
        ev.ErrorOccurred(text=STEERS),
    )
    state = derive([Entry(number, 1_700_000_000.0 + number, event) for number, event in enumerate(events, 1)])
    print_state(state, 1_700_000_010.0)
    out = capsys.readouterr().out
    assert is_plain(out), ascii(out)
    assert out.count("[bold]:boom:") >= 4, "neither markup nor the name of an emoji"


def test_a_progress_bar_shows_plain_text(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flux_tui.cli.progress.PLAIN_SECONDS", 0.0)
    with Progress(STEERS) as bar:
        bar.update(1, 2, STEERS)
        bar.tell(STEERS)
    err = capsys.readouterr().err
    assert err.count("[bold]:boom:") == 3
    assert is_plain(err)


def test_without_stderr_there_is_no_progress_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("flux_tui.cli.progress.PLAIN_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr", None)
    with Progress("film.mkv") as bar:
        bar.update(1, 2)
        bar.tell("words")
    assert capsys.readouterr().out == ""
    assert output.are_words_for_programs()


def test_log_lines_and_tracebacks_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    written = io.StringIO()
    handler = logging.StreamHandler(written)
    handler.setFormatter(output.PlainFormatter("%(message)s"))
    log = logging.Logger("apart")
    log.addHandler(handler)
    try:
        raise ValueError(STEERS)
    except ValueError as error:
        log.exception("odd %s", STEERS)
        output.print_traceback(type(error), error, error.__traceback__)
    for text in (written.getvalue(), capsys.readouterr().err):
        assert text.startswith(("odd a", "Traceback"))
        assert text.rstrip().endswith("ValueError: " + SHOWN)
        assert is_plain(text)


def test_usage_errors_are_printed_line_by_line(capsys: pytest.CaptureFixture[str]) -> None:
    context = click.Context(click.Command("odd"), info_name="odd")
    output.show_error(click.UsageError(f"no {STEERS}", context))
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "Usage: odd [OPTIONS]"
    assert lines[-1] == f"Error: no {SHOWN}"


def test_messages_of_python_itself_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    program = f"""
import logging, threading
from flux_tui.cli.output import watch_faults
watch_faults()
logging.getLogger("x").warning({STEERS!r})
def fail():
    raise ValueError({STEERS!r})
thread = threading.Thread(target=fail)
thread.start()
thread.join()
fail()
"""
    err = subprocess.run([sys.executable, "-c", program], capture_output=True, check=False).stderr.decode()
    assert err.count(f"ValueError: {SHOWN}") == 2
    assert err.startswith(SHOWN)
    assert is_plain(err)


def test_a_failure_is_found_in_a_log(capsys: pytest.CaptureFixture[str]) -> None:
    output.say_failure("the home is in use: stop it")
    line = capsys.readouterr().err.rstrip("\n")
    assert line == "flux-tui: the home is in use: stop it"
    assert output.failure_in(line) == "the home is in use: stop it"
    assert output.failure_in("KeyError: 'flux-tui: x'") is None
