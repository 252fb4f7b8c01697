"""What the commands write, and the only way to a terminal that they have.

Words for people pass `plain`, whoever wrote what is in them. Data for programs stays exact: JSON by its own
escapes, and a path on a pipe byte by byte; on a terminal a path is words, too.
"""

import contextlib
import io
import json
import logging
import os
import sys
import threading
import traceback
from types import TracebackType
from typing import Any

import click
from rich.console import Console

from flux_tui.core.text.plain import plain, plain_lines


def say(text: str) -> None:
    """A line of words for a person, on stderr; nothing, where nobody reads them any more."""
    with contextlib.suppress(OSError):
        click.echo(plain(text), err=True)


def say_lines(text: str) -> None:
    """Some lines of words for a person, on stderr."""
    click.echo(plain_lines(*text.split("\n")), err=True)


def tell(text: str) -> None:
    """A line of words for a person, on stdout."""
    click.echo(plain(text))


def tell_path(path: object) -> None:
    """A path on stdout, for a person or for a program that reads a pipe."""
    click.echo(plain(str(path)) if sys.stdout.isatty() else str(path))


def print_exact(text: str) -> None:
    """Lines on stdout that only we have written, such as a script for a shell."""
    click.echo(text)


def print_json(value: Any) -> None:
    """One line of JSON on stdout; of ASCII, which every terminal and locale lets through."""
    click.echo(json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f"))


def console(*, stderr: bool = False) -> Console:
    """For tables and bars: what is printed on it is neither markup, nor emoji by their names, nor highlighted."""
    return Console(stderr=stderr, markup=False, emoji=False, highlight=False)


class Failure(click.ClickException):
    """Something could not be done: one sentence, exit status 1."""

    def show(self, file: Any = None) -> None:
        say(f"flux-tui: {self.message}")


def need_terminal(what: str, instead: str) -> None:
    """Raises Failure where this process has no terminal to draw on and read keys from."""
    if os.environ.get("TEXTUAL_DRIVER"):
        return  # a page of `flux-tui web`: the browser has both
    for stream, name in ((sys.stdin, "input"), (sys.stdout, "output"), (sys.stderr, "error")):
        if stream is None or not stream.isatty():
            raise Failure(f"{what} needs a terminal, which standard {name} is not: {instead}")


def show_error(error: click.ClickException) -> None:
    """What Click says of wrong usage, in which it repeats what was typed."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        error.ctx.color = True  # else Click takes out what it knows of a terminal's codes, unseen
    words = io.StringIO()
    error.show(words)
    if text := words.getvalue().rstrip("\n"):
        say_lines(text)


class PlainFormatter(logging.Formatter):
    """Lines of a log, tracebacks included; what is in them may come from a peer."""

    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(*super().format(record).split("\n"))


def watch_faults() -> None:
    """Have whatever Python itself writes of faults and warnings pass here as well."""
    sys.excepthook = print_traceback
    threading.excepthook = _print_thread
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PlainFormatter())


def _print_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and found.exc_type is not SystemExit:
        print_traceback(found.exc_type, found.exc_value, found.exc_traceback)


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> None:
    """A fault of our own (`sys.excepthook`): its words may come from a peer."""
    say_lines("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))
