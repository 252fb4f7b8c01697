"""A node lets other programs have the processor first, unless its settings say no."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from flux_tui.node.process_priority import NICE
from tests.bench.nodes import Node, running

SHOWS = """
import json, os, pathlib, threading
from flux_tui.node.process_priority import lower_priority
found = []
def look():
    group = pathlib.Path("/proc/self/autogroup")
    words = group.read_text().split() if group.exists() else []  # empty for the session a machine starts with
    found.append((os.getpriority(os.PRIO_PROCESS, 0), words[-1] if words else None))
look()
os.nice(NICE)
lower_priority()
look()
thread = threading.Thread(target=look)
thread.start()
thread.join()
print(json.dumps(found))
"""


def shown(nice: int, *, session: bool) -> list[list[object]]:
    """Return the priorities before, after, and of a thread started then: its own, and that of its session."""
    ran = subprocess.run(
        [sys.executable, "-c", SHOWS.replace("NICE", str(nice))],
        stdout=subprocess.PIPE, check=True, start_new_session=session,
    )  # fmt: skip
    return json.loads(ran.stdout)  # type: ignore[no-any-return]


def test_the_priority_is_low_from_then_on_and_never_raised() -> None:
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    (before, _), (after, group), thread = shown(0, session=True)
    assert before == mine
    assert thread == [after, group]
    assert after == max(NICE, mine)
    assert group in (None, str(NICE))
    assert shown(NICE + 5, session=True)[1][0] == min(mine + NICE + 5, 19)


def test_the_priority_of_a_shared_session_is_unchanged() -> None:
    (_, before), (_, after), _ = shown(0, session=False)
    assert after == before


@pytest.mark.parametrize("low", [True, False])
def test_the_setting_decides_about_low_priority(tmp_path: Path, low: bool) -> None:
    (tmp_path / "home").mkdir(mode=0o700)
    (tmp_path / "home" / "settings.toml").write_text(f"low_priority = {str(low).lower()}\n")
    node = Node(tmp_path / "home")
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    with running(node):
        assert os.getpriority(os.PRIO_PROCESS, node.process.pid) == (max(NICE, mine) if low else mine)
