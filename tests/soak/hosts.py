"""Hosts on one machine: network namespaces on a bridge, and a wall clock that can be set for one process.

All of it is in a network namespace that the command made for itself. So nothing outside is touched, and
everything is gone when it ends. Needs Linux, root (or user namespaces), `ip`, `unshare` and `nsenter`.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

INSIDE = "FLUX_TUI_SOAK_INSIDE"
"""Set in the process that has its own network namespace."""
BRIDGE = "br0"


def needs() -> str | None:
    """Return what this machine lacks, in a sentence, or None."""
    lacking = [name for name in ("ip", "unshare", "nsenter", "cc") if shutil.which(name) is None]
    if sys.platform != "linux":
        return "network namespaces are a thing of Linux"
    return f"these programs are not installed: {', '.join(lacking)}" if lacking else None


def enter_namespace(module: str, arguments: Sequence[str]) -> int | None:
    """Run this module again in a new network namespace, and return its status. None: we are in it."""
    if INSIDE in os.environ:
        _ip("link", "set", "lo", "up")
        _ip("link", "add", BRIDGE, "type", "bridge")
        _ip("link", "set", BRIDGE, "up")
        return None
    how = ["unshare", "-n"] if os.geteuid() == 0 else ["unshare", "-rn"]
    return subprocess.run(
        [*how, sys.executable, "-m", module, *arguments], env=os.environ | {INSIDE: "1"}, check=False
    ).returncode


class Host:
    """A network namespace with one interface on the bridge."""

    def __init__(self, name: str, addr: str) -> None:
        self._holder = subprocess.Popen(["unshare", "-n", "sleep", "infinity"], stdin=subprocess.DEVNULL)
        self.prefix = ["nsenter", "-t", str(self._holder.pid), "-n"]
        inner, outer = f"{name}-in", f"{name}-out"
        _wait_for_namespace(self._holder.pid)
        _ip("link", "add", outer, "type", "veth", "peer", "name", inner)
        _ip("link", "set", inner, "netns", str(self._holder.pid))
        _ip("link", "set", outer, "master", BRIDGE, "up")
        self._interface = inner
        self.addr = addr
        for arguments in (("link", "set", "lo", "up"), ("link", "set", inner, "up")):
            self._inside(*arguments)
        self._inside("addr", "add", f"{addr}/16", "dev", inner)

    def move(self, addr: str) -> None:
        """Replace the address, as for a laptop that changed networks."""
        self._inside("addr", "flush", "dev", self._interface)
        self._inside("addr", "add", f"{addr}/16", "dev", self._interface)
        self.addr = addr

    def close(self) -> None:
        self._holder.terminate()
        self._holder.wait()

    def _inside(self, *arguments: str) -> None:
        subprocess.run([*self.prefix, "ip", *arguments], check=True)


class Clock:
    """The wall clock of the processes that are started with `environment`."""

    def __init__(self, folder: Path) -> None:
        library = folder / "clock.so"
        source = Path(__file__).with_name("clock.c")
        subprocess.run(["cc", "-shared", "-fPIC", "-o", str(library), str(source)], check=True)
        self._file = folder / "clock.offset"
        self.step(0)
        self.environment = {"LD_PRELOAD": str(library), "SHIFT_FILE": str(self._file)}

    def step(self, seconds: int) -> None:
        """Set the offset from the true time from now on."""
        waiting = self._file.with_suffix(".new")
        waiting.write_text(str(seconds))
        waiting.replace(self._file)


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True)


def _wait_for_namespace(pid: int) -> None:
    ours = os.readlink("/proc/self/ns/net")
    while os.readlink(f"/proc/{pid}/ns/net") == ours:
        os.sched_yield()
