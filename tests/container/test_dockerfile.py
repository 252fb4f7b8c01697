"""What assets/Dockerfile says: `python -m tests.container` carries it out where no Docker runs."""

import shlex
import tomllib
from pathlib import Path

import pytest

from flux_tui.cli.arguments.flags_for_node import parse_flags
from flux_tui.cli.main import COMMANDS
from tests.container.__main__ import ROOT
from tests.container.dockerfile import read


def test_the_image_has_no_root_and_no_compiler() -> None:
    build, image = read(ROOT / "assets" / "Dockerfile")
    assert build.base == image.base
    assert image.base.endswith("-slim")
    assert ("USER", "flux") in image.steps
    assert "useradd --system --uid 10001 --home-dir /data" in image.steps[0][1]
    assert ("ENV", "FLUX_TUI_HOME=/data") in image.steps
    assert image.volumes == ["/data"]
    assert not any(
        word in step for stage in (build, image) for _, step in stage.steps for word in ("apt", "gcc")
    )


def test_its_commands_and_options_are_there() -> None:
    _, image = read(ROOT / "assets" / "Dockerfile")
    command, *options = image.command
    assert image.entrypoint == ["flux-tui"]
    assert command in COMMANDS
    parsed = parse_flags(options)
    assert parsed["log_json"] is True
    assert len(parsed["listen"]) == 2
    assert image.healthcheck[:2] == ["flux-tui", "doctor"]


def test_what_it_copies_is_there_and_not_ignored() -> None:
    build, _ = read(ROOT / "assets" / "Dockerfile")
    kept = {
        line[1:]
        for line in (ROOT / "assets" / "Dockerfile.dockerignore").read_text().splitlines()
        if line[:1] == "!"
    }
    copied = {name for word, step in build.steps if word == "COPY" for name in shlex.split(step)[:-1]}
    assert copied == kept
    assert all((ROOT / name).exists() for name in copied)
    with (ROOT / "pyproject.toml").open("rb") as file:
        shared = tomllib.load(file)["tool"]["hatch"]["build"]["targets"]["wheel"]["shared-data"]
    assert set(shared) <= copied, "the wheel needs them"


def test_an_instruction_that_is_not_known_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM x\nADD a b\n")
    with pytest.raises(ValueError, match="ADD is not known here"):
        read(path)
