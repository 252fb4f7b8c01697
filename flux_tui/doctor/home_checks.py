"""Checks of a home: its settings, owner and rights, its lock, its disk, and versions of flux-tui beside it."""

import os
import pwd
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from flux_tui import __version__
from flux_tui.config import SETTINGS
from flux_tui.core.text.quantities import human_duration, human_size
from flux_tui.doctor.checkup import Found, Patient, ok, unknown, wrong
from flux_tui.environment_settings import misspelt_in
from flux_tui.home import Home, HomeError
from flux_tui.store.disk.disk_space import DiskSpace
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.disk.piped_files import PIPED

LISTEN_SECONDS = 3.0
"""Seconds for a node that is starting to take commands."""
VERSION_SECONDS = 20.0
"""Seconds for another flux-tui to say its version."""
MAX_FOLDERS = 32
"""Folders of objects whose disks are looked at."""


def check_settings(patient: Patient) -> Found:
    """Whether the settings of the home can be read, and the names of variables of the environment are right."""
    if patient.settings_error is not None:
        return wrong(f"{patient.settings_error}: mend that, or the node does not start")
    if (misspelt := misspelt_in(os.environ, SETTINGS)) is not None:
        return wrong(misspelt)
    return ok("the settings can be used")


# ── owner and rights ────────────────────────────────────────────────────────────────────────────


def check_home(patient: Patient) -> Found:
    """Whether the home belongs to this user, can be written, and is closed to others; and whether its series is."""
    home = patient.home
    try:
        mode = home.path.lstat()
    except FileNotFoundError:
        return unknown(f"there is no home at {home.path} yet: the first start of the node makes it")
    if not home.path.is_dir():
        return wrong(f"the home {home.path} is not a folder: move it away, or name another one with --home")
    me = os.geteuid()
    for path in (home.path, *_files(home)):
        owner = (mode if path == home.path else path.lstat()).st_uid
        if owner != me:
            what = "the home" if path == home.path else "a file of the home,"
            return wrong(
                f"{what} {path} belongs to {_user(owner)}, and you are {_user(me)}: act as that user, or give the home"
                f" to yourself (chown -R {me} {home.path})"
            )
    effective = os.access in os.supports_effective_ids
    if not os.access(home.path, os.R_OK | os.W_OK | os.X_OK, effective_ids=effective):
        return wrong(f"the home {home.path} cannot be written: give yourself the rights (chmod u+rwx)")
    if home.identity.exists() and home.identity.stat().st_mode & 0o077:
        return wrong(
            f"others can read the node's key {home.identity}: close it (chmod 600), as it lets them act as you"
        )
    if patient.series_error is not None:
        return wrong(f"the series cannot be read: {patient.series_error}")
    return ok(f"the home {home.path} belongs to you, and can be written")


def _files(home: Home) -> Iterator[Path]:
    """Yield the files of a home that are there and that its node writes."""
    try:
        names = sorted(os.listdir(home.path))
    except OSError:
        return
    own = {"lock", "port", "flags", home.identity.name, home.settings.name, home.names.name, home.socket.name,
           home.node_log.name, home.opening_file.name,
           home.database.name, f"{home.database.name}-wal", f"{home.database.name}-shm",
           KEPT, PIPED}  # fmt: skip
    yield from (home.path / name for name in names if name in own)


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"the user with number {uid}"


# ── lock ────────────────────────────────────────────────────────────────────────────────────────


def check_lock(patient: Patient) -> Found:
    """Whether a live node holds the lock of the home, or nobody does and the last node stopped in order."""
    home = patient.home
    pid = home.running()
    if pid is not None:
        deadline = time.monotonic() + LISTEN_SECONDS
        while not _takes_commands(home):
            if home.running() is None:
                return unknown("a node has just stopped: look again")
            if time.monotonic() > deadline:
                who = f"the process {pid}" if pid else "a process"
                return wrong(
                    f"{who} holds the lock of the home and takes no commands: it hangs or is stopped, so end it"
                    f" (kill -CONT {pid or 'PID'}; kill {pid or 'PID'}) and start the node again"
                )
            time.sleep(0.05)
        return ok(f"the node with pid {pid} runs and takes commands")
    if patient.state is not None and patient.state.running:
        ago = human_duration(max(0.0, patient.now() - patient.state.at))
        return wrong(
            f"the lock of the home is stale: its node ended {ago} ago without stopping (killed, or a power cut);"
            " nothing is lost, so start it again (flux-tui node)"
        )
    return ok("no node runs, and the last one stopped in order")


