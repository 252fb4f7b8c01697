"""The options of a node: as a command line, and compared with a node that already runs.

A node that a command starts gets the options of that command. If a node already runs, the options that it can
change are changed. The others must already have those values: no option is ever ignored.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.common import LIMITS, load_settings, node_options
from flux_tui.config import SettingsError, parse_peers, parse_rate, parse_size
from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.ids import BadIdError
from flux_tui.core.series.policy import PolicyChange
from flux_tui.home import Home, HomeError
from flux_tui.regular_files import read_regular

LISTS = ("listen", "join", "relay", "allow", "deny")
"""Options that may be given several times."""
FIXED = ("listen", "no_mdns", "swarm_key", "relay", "serve_relay", "max_pending", "keep_free")
"""Options that cannot change while a node runs."""


def node_flags(flags: dict[str, Any]) -> list[str]:
    """Return the flags of a node, for a node that is started in the background."""
    found: list[str] = []
    for name in LISTS:
        for value in flags.get(name) or ():
            found += [option(name), value]
    if flags.get("no_mdns"):
        found.append("--no-mdns")
    if flags.get("swarm_key") is not None:
        found += ["--swarm-key", flags["swarm_key"]]
    if flags.get("serve_relay"):
        found.append("--serve-relay")
    for name in ("max_pending", "keep_free", *LIMITS):
        if flags.get(name) is not None:
            found += [option(name), str(flags[name])]
    return found


def option(name: str) -> str:
    """Return an option as it is typed."""
    return f"--{name.replace('_', '-')}"


def parse_flags(flags: Iterable[str]) -> dict[str, Any]:
    """Parse the list that `node_flags` made. Raise click.UsageError."""
    return _NODE.make_context("node", list(flags)).params


@click.command()
@node_options
def _NODE(**_: Any) -> None:  # noqa: N802 - a command is made of it
    """Parses the options of a node."""


def limit_change(flags: dict[str, Any]) -> PolicyChange:
    """Return the change that the options of `limit` ask for. Raise SettingsError or BadIdError."""
    parsers = {"upload_limit": parse_rate, "per_peer_limit": parse_rate, "quota": parse_size,
               "max_object": parse_size}  # fmt: skip
    given: dict[str, Any] = {}
    for name in LIMITS:
        if (value := flags.get(name)) is not None:
            given[name] = parsers[name](value) if name in parsers else value
    for name in ("allow", "deny"):
        if peers := flags.get(name):
            given[name] = () if tuple(peers) == ("none",) else parse_peers(peers)
    if given.get("max_uploads", 1) < 1:
        raise SettingsError("--max-uploads has to be at least 1")
    return PolicyChange(**given)


def apply_to_running(home: Home, flags: Iterable[str]) -> None:
    """Apply flags to the running node of a home. Raise HomeError if it would have to start again."""
    given = parse_flags(flags)
    try:
        missing, change = _missing(home, given), limit_change(given)
    except (SettingsError, BadIdError) as error:
        raise HomeError(str(error)) from None
    if missing:
        raise HomeError(
            f"the node of {home.path} runs already, and without {', '.join(missing)}: stop it first"
            " (`flux-tui stop`), or leave that out"
        )
    commands: list[Command] = [cmd.Join(addr) for addr in given["join"]]
    if change.given():
        commands.append(cmd.Configure(change))
    if commands:
        home.push(*commands)


def _missing(home: Home, given: dict[str, Any]) -> list[str]:
    """Return the given flags that are fixed at the start and that the running node does not have."""
    fixed = {name: given[name] for name in FIXED if given[name]}
    if not fixed:
        return []
    try:
        started_with = parse_flags(home.last_flags() or ())
    except click.UsageError:  # flags of another version
        started_with = parse_flags(())
    has = load_settings(home, **started_with)
    wanted = load_settings(home, **fixed)
    found: list[str] = []
    for name, value in fixed.items():
        setting = name.removeprefix("no_")
        old, new = getattr(has, setting), getattr(wanted, setting)
        if isinstance(value, tuple):
            found += [f"{option(name)} {one}" for one in new if one not in old]
        elif old != new and not (name == "swarm_key" and _same_content(Path(old), Path(new))):
            found.append(option(name) if value is True else f"{option(name)} {value}")
    return found


def _same_content(one: Path, other: Path) -> bool:
    """Whether two files are the same bytes; False if either cannot be read."""
    try:
        return one.samefile(other) or read_regular(one) == read_regular(other)
    except OSError:
        return False
