"""The wheel and the sdist hold what they should, and what is in the wheel runs away from the repo.

That they install with their dependencies on every supported Python is a command: python -m tests.interpreters.
"""

import os
import subprocess
import sys
import tarfile
import zipfile
from importlib import metadata
from pathlib import Path

import pytest

from flux_tui import __version__
from flux_tui.cli.main import COMMANDS
from flux_tui.demo.scenario import names
from tests.interpreters import ROOT, VERSIONS, build


@pytest.fixture(scope="module")
def artefacts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return build(tmp_path_factory.mktemp("dist"))


@pytest.fixture(scope="module")
def installed(artefacts: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The content of the wheel in a new folder, with the dependencies of this environment."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(artefacts[0]) as wheel:
        wheel.extractall(folder)
    return folder


def run(installed: Path, folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    environment = dict(
        os.environ, PYTHONPATH=str(installed), PYTHONSAFEPATH="1", FLUX_TUI_HOME=str(folder / "home")
    )
    return subprocess.run(
        [sys.executable, *arguments], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )


def test_the_wheel_holds_every_file_of_the_package_and_nothing_else(artefacts: tuple[Path, Path]) -> None:
    tracked = subprocess.run(
        ["git", "ls-files", "-z", "flux_tui"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout.split("\0")
    with zipfile.ZipFile(artefacts[0]) as wheel:
        names_inside = [name for name in wheel.namelist() if ".dist-info/" not in name]
        inside = {name for name in names_inside if ".data/" not in name}
        pages = {Path(name).name for name in names_inside if "/share/man/man1/" in name}
        about = wheel.read(f"flux_tui-{__version__}.dist-info/METADATA").decode()
        licences = [name for name in wheel.namelist() if name.endswith("LICENSE")]
    assert inside == set(filter(None, tracked))
    assert pages == {path.name for path in (ROOT / "assets" / "man").iterdir()}
    assert {f"flux_tui/demo/scenarios/{name}.toml" for name in names()} < inside
    assert "flux_tui/ui/dashboard/styles/app.tcss" in inside
    assert "Requires-Python: >=3.11" in about
    for version in VERSIONS:
        assert f"Programming Language :: Python :: {version}" in about
    assert licences


def test_the_sdist_builds_the_same(artefacts: tuple[Path, Path], tmp_path: Path) -> None:
    wheel, sdist = artefacts
    with tarfile.open(sdist) as archive:
        archive.extractall(tmp_path, filter="data")
    (folder,) = tmp_path.iterdir()
    assert (folder / "README.md").exists()
    assert (folder / "tests" / "test_readme.py").exists()
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path / "again")],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    (again,) = (tmp_path / "again").iterdir()
    with zipfile.ZipFile(wheel) as one, zipfile.ZipFile(again) as other:
        assert sorted(one.namelist()) == sorted(other.namelist())


def test_the_program_runs_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    where = run(installed, tmp_path, "-c", "import flux_tui; print(flux_tui.__file__)")
    assert where.stdout.startswith(str(installed))
    said = run(installed, tmp_path, "-m", "flux_tui", "--version")
    assert said.stdout.strip() == f"flux-tui, version {__version__}"
    played = run(installed, tmp_path, "-m", "flux_tui", "demo", "--check", "hello")
    assert played.returncode == 0, played.stderr
    assert "the stated outcome was observed" in played.stdout


def test_importing_the_package_imports_nothing_heavy(installed: Path, tmp_path: Path) -> None:
    """The dashboard and the screen of a demo never load the network; the package itself loads nothing."""
    heavy = "[m for m in ('libp2p', 'trio', 'textual') if m in sys.modules]"
    assert run(installed, tmp_path, "-c", f"import sys, flux_tui; print({heavy})").stdout == "[]\n"
    shown = run(installed, tmp_path, "-c", f"import sys, flux_tui.demo.narrated_dashboard; print({heavy})")
    assert shown.stdout == "['textual']\n", shown.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str, tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "flux_tui", "completion", shell], capture_output=True, text=True, timeout=30
    )
    assert told.returncode == 0
    assert "_FLUX_TUI_COMPLETE" in told.stdout


def test_scenarios_are_completed() -> None:
    environment = dict(
        os.environ, _FLUX_TUI_COMPLETE="bash_complete", COMP_WORDS="flux-tui demo t", COMP_CWORD="2"
    )
    command = Path(sys.executable).parent / "flux-tui"
    told = subprocess.run([str(command)], env=environment, capture_output=True, text=True, timeout=30)
    assert told.stdout.splitlines() == ["plain,ten-thousand"]


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_help_page_has_a_description_usage_and_an_example(name: str) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "flux_tui", name, "--help"], capture_output=True, text=True, timeout=30
    )
    assert told.returncode == 0
    assert told.stdout.startswith(f"Usage: flux-tui {name}")
    assert "Options:" in told.stdout
    assert f"flux-tui {name}" in told.stdout.split("Options:")[1], "no example after the options"
    assert max(len(line) for line in told.stdout.splitlines()) <= 110


def test_the_version_is_written_in_one_place() -> None:
    assert metadata.version("flux-tui") == __version__
