"""The command group, and how every failure ends: one sentence, the right status, no traceback."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from flux_tui import __version__
from flux_tui.cli.add import add
from flux_tui.cli.common import home_option, node_options
from flux_tui.cli.completion import completion
from flux_tui.cli.get import get
from flux_tui.cli.node import node
from flux_tui.cli.push import cancel, join, retry, stop, want
from flux_tui.cli.read import export, series, state
from flux_tui.cli.show import replay, show_dashboard
from flux_tui.config import SettingsError
from flux_tui.core.ids import BadIdError
from flux_tui.home import HomeError
from flux_tui.store.schema import StoreError

OK, FAILED, USAGE, INTERRUPTED = 0, 1, 2, 130


@click.group(
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="""\b
Two machines:
  one:    flux-tui node          and in another terminal:  flux-tui add film.mkv
  other:  flux-tui get flux1…    (the ticket that `add` printed)
  either: flux-tui               to watch""",
)
@home_option
@node_options
@click.version_option(__version__, prog_name="flux-tui")
@click.pass_context
def cli(context: click.Context, /, home: Path | None, **flags: Any) -> None:
    """A push-only peer-to-peer file exchange that you can watch.

    With no command: the dashboard of this home's node, which is started in the background if none runs.
    """
    if home is not None:
        # `flux-tui --home DIR state` means the same as `flux-tui state --home DIR`.
        context.default_map = {name: {"home": home} for name in cli.commands}
    if context.invoked_subcommand is None:
        show_dashboard(home, flags)


for command in (node, add, get, want, cancel, retry, join, stop, state, series, export, replay, completion):
    cli.add_command(command)


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit status."""
    try:
        status = cli.main(arguments, prog_name="flux-tui", standalone_mode=False)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except BrokenPipeError:
        # Whoever read our output has had enough; nothing may be written at exit either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return OK
    except (HomeError, StoreError, SettingsError, BadIdError) as error:
        return _fail(str(error))
    except Exception as error:
        sentence = _network_sentence(error)
        if sentence is None:
            raise
        return _fail(sentence)
    return status if isinstance(status, int) else OK


def _fail(sentence: str) -> int:
    click.echo(f"flux-tui: {sentence}", err=True)
    return FAILED


def _network_sentence(error: BaseException) -> str | None:
    """The sentence of a node that could not start; None for a fault of our own."""
    from flux_tui.net.network import NetworkError
    from flux_tui.node.adding import AddError

    people = (NetworkError, AddError, HomeError, StoreError, SettingsError)
    while isinstance(error, BaseExceptionGroup) and len(error.exceptions) == 1:
        error = error.exceptions[0]
    return str(error) if isinstance(error, people) else None
