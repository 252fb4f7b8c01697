"""`flux-tui doctor`: say what is wrong with a home, and with this machine's network, clock and disk."""

import time
from collections.abc import Mapping
from contextlib import closing
from importlib import import_module
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.flags_for_node import parse_flags
from flux_tui.cli.arguments.options import given_values, home_option, json_option, node_options
from flux_tui.cli.home_and_series import fold, the_home
from flux_tui.cli.output import Failure, print_json, say, tell
from flux_tui.config import Settings, SettingsError
from flux_tui.core.series.state import State
from flux_tui.doctor.checkup import Check, Patient, Verdict, examine
from flux_tui.home import Home
from flux_tui.store.database import StoreError
from flux_tui.store.series_reader import SeriesReader

TIME_SERVER = "pool.ntp.org"
NOBODY = "none"
SIGNS: Mapping[Verdict, str] = {"ok": "ok", "wrong": "WRONG", "unknown": "-"}
CHECKS = {
    "settings": "home_checks", "home": "home_checks", "lock": "home_checks", "disk": "home_checks",
    "version": "home_checks", "clock": "clock_check", "route": "network_checks", "port": "network_checks",
    "mdns": "network_checks", "swarm-key": "network_checks", "peers": "network_checks",
}  # fmt: skip
"""The checks, in the order in which they are printed, and the module of `flux_tui.doctor` that has each.

A module is imported when it is needed: that of the network takes a second.
"""


ASKED = {
    "clock": "the time server {server}",
    "mdns": "this network, by mDNS",
    "swarm-key": "the peers that the node knows",
}
"""Whom checks ask, outside of this machine."""


@click.command(
    epilog="""\b
Examples:
  flux-tui doctor                        everything
  flux-tui doctor --only clock --only disk
  flux-tui doctor --offline              asks nobody
  flux-tui doctor --ntp none             asks no time server, only the peers that the node knows
  flux-tui doctor --json                 a line for each check, for a program

Each line says what is wrong and what to do, in a sentence. The exit status is 1 if anything is wrong. It
changes nothing. It looks at the node as it was started last; options say how it would be started instead.

It asks, and says so before: the time server (one query), this network by mDNS (one query), and peers that the node
knows (the beginning of a connection to each)."""
)
@click.option(
    "--only", "only", multiple=True, type=click.Choice(tuple(CHECKS)), help="Only this check. Repeatable."
)
@click.option(
    "--ntp",
    "time_server",
    default=TIME_SERVER,
    show_default=True,
    metavar="HOST[:PORT]",
    help=f"The time server that the clock is compared with; `{NOBODY}`: ask nobody.",
)
@click.option(
    "--offline",
    is_flag=True,
    help="Ask nobody outside of this machine: no time server, no peer, and not this network by mDNS.",
)
@home_option
@node_options
@json_option
def doctor(
    only: tuple[str, ...], time_server: str, offline: bool, home: Path | None, as_json: bool, **flags: Any
) -> None:
    """Say what is wrong with this home, and with this machine's network, clock and disk."""
    if offline and "mdns" in only:
        raise click.UsageError("the check mdns asks this network, which --offline forbids")
    place = the_home(home)
    server = None if offline or time_server == NOBODY else time_server
    patient = _patient(place, flags, server, offline=offline)
    checks = _checks(only, offline=offline)
    if asked := [
        words.format(server=server)
        for name, words in ASKED.items()
        if name in checks and not offline and (name != "clock" or server is not None)
    ]:
        say(f"asking {', '.join(asked)} (--offline: nobody)")
    found = examine(patient, checks)
    for one in found:
        if as_json:
            print_json(one._asdict())
        else:
            tell(f"{SIGNS[one.verdict]:<5}  {one.check:<9}  {one.text}")
    faults = sum(one.verdict == "wrong" for one in found)
    if faults:
        raise Failure("1 thing is wrong" if faults == 1 else f"{faults} things are wrong")


def _checks(only: tuple[str, ...], *, offline: bool) -> dict[str, Check]:
    """Return the checks by name. `offline`: without the one that can only ask."""
    return {
        name: getattr(import_module(f"flux_tui.doctor.{module}"), f"check_{name.replace('-', '_')}")
        for name, module in CHECKS.items()
        if (not only or name in only) and not (offline and name == "mdns")
    }


def _patient(home: Home, flags: Mapping[str, Any], time_server: str | None, *, offline: bool) -> Patient:
    settings, settings_error = _settings(home, flags)
    state, series_error = _state(home)
    return Patient(home, settings, settings_error, state, series_error, time_server, time.time, offline)


def _settings(home: Home, flags: Mapping[str, Any]) -> tuple[Settings, str | None]:
    """Return the settings with which the node was started last, with these options, and what is wrong with them."""
    try:
        before = given_values(parse_flags(home.last_flags() or ()))
    except click.UsageError:  # flags of another version
        before = {}
    try:
        return Settings.load(home, **(before | given_values(flags))), None
    except SettingsError as error:
        return Settings(), str(error)


def _state(home: Home) -> tuple[State | None, str | None]:
    """Return the state of the home, and why it cannot be read."""
    try:
        if not home.database.exists():
            return None, None
        with closing(SeriesReader.open(home.database)) as reader:
            return fold(reader), None
    except StoreError as error:
        return None, str(error)
    except OSError as error:
        return None, f"{home.database} cannot be opened: {(error.strerror or str(error)).lower()}"
