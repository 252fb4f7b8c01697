"""Options that several commands share. The options of a node are made from the table of settings."""

import os
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, assert_never

import click

from flux_tui.cli.arguments.completions import complete_peers
from flux_tui.cli.arguments.path_and_stdin_types import PathType
from flux_tui.cli.output import be_quiet
from flux_tui.config import LEVELS, SETTINGS, Settings
from flux_tui.core.series.giving_policy import POLICY
from flux_tui.core.series.settings_table import Kind, Setting
from flux_tui.home import Home
from flux_tui.path_arguments import literal_path

F = TypeVar("F", bound=Callable[..., Any])

LIMITS = {name: option for name, setting in POLICY.items() if (option := setting.option)}
"""The option of each setting that `limit` changes, by the setting's name."""
STARTS = {
    name: option for name, setting in SETTINGS.items() if name not in POLICY and (option := setting.option)
}
"""The option of each other setting that a starting node takes."""
OPTIONS = STARTS | LIMITS


def home_option(command: F) -> F:
    """Decorator: add the option `--home`, which chooses the home folder and so the node."""
    return click.option(
        "--home",
        "home",
        type=PathType(),
        default=None,
        metavar="DIR",
        help="The node's folder. [env: FLUX_TUI_HOME; default: your platform's folder for user data]",
    )(command)


def output_options() -> list[click.Option]:
    """Return the options that every command has, before its name or after it: `-q` and `--no-color`."""

    def quiet(_context: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            be_quiet()

    def no_color(_context: click.Context, _option: click.Parameter, value: bool) -> None:
        if value:
            os.environ["NO_COLOR"] = "1"  # what Rich, Textual and a node in the background heed

    return [
        click.Option(
            ["-q", "--quiet"], is_flag=True, expose_value=False, callback=quiet, is_eager=True,
            help="No words for people on stderr, except for why it failed.",
        ),
        click.Option(
            ["--no-color"], is_flag=True, expose_value=False, callback=no_color, is_eager=True,
            help="No colours, as with the variable NO_COLOR.",
        ),
    ]  # fmt: skip


def json_option(command: F) -> F:
    """Decorator: add the option `--json`, which prints JSON lines for programs."""
    return click.option("--json", "as_json", is_flag=True, help="Machine-readable lines on stdout.")(command)


class NodeOption(click.Option):
    """An option of the node that a command starts. The help shows these after the command's own options."""


def node_options(command: F) -> F:
    """Decorator: add the options that a node takes when it starts."""
    return _with_options(command, OPTIONS, NodeOption)


def limit_options(command: F) -> F:
    """Decorator: add the options of `flux-tui limit`, which change what a node gives to other nodes."""
    return _with_options(command, LIMITS)


def write_options(command: click.Command, context: click.Context, formatter: click.HelpFormatter) -> None:
    """Write the options of a help page: first the command's own, then those of the node that it starts."""
    own: list[tuple[str, str]] = []
    of_node: list[tuple[str, str]] = []
    for parameter in command.get_params(context):
        if (record := parameter.get_help_record(context)) is not None:
            (of_node if isinstance(parameter, NodeOption) else own).append(record)
    for heading, records in (("Options", own), ("Node options", of_node)):
        if records:
            with formatter.section(heading):
                formatter.write_dl(records)


def _with_options(command: F, options: Mapping[str, str], kind: type[click.Option] = click.Option) -> F:
    for name, option in reversed(tuple(options.items())):
        command = click.option(option, cls=kind, **_parameter(SETTINGS[name]))(command)
    return command


def _parameter(setting: Setting) -> dict[str, Any]:
    """Return the keyword arguments of `click.option` for a setting: type, metavar, help text."""
    found: dict[str, Any] = {"help": setting.option_help, "default": None}
    match setting.kind:
        case Kind.SWITCH:
            return {"help": setting.option_help, "is_flag": True}
        case Kind.ADDRS:
            return found | {"metavar": "MULTIADDR", "multiple": True}
        case Kind.PEERS:
            return found | {"metavar": "PEER-ID", "multiple": True, "shell_complete": complete_peers}
        case Kind.OBJECTS:
            return found | {"metavar": "CID[=PEER-ID]", "multiple": True}
        case Kind.PATH:
            return found | {"metavar": "FILE", "type": PathType(), "callback": _whole_path}
        case Kind.HOSTS:
            return found | {"metavar": "NAME", "multiple": True}
        case Kind.LEVEL:
            return found | {"metavar": "LEVEL", "type": click.Choice(LEVELS)}
        case Kind.ENDPOINT:
            return found | {"metavar": "[HOST:]PORT"}
        case Kind.COUNT | Kind.NUMBER:
            return found | {"metavar": "N", "type": int}
        case Kind.RATE | Kind.SIZE | Kind.NAME | Kind.THEME | Kind.NOTICE | Kind.KEEP:
            return found | {"metavar": setting.kind.name}
        case Kind.KEYS:
            raise TypeError(f"{setting.name} cannot be an option: a table is not typed as one")
        case _:
            assert_never(setting.kind)


def _whole_path(_context: click.Context, _option: click.Parameter, path: Any) -> str | None:
    return str(literal_path(path)) if path is not None else None


def given_values(flags: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that the person gave, by setting name. `flags`: the values of all options.

    Options that were not given are left out. A given switch has the opposite of its setting's default.
    """
    found: dict[str, Any] = {}
    for name, option in OPTIONS.items():
        value = flags.get(option.removeprefix("--").replace("-", "_"))
        if value is None or value is False or value == ():
            continue
        found[name] = not SETTINGS[name].default if SETTINGS[name].kind is Kind.SWITCH else value
    return found


def load_settings(home: Home, **flags: Any) -> Settings:
    """Load the settings of the home, with these options in place of the file's values. Raises SettingsError."""
    return Settings.load(home, **given_values(flags))
