"""The output of the commands. Commands write to a terminal only through this module.

Text for people always goes through `plain`, which makes control characters visible and harmless, because peers
may have written parts of the text. Data for programs stays exact: JSON escapes it, and a path on a pipe keeps
its bytes. A path on a terminal is treated as text.
"""

import contextlib
import io
import logging
import os
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any

import click
from rich.console import Console
from typing_extensions import override

from flux_tui.core.text.plain import plain, plain_lines


class _Quiet:
    """Whether `-q` was given: no words for people, except for why a command failed."""

    on = False


def be_quiet(quiet: bool = True) -> None:
    """Write no words for people from now on, except for why a command failed."""
    _Quiet.on = quiet


def is_quiet() -> bool:
    """Whether words for people are left out."""
    return _Quiet.on


def say(text: str) -> None:
    """Write a line for a person to stderr, unless `-q` was given. Ignore the error if nobody reads stderr any more."""
    if not _Quiet.on:
        _say(text)


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        click.echo(plain(text), err=True)


def say_lines(text: str) -> None:
    """Write several lines for a person to stderr. Ignore the error if nobody reads stderr any more."""
    with contextlib.suppress(OSError):
        click.echo(plain_lines(*text.split("\n")), err=True)


def say_dark_on_light(lines: Sequence[str]) -> None:
    """Write lines to stderr in black on white, whatever the colours of the terminal; without colours on a pipe."""
    for line in lines:
        click.secho(plain(line), fg="black", bg="bright_white", err=True)


def require_stdout() -> None:
    """Raise Failure if stdout is closed: click.echo would write nothing, and say nothing."""
    if sys.stdout is None:
        raise Failure(CLOSED)


def _print(text: str) -> None:
    """Write text and a newline to stdout. Raises Failure if it is closed."""
    require_stdout()
    click.echo(text)


def tell(text: str) -> None:
    """Write a line for a person to stdout. This and the functions below raise Failure if it is closed."""
    _print(plain(text))


def tell_lines(lines: Sequence[str]) -> None:
    """Write lines for a person to stdout, all at once."""
    if lines:
        _print(plain_lines(*lines))


def tell_path(path: object) -> None:
    """Write a path to stdout: made safe to show on a terminal, byte by byte on a pipe."""
    _print(str(path) if is_for_programs() else plain(str(path)))


def print_exact(text: str) -> None:
    """Write text that this program made, such as a shell script, to stdout unchanged."""
    _print(text)


def print_json(value: Any) -> None:
    """Write one line of JSON to stdout, in ASCII, which every terminal and locale accepts."""
    print_json_lines([value])


def print_json_lines(values: Sequence[Any]) -> None:
    """Write each value as a line of JSON to stdout, in ASCII, all at once."""
    import json  # takes 1 ms, here and below: the dashboard's first frame does not wait for it

    if values:
        lines = (json.dumps(value, separators=(",", ":")).replace("\x7f", "\\u007f") for value in values)
        _print("\n".join(lines))


def stdout_descriptor() -> int:
    """Return the descriptor of stdout, for bytes, after all that was printed. Raises Failure if it is closed."""
    require_stdout()
    sys.stdout.flush()
    return sys.stdout.fileno()


def tell_pushed(as_json: bool, fields: dict[str, Any], words: str) -> None:
    """Say that a command was pushed into the node: a line of JSON for a program, else words for a person.

    `fields`: what is said in the line, besides that.
    """
    if as_json:
        print_json({"event": "pushed", **fields})
    else:
        say(words)


def console(*, stderr: bool = False) -> Console:
    """Return a Rich console for tables and bars, without markup, emoji codes or highlighting.

    It writes to stdout, or with `stderr` to stderr. Where that is not a terminal, tables are as wide as their content:
    a program gets every id whole. Raises Failure if stdout is meant and closed.
    """
    if not stderr:
        require_stdout()
    stream = sys.stderr if stderr else sys.stdout
    wide = None if stream is not None and stream.isatty() else WIDE
    return Console(stderr=stderr, width=wide, markup=False, emoji=False, highlight=False)


def is_for_programs() -> bool:
    """Whether stdout is not a terminal: then no id is cut."""
    return sys.stdout is None or not sys.stdout.isatty()


def are_words_for_programs() -> bool:
    """Whether stderr is not a terminal: then no id is cut in the words for people, either."""
    return sys.stderr is None or not sys.stderr.isatty()


WIDE = 4000
"""Columns of a table that no terminal shows."""
CLOSED = "standard output is closed"
FAILED = "flux-tui: "
"""The beginning of a line on stderr that says why a command failed. No other line begins so."""


_failure_line: Callable[[str], str] = lambda sentence: f"{FAILED}{sentence}"  # noqa: E731 - it is replaced


def log_failures_as(line: Callable[[str], str]) -> None:
    """Write failures of this process in another form from now on: as the lines of its log."""
    global _failure_line
    _failure_line = line


def say_failure(sentence: str) -> None:
    """Write one sentence to stderr that says why a command failed, even after `-q`."""
    _say(_failure_line(sentence))


def failure_in(line: str) -> str | None:
    """Return the sentence in a log line that `say_failure` wrote; None for other lines."""
    if line.startswith(FAILED):
        return line.removeprefix(FAILED)
    import json

    try:
        found = json.loads(line)
    except ValueError:
        return None
    return str(found["message"]) if isinstance(found, dict) and found.get("failed") is True else None


class Failure(click.ClickException):
    """A command failed. The message is one sentence for the person; the exit status is 1."""

    @override
    def show(self, file: Any = None) -> None:
        say_failure(self.message)


def need_terminal(what: str, instead: str) -> None:
    """Raise Failure if a standard stream of this process is not a terminal.

    `what`: the thing that needs a terminal. `instead`: what the person can do without one. On a page of
    `flux-tui web`, this never raises: the browser is the terminal.
    """
    if os.environ.get("TEXTUAL_DRIVER"):
        return  # a page of `flux-tui web`: the browser is the terminal
    for stream, name in ((sys.stdin, "input"), (sys.stdout, "output"), (sys.stderr, "error")):
        if stream is None or not stream.isatty():
            raise Failure(f"{what} needs a terminal, which standard {name} is not: {instead}")


def show_error(error: click.ClickException) -> None:
    """Write a Click error about wrong usage to stderr as plain text, because it repeats what was typed."""
    if isinstance(error, click.UsageError) and error.ctx is not None:
        error.ctx.color = True  # otherwise Click removes terminal codes before we see them
    words = io.StringIO()
    error.show(words)
    if text := words.getvalue().rstrip("\n"):
        say_lines(text)


class PlainFormatter(logging.Formatter):
    """A log formatter that makes lines and tracebacks safe to show, because they may contain a peer's text."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        return plain_lines(*super().format(record).split("\n"))


def watch_faults() -> None:
    """Make the errors and warnings that Python itself prints safe to show on a terminal (`sys.excepthook`)."""
    sys.excepthook = print_traceback
    threading.excepthook = _print_thread
    if logging.lastResort is not None:
        logging.lastResort.setFormatter(PlainFormatter())


def _print_thread(found: threading.ExceptHookArgs) -> None:
    if found.exc_value is not None and found.exc_type is not SystemExit:
        print_traceback(found.exc_type, found.exc_value, found.exc_traceback)


def print_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> None:
    """Write the traceback of a bug to stderr as plain text (`sys.excepthook`). It may contain a peer's text."""
    say_lines("".join(traceback.format_exception(kind, error, trace)).rstrip("\n"))