def _takes_commands(home: Home) -> bool:
    """Whether the home's node reads what is pushed to it. A stopped process has a socket, too, and reads nothing."""
    try:
        home.push()
    except HomeError:
        return False
    return True


# ── disk ────────────────────────────────────────────────────────────────────────────────────────


def check_disk(patient: Patient) -> Found:
    """Whether the disks of the home and of the objects that are fetched have room."""
    space = DiskSpace(patient.settings.keep_free)
    least: int | None = None
    for folder in _folders(patient):
        free = space.free(folder)
        if free is None:
            continue
        found = os.statvfs(folder)
        if found.f_files and not found.f_favail:
            return wrong(f"the disk of {folder} takes no more files: remove some")
        if free <= 0:
            left = found.f_bavail * found.f_frsize
            return wrong(
                f"the disk of {folder} is full: {human_size(left)} are free, and keep_free keeps"
                f" {human_size(left - free)} of it free; remove something, or lower keep_free"
            )
        least = free if least is None else min(least, free)
    if least is None:
        return unknown("how much room there is on the disk is not known")
    return ok(f"{human_size(least)} may be written to the disk")


def _folders(patient: Patient) -> Iterator[Path]:
    """Yield folders on the disks that the node writes to: of the home, and of objects that are not whole."""
    here = patient.home.path
    while not here.exists() and here != here.parent:
        here = here.parent
    yield here
    if patient.state is None:
        return
    paths = [
        Path(one.path).parent for one in patient.state.objects.values() if one.path and not one.completed_at
    ]
    yield from list(dict.fromkeys(path for path in paths if path.is_dir()))[:MAX_FOLDERS]


# ── versions ────────────────────────────────────────────────────────────────────────────────────


def check_version(patient: Patient) -> Found:
    """Whether the node that runs, and every other flux-tui that the shell finds, is of this version."""
    state = patient.state
    runs = state is not None and state.running and patient.home.running() is not None
    if state is not None and runs and state.version not in ("", __version__):
        return wrong(
            f"the node that runs is of version {state.version}, and this program of {__version__}: restart the node"
            " (flux-tui stop, then flux-tui node)"
        )
    for path in _others():
        found = _version_of(path)
        if found is not None and found != __version__:
            return wrong(
                f"beside this flux-tui {__version__} there is {found} at {path}: remove it or update it, so that no"
                " node is started with the other one by mistake"
            )
    return ok(f"this is version {__version__}, and there is no other beside it")


def _others() -> Iterator[Path]:
    """Yield the programs named flux-tui that the shell finds, but this one."""
    own = Path(sys.executable).parent.resolve()
    seen = {own}
    for text in os.get_exec_path():
        folder = Path(text)
        if not folder.is_absolute() or folder.resolve() in seen:
            continue
        seen.add(folder.resolve())
        path = folder / "flux-tui"
        try:
            owner = path.stat().st_uid
        except OSError:
            continue
        is_link_to_this = path.resolve().parent == own
        if owner in (0, os.geteuid()) and path.is_file() and os.access(path, os.X_OK) and not is_link_to_this:
            yield path


def _version_of(path: Path) -> str | None:
    """Return the version that a program says it has; None: it says none."""
    try:
        done = subprocess.run(  # noqa: S603 - a program of this user's or root's, in PATH
            [path, "--version"], capture_output=True, text=True, timeout=VERSION_SECONDS, stdin=subprocess.DEVNULL,
            check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired, UnicodeDecodeError):
        return None
    said = re.search(r"\bversion (\d[\w.+-]{0,40})", done.stdout)
    return said.group(1) if said else None
