"""Convert a node's options to command-line words and back, and apply them to a running node.

A node that a command starts gets the options of that command. If a node already runs, the command changes
those options that can change while a node runs. The other options must already have the given values. No
option is ever ignored.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.options import LIMITS, OPTIONS, STARTS, given_values, node_options
from flux_tui.config import SETTINGS, Settings, SettingsError, parse_change
from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.core.series.settings_table import Kind
from flux_tui.home import Home, HomeError
from flux_tui.regular_files import read_regular


def node_flags(flags: Mapping[str, Any]) -> list[str]:
    """Return the options of a node as command-line words, to start a node in the background with them.

    `flags`: the values of all options of the command. Options that the person did not give are left out.
    """
    return [word for name, value in given_values(flags).items() for word in _typed(name, value)]


def _typed(name: str, value: Any) -> list[str]:
    """Return one option and its value as command-line words. `name`: the name of its setting.

    A list becomes one option for each item. A switch becomes its option alone.
    """
    option, kind = OPTIONS[name], SETTINGS[name].kind
    if kind is Kind.SWITCH:
        return [option]
    values = value if kind.is_list else (value,)
    return [word for one in values for word in (option, str(one))]


def parse_flags(flags: Iterable[str]) -> dict[str, Any]:
    """Parse command-line words that `node_flags` made. Raises click.UsageError.

    Returns the values by option name. An option that is not among the words has its default value.
    """
    return _NODE.make_context("node", list(flags)).params


@click.command()
@node_options
def _NODE(**_: Any) -> None:  # noqa: N802 - a command is made of it
    """A Click command that does nothing. It serves only to parse the options of a node."""


def limit_change(flags: Mapping[str, Any]) -> PolicyChange:
    """Return the change of policy that the options of `flux-tui limit` ask for. Other options are ignored.

    The policy is what a node gives to other nodes. Raises SettingsError for a value that cannot be used.
    """
    return parse_change({name: value for name, value in given_values(flags).items() if name in LIMITS})


def apply_to_running(home: Home, flags: Iterable[str]) -> None:
    """Apply options (command-line words) to the running node of a home.

    Raises HomeError, and applies none, if only a restart could apply one of them, or if a value cannot be used.
    """
    given = parse_flags(flags)
    try:
        missing, change = _missing(home, given), limit_change(given)
    except SettingsError as error:
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


def _missing(home: Home, given: Mapping[str, Any]) -> list[str]:
    """Return the given options that the running node does not have and that only a restart can change.

    Each is returned as text, such as `--listen ADDRESS`.
    """
    values = given_values(given)
    fixed = {name: values[name] for name in STARTS if name in values and not SETTINGS[name].spec.live}
    if not fixed:
        return []
    try:
        started_with = parse_flags(home.last_flags() or ())
    except click.UsageError:  # flags of another version
        started_with = parse_flags(())
    has = Settings.load(home, **given_values(started_with))
    wanted = Settings.load(home, **fixed)
    return [
        " ".join(words)
        for name, value in fixed.items()
        for words in _lacking(name, value, getattr(has, name), getattr(wanted, name))
    ]


def _lacking(name: str, value: Any, has: Any, wanted: Any) -> list[list[str]]:
    """Return the options that a person must add so that a setting of the running node becomes `wanted`.

    `value`: the wanted value as it was typed; `has`: the node's value. Each option is returned as command-line
    words. For a setting that is a list, only the items that the node lacks are returned. Two files with the same
    content count as equal. Empty: the node has all.
    """
    kind = SETTINGS[name].kind
    if kind.is_list:
        return [_typed(name, (one,)) for one in wanted if one not in has]
    same = has == wanted or (kind is Kind.PATH and _same_content(Path(has), Path(wanted)))
    return [] if same else [_typed(name, value)]


def _same_content(one: Path, other: Path) -> bool:
    """Whether two files have the same bytes; False if either cannot be read."""
    try:
        return one.samefile(other) or read_regular(one) == read_regular(other)
    except OSError:
        return False
