"""The command group. Every failure ends with one sentence and an exit status, never with a traceback."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource
from typing_extensions import override

from flux_tui import __version__
from flux_tui.cli.arguments.help_epilogs import EPILOGS, MAIN
from flux_tui.cli.arguments.options import home_option, node_options, output_options, write_options
from flux_tui.cli.output import Failure, be_quiet, require_stdout, say_failure, show_error, tell
from flux_tui.config import SettingsError
from flux_tui.core.ids import BadIdError
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.home import HomeError
from flux_tui.path_arguments import PathError
from flux_tui.signals import end_status, ended_by_signals
from flux_tui.store.database import StoreError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


class NoReaderError(Exception):
    """The program that reads our output has closed the pipe. This is not a failure."""


class _EndedError(Exception):
    """A signal ended the command."""

    def __init__(self, by: KeyboardInterrupt) -> None:
        super().__init__()
        self.by = by


COMMANDS = {
    "node": "node", "add": "add", "get": "get", "rm": "remove", "want": "want_and_hold", "cancel": "want_and_hold",
    "retry": "want_and_hold", "hold": "want_and_hold", "release": "want_and_hold", "join": "running_node",
    "leave": "running_node", "custom": "running_node",
    "limit": "running_node", "stop": "running_node", "state": "read_series", "series": "read_series",
    "export": "read_series", "why": "why", "name": "name", "replay": "dashboard", "demo": "demo", "web": "web",
    "completion": "completion", "metrics": "servers.metrics", "doctor": "servers.doctor",
    "ls": "content.ls", "cat": "content.cat", "inspect": "content.inspect", "gateway": "servers.gateway",
    "prune": "servers.prune",
}  # fmt: skip
"""Each command, and the module in `commands/` that has it.

A module is imported when its command is called or listed. Importing all of them takes as long as importing
the dashboard.
"""
ELSEWHERE = {
    "share": "add", "send": "add", "publish": "add", "seed": "add", "pin": "hold", "unpin": "release",
    "fetch": "get", "download": "get", "receive": "get", "remove": "rm", "unshare": "rm", "delete": "rm",
    "connect": "join", "disconnect": "leave", "daemon": "node", "start": "node", "serve": "node", "run": "node",
    "quit": "stop", "status": "state", "info": "state", "peers": "state", "log": "series", "history": "series",
    "check": "doctor", "explain": "why", "list": "ls", "tree": "ls",
}  # fmt: skip
"""Names that other tools give to a command, and the command here that does the same. An error names it."""


class HelpContext(click.Context):
    """The context of every command. It fails if stdout is closed, where Click would show no help and succeed."""

    @override
    def get_help(self) -> str:
        require_stdout()
        return super().get_help()


class Commands(click.Group):
    """The group of commands.

    It handles a broken pipe and a signal before Click does. Options of a command may also stand before the
    command's name.
    """

    context_class = HelpContext

    @override
    def list_commands(self, context: click.Context, /) -> list[str]:
        return sorted(COMMANDS)

    @override
    def get_command(self, context: click.Context, name: str, /) -> click.Command | None:
        if name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"{__package__}.commands.{COMMANDS[name]}"), name)
        command.epilog = command.epilog or EPILOGS.get(name)
        with_output_options(command)
        command.context_class = HelpContext
        command.format_options = partial(write_options, command)  # type: ignore[method-assign]
        return command

    @override
    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self, ctx, formatter)
        self.format_commands(ctx, formatter)

    def resolve_command(
        self, context: click.Context, arguments: list[str], /
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the typed command, and move the options that stand before its name behind it.

        Returns the name, the command, and the remaining words. Raises UsageError if the command does not have
        one of these options.
        """
        typed = arguments[0] if arguments else ""
        if not context.resilient_parsing and typed not in COMMANDS and typed[:1].isalnum():
            same = ELSEWHERE.get(typed.casefold())
            close = f"; did you mean {same}?" if same else did_you_mean(typed, COMMANDS) or "."
            raise click.UsageError(f"No such command {typed!r}{close}", context)
        name, command, rest = super().resolve_command(context, arguments)
        if command is None or context.resilient_parsing:
            return name, command, rest
        known = {option for parameter in command.params for option in parameter.opts}
        before: list[str] = []
        for words in _typed_options(context):
            option = words[0].partition("=")[0]
            if option not in known:
                raise click.UsageError(self._misplaced(context, option, str(name)), context)
            before += words
        return name, command, before + rest

    def _misplaced(self, context: click.Context, option: str, name: str) -> str:
        takers = [
            other
            for other in self.list_commands(context)
            if (command := self.get_command(context, other)) is not None
            and any(option in parameter.opts for parameter in command.params)
        ]
        return f"{option} is not an option of `{name}`: it is for {', '.join([*takers, 'and the dashboard'])}"

    @override
    def make_context(self, *args: Any, **extra: Any) -> click.Context:
        with _own_exceptions():
            return super().make_context(*args, **extra)

    @override
    def invoke(self, context: click.Context, /) -> Any:
        with _own_exceptions():
            return super().invoke(context)


