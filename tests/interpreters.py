"""Build the wheel, install it for each Python that is here, away from the repo, and run it.

python -m tests.interpreters [PYTHON...]

Looks for 3.11, 3.12 and 3.13 on PATH and among pyenv's. Each gets a virtual environment of its own, with the
dependencies as an ordinary `pip install` finds them; then `--version`, `--help`, and a demo without a screen.
There is no C compiler in it (CC=/bin/false) and nothing that was compiled before (no cache).
"""

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]
FASTECDSA = ROOT / "assets" / "fastecdsa"
NO_COMPILER = {"CC": "/bin/false", "CXX": "/bin/false", "PIP_NO_CACHE_DIR": "1"}
VERSIONS = ("3.11", "3.12", "3.13")


def build(folder: Path) -> tuple[Path, Path]:
    """The wheel and the sdist."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(folder)],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    (wheel,), (sdist,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


def interpreters() -> dict[str, Path]:
    """By version: the Pythons that are here."""
    found: dict[str, Path] = {}
    for version in VERSIONS:
        places = sorted(Path.home().glob(f".pyenv/versions/{version}.*/bin/python"))
        named = shutil.which(f"python{version}")
        if places or named:
            found[version] = places[-1] if places else Path(str(named))
    return found


def try_one(python: Path, artefact: Path, folder: Path) -> str:
    """Install there and run; returns the version that it says."""
    subprocess.run([str(python), "-m", "venv", str(folder / "venv")], check=True)
    inside = folder / "venv" / "bin"
    subprocess.run(
        [str(inside / "pip"), "install", "-q", str(FASTECDSA), str(artefact)],
        check=True,
        cwd=folder,
        env=os.environ | NO_COMPILER,
    )
    said = subprocess.run(
        [str(inside / "flux-tui"), "--version"], check=True, cwd=folder, capture_output=True, text=True
    )
    for arguments in (["--help"], ["demo", "--list"], ["demo", "--check", "hello"]):
        command = [str(inside / "python"), "-W", "error::SyntaxWarning", "-m", "flux_tui", *arguments]
        subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL)
    return said.stdout.strip()


def main() -> int:
    chosen = {Path(path).name: Path(path) for path in sys.argv[1:]} or interpreters()
    with tempfile.TemporaryDirectory(prefix="flux-tui-packages-") as name:
        wheel, sdist = build(Path(name))
        for artefact in (wheel, sdist):
            for version, python in chosen.items():
                place = Path(name) / f"{version}-{artefact.suffix[1:]}"
                place.mkdir()
                began = time.monotonic()
                said = try_one(python, artefact, place)
                print(
                    f"{version}: {artefact.name} installs and runs: {said} ({time.monotonic() - began:.0f} s)",
                    flush=True,
                )
                shutil.rmtree(place)
    return 0


if __name__ == "__main__":
    sys.exit(main())
