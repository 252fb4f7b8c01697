"""Network namespaces that act as machines."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

NETWORK = "10.213.77"


def ip(*arguments: str) -> None:
    """Run iproute2's `ip`."""
    tool = shutil.which("ip")
    if tool is None or os.geteuid() != 0:
        pytest.fail("network namespaces need root and iproute2's `ip`: run as root, or with -m 'not netns'")
    done = subprocess.run([tool, *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.fail(f"`ip {' '.join(arguments)}` failed, which this test needs: {done.stderr.strip()}")


class Machine:
    """`flux-tui node` in a namespace, on all of its addresses, with mDNS."""

    def __init__(self, room: str, home: Path) -> None:
        self.home = home
        self.log = home.with_suffix(".log").open("wb")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", room, sys.executable, "-m", "flux_tui", "node", "--home", str(home)],
            stdout=subprocess.PIPE, stderr=self.log, stdin=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, home.with_suffix(".log").read_text()
        self.told = json.loads(line)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(timeout=20)
        assert self.process.stdout is not None
        self.process.stdout.close()
        self.log.close()
