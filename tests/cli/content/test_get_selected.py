"""`get --only` of a folder whose blocks are here, so that no node is needed."""

import json
from pathlib import Path

import pytest

from flux_tui.cli.arguments.path_and_stdin_types import Output
from flux_tui.cli.content.get_selected import get_selected
from flux_tui.cli.output import Failure
from flux_tui.home import Home
from flux_tui.node.offline import add_offline


@pytest.fixture
def shared(tmp_path: Path) -> tuple[Home, str]:
    tree = tmp_path / "tree"
    (tree / "in").mkdir(parents=True)
    (tree / "inside").symlink_to("in")
    (tree / "outside").symlink_to("../secret")
    home = Home(tmp_path / "home")
    return home, add_offline(home, tree, "t", lambda *_: None, lambda _: None).root


def test_links_that_lead_out_are_left_out_and_not_counted(
    shared: tuple[Home, str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    home, root = shared
    out = tmp_path / "out"
    get_selected(home, root, ["*side"], Output(out, folder=False), True, {})
    told = capsys.readouterr()
    assert json.loads(told.out)["parts"] == ["inside"]
    assert "outside → ../secret leads out of the folder" in told.err
    assert [one.name for one in out.iterdir()] == ["inside"]
    with pytest.raises(Failure, match="lead out of the folder"):
        get_selected(home, root, ["outside"], Output(tmp_path / "none", folder=False), True, {})
    assert not (tmp_path / "none").exists()
