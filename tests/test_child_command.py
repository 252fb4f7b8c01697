"""Processes that this program starts run its own code, whatever stands in the working folder."""

import subprocess
import sys
from pathlib import Path

from flux_tui.child_command import child_command

PACKAGE = Path(__file__).parents[1] / "flux_tui"


def test_a_package_of_that_name_in_the_working_folder_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "flux_tui").mkdir()
    for name in ("__init__.py", "__main__.py"):
        (tmp_path / "flux_tui" / name).write_text("print('somebody else')\n")
    plain = subprocess.run(
        [sys.executable, "-m", "flux_tui"], cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "somebody else" in plain.stdout, "this is what Python does"
    done = subprocess.run(
        child_command("flux_tui", "--version"), cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert "somebody else" not in done.stdout
    assert done.stdout.startswith("flux-tui")


def test_no_other_module_names_a_module_to_the_interpreter() -> None:
    named = [path.name for path in PACKAGE.rglob("*.py") if '"-m"' in path.read_text()]
    assert named == ["child_command.py"]
