"""A check of the doctor and its finding, what each check is given, and how all of them are run."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.config import Settings
from flux_tui.core.series.state import State
from flux_tui.home import Home

Verdict: TypeAlias = Literal["ok", "wrong", "unknown"]
"""ok: nothing is wrong; wrong: a fault; unknown: this could not be checked now, or does not apply."""


class Finding(NamedTuple):
    """What one check found."""

    check: str
    verdict: Verdict
    text: str
    """One sentence for a person. If something is wrong, it says what to do."""


@dataclass(frozen=True)
class Patient:
    """What the checks look at. Nothing in it is changed."""

    home: Home
    settings: Settings
    """The settings with which the node runs, or would start."""
    settings_error: str | None = None
    """What is wrong with the settings, so that `settings` are the defaults."""
    state: State | None = None
    """The state of the home's series; None: there is none, or it cannot be read."""
    series_error: str | None = None
    """Why the series cannot be read."""
    time_server: str | None = None
    """HOST or HOST:PORT of a time server that may be asked; None: none may be."""
    now: Callable[[], float] = field(default=time.time)
    """This machine's clock, in seconds since 1970."""
    offline: bool = False
    """Whether nobody outside of this machine may be asked."""


Found: TypeAlias = tuple[Verdict, str]
Check: TypeAlias = Callable[[Patient], Found]
"""Looks at one thing. It may take some seconds, and raises nothing but OSError."""


def ok(text: str) -> Found:
    """Return that nothing is wrong."""
    return "ok", text


def wrong(text: str) -> Found:
    """Return that something is wrong. `text` is one sentence that says what to do."""
    return "wrong", text


def unknown(text: str) -> Found:
    """Return that this could not be checked, or does not apply."""
    return "unknown", text


def examine(patient: Patient, checks: Mapping[str, Check]) -> list[Finding]:
    """Run these checks at the same time, and return their findings in the same order."""
    names: Sequence[str] = tuple(checks)
    with ThreadPoolExecutor(max_workers=max(1, len(names))) as pool:
        found = pool.map(lambda name: _run(checks[name], patient), names)
        return [Finding(name, *one) for name, one in zip(names, found, strict=True)]


def _run(check: Check, patient: Patient) -> Found:
    try:
        return check(patient)
    except OSError as error:
        return unknown(f"this could not be checked: {(error.strerror or str(error)).lower()}")