def with_output_options(command: click.Command) -> None:
    """Give a command the options that every command has, unless it has them."""
    if not any("--no-color" in parameter.opts for parameter in command.params):
        command.params.extend(output_options())


def _typed_options(context: click.Context) -> Iterator[list[str]]:
    """Yield the options that the person typed before the command, each as a list of words."""
    for parameter in context.command.params:
        name = parameter.name or ""
        if (
            context.get_parameter_source(name) is not ParameterSource.COMMANDLINE
            or name not in context.params
        ):
            continue
        value = context.params[name]
        if value is True:
            yield [parameter.opts[0]]
            continue
        for one in value if isinstance(value, tuple) else (value,):
            yield [f"{parameter.opts[0]}={one}"]


@contextmanager
def _own_exceptions() -> Iterator[None]:
    """Convert a signal or a broken pipe into our own exceptions before Click handles them.

    Click would print an empty line, and would not tell which signal came.
    """
    try:
        yield
    except KeyboardInterrupt as error:
        raise _EndedError(error) from None
    except BrokenPipeError:
        raise NoReaderError from None
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):
            raise NoReaderError from None
        raise


def _show_version(context: click.Context, _option: click.Parameter, wanted: bool) -> None:
    if wanted and not context.resilient_parsing:
        tell(f"flux-tui, version {__version__}")
        context.exit()


@click.group(
    cls=Commands,
    invoke_without_command=True,
    epilog=MAIN,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@home_option
@node_options
@click.option("--mask", is_flag=True, help="Hide ids and addresses in the dashboard, for an audience.")
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version and exit.",
)
@click.pass_context
def cli(context: click.Context, /, home: Path | None, mask: bool, **flags: Any) -> None:
    """A push-only peer-to-peer file exchange that you can watch.

    Without a command: show the dashboard of this home's node. If no node runs, start it in the background.
    """
    if context.invoked_subcommand is None:
        from flux_tui.cli.commands.dashboard import show_dashboard

        show_dashboard(home, flags, masked=mask)


with_output_options(cli)


def run(arguments: list[str]) -> int:
    """Run one command line (without the program's name). Return the exit status."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a locale may lack characters of a name
    be_quiet(False)
    try:
        with ended_by_signals():
            status = cli.main(arguments, prog_name="flux-tui", standalone_mode=False)
        if sys.stdout is not None:
            sys.stdout.flush()
    except click.ClickException as error:
        show_error(error)
        return error.exit_code
    except _EndedError as error:
        return end_status(error.by)
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except (NoReaderError, BrokenPipeError):
        _discard_output()
        return OK
    except (HomeError, StoreError, SettingsError, BadIdError, PathError) as error:
        return _fail(str(error))
    except Exception as error:
        sentence = _network_sentence(error)
        if sentence is None:
            raise
        return _fail(sentence)
    return status if isinstance(status, int) else OK


def _fail(sentence: str) -> int:
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        _discard_output()
    say_failure(sentence)
    return FAILED


def _discard_output() -> None:
    """Discard all further output on stdout, because the program that read it is gone.

    Otherwise Python would write what is left in its buffer when it exits, and fail.
    """
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _network_sentence(error: BaseException) -> str | None:
    """Return the sentence to print for an expected error of the node or the machine; None if the error is a bug."""
    from flux_tui.metrics.exposition import MetricsError
    from flux_tui.net.port import NetworkError
    from flux_tui.node.disk.chunker import AddError

    people = (NetworkError, AddError, MetricsError, HomeError, StoreError, SettingsError, Failure)
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    if isinstance(error, OSError):
        words = (error.strerror or str(error)).lower()
        return f"{error.filename or 'the output'} cannot be used: {words}"
    return str(error) if isinstance(error, people) else None
