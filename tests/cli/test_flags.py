"""The options of a node: what is given to a command is what a node that it starts is given."""

from pathlib import Path
from typing import Any

import click
import pytest

from flux_tui.cli.common import load_settings, node_options
from flux_tui.cli.push import node_flags
from flux_tui.config import Settings
from flux_tui.home import Home
from tests.core.samples import PEER


def parsed(*arguments: str) -> dict[str, Any]:
    """The options as a command gets them."""

    @click.command()
    @node_options
    def command(**flags: Any) -> dict[str, Any]:
        return flags

    found: dict[str, Any] = command.main(list(arguments), standalone_mode=False)
    return found


def test_every_option_gets_through_to_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    given = parsed(
        "--listen", "/a", "--listen", "/b", "--join", "/c", "--no-mdns", "--swarm-key", "swarm.key",
        "--relay", "/d", "--relay", "/e", "--serve-relay", "--max-pending", "7", "--max-uploads", "3",
        "--upload-limit", "2MB/s", "--per-peer-limit", "1MB/s", "--quota", "1GB", "--max-object", "1MB",
        "--allow", PEER, "--deny", PEER,
    )  # fmt: skip
    assert all(value not in (None, (), False) for value in given.values()), "all of them"
    home = Home(tmp_path / "home")
    expected = Settings(
        listen=("/a", "/b"),
        join=("/c",),
        mdns=False,
        swarm_key=str(tmp_path / "swarm.key"),
        relay=("/d", "/e"),
        serve_relay=True,
        max_pending=7,
        max_uploads=3,
        upload_limit=2_000_000,
        per_peer_limit=1_000_000,
        quota=10**9,
        max_object=10**6,
        allow=(PEER,),
        deny=(PEER,),
    )
    assert load_settings(home, **given) == expected
    monkeypatch.chdir("/")
    assert load_settings(home, **parsed(*node_flags(given))) == expected, "from any folder"


def test_no_option_changes_nothing(tmp_path: Path) -> None:
    assert node_flags(parsed()) == []
    assert load_settings(Home(tmp_path), **parsed()) == Settings()
