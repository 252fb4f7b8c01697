"""The want of a file that is written to stdout ends with the command, but not if all of the file was read."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from flux_tui.cli.commands.content import cat
from flux_tui.cli.content.looking import Looking
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.path_walk import Part
from flux_tui.core.ids import dag_cid
from flux_tui.home import Home

ROOT = dag_cid(b"a file of two leaves")


def ends_early(_: Callable[[], Any]) -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(("run", "cancelled"), [(lambda _: None, []), (ends_early, [(ROOT,)])])
def test_only_a_want_that_is_not_met_is_cancelled(
    run: Callable[[Callable[[], Any]], None],
    cancelled: list[tuple[str, ...]],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    pushed: list[cmd.Command] = []
    monkeypatch.setattr(Home, "push", lambda _, *commands: pushed.extend(commands))
    monkeypatch.setattr(cat, "run_in_trio", run)
    monkeypatch.setattr(cat, "stdout_descriptor", lambda: 1)
    # The node has not noted yet that the object is whole, so it is still wanted.
    looking = SimpleNamespace(
        home=Home(tmp_path),
        begin=None,
        begun=True,
        mark="mark",
        blocks=None,
        patience=SimpleNamespace(keep=False),
        ticket=SimpleNamespace(name="film", addrs=()),
        follower=SimpleNamespace(look=lambda: None, wanted_by=lambda _: "mark"),
    )
    try:
        cat.write_file(cast("Looking", looking), Part(ROOT, "file", "film", 10))
    except KeyboardInterrupt:
        assert cancelled
    assert [command.cids for command in pushed if isinstance(command, cmd.Cancel)] == cancelled
