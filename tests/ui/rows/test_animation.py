"""The README's animation is what the panel draws today."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]


def test_the_animation_is_what_the_recording_gives(tmp_path: Path) -> None:
    made = tmp_path / "flow.svg"
    subprocess.run(
        [sys.executable, "-m", "tests.pictures.animation", str(made)],
        cwd=ROOT, env=dict(os.environ, TZ="Asia/Tokyo"), check=True, capture_output=True, timeout=120,
    )  # fmt: skip
    kept = (ROOT / "screenshots" / "flow.svg").read_text()
    assert made.read_text() == kept, "run `python -m tests.pictures.animation`"
    assert len(kept) < 200_000
