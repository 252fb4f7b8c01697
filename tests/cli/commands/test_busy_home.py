"""`add` and `rm` while a node takes the home: in the moment between the look and the lock, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from flux_tui.cli.main import run
from flux_tui.home import Home, HomeBusyError
from flux_tui.node import offline


def busy_once(real: Callable[..., Any]) -> Callable[..., Any]:
    """The home was free when it was looked at, and is not when it is locked."""
    calls: list[object] = []

    def first_busy(*arguments: Any, **named: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise HomeBusyError("the home is in use")
        return real(*arguments, **named)

    return first_busy


def test_a_home_that_was_taken_meanwhile_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file, home = tmp_path / "film", tmp_path / "home"
    file.write_bytes(b"film")
    monkeypatch.setattr(offline, "add_offline", busy_once(offline.add_offline))
    monkeypatch.setattr(offline, "remove_offline", busy_once(offline.remove_offline))
    assert run(["add", str(file), "--home", str(home)]) == 0
    root = capsys.readouterr().out.split()[0]
    assert run(["rm", root, "--home", str(home)]) == 0
    assert Home(home).running() is None
