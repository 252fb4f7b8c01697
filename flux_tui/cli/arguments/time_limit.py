"""`--timeout` and `--keep`: how long a command waits for what it wants, and what becomes of its wants after that."""

import time
from collections.abc import Callable
from math import inf, isnan
from typing import Any, NamedTuple, TypeVar

import click
from typing_extensions import override

from flux_tui.cli.no_progress_words import unheard
from flux_tui.cli.output import Failure, is_for_programs, print_json
from flux_tui.core.ids import Cid
from flux_tui.core.series.state import State
from flux_tui.core.series.want_explanation import why as explain
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.why import why_sentence, why_words
from flux_tui.petnames import PetNames

F = TypeVar("F", bound=Callable[..., Any])


class Patience(NamedTuple):
    """How long a command waits for what it wants."""

    deadline: float = inf
    """Seconds of the monotonic clock."""
    keep: bool = False
    """Whether its wants stay with the node when it ends early."""

    @property
    def over(self) -> bool:
        """Whether the time is over."""
        return time.monotonic() >= self.deadline


WITHOUT_END = Patience()


def patience(seconds: float | None, *, keep: bool = False) -> Patience:
    """Return the patience that begins now. `seconds`: None: without end. `keep`: the wants stay with the node."""
    return Patience(inf if seconds is None else time.monotonic() + seconds, keep)


class SecondsType(click.FloatRange):
    """A time of an option, in seconds from 0. `nan` is refused: a wait for it would never end."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        seconds = super().convert(value, param, ctx)
        if isnan(seconds):
            self.fail(f"{value!r} is not a number of seconds.", param, ctx)
        return seconds


def timeout_option(command: F) -> F:
    """Decorator: add the option `--timeout`."""
    return click.option(
        "--timeout", type=SecondsType(min=0), default=None, metavar="SECONDS", help="Fail after so many seconds,"
        " and say why it is not here, as `why` does. The wants are taken back.",
    )(command)  # fmt: skip


def wait_option(what: str) -> Callable[[F], F]:
    """Return a decorator that adds the option `--wait`. `what`: what the command waits for, as its help says it."""
    return click.option(
        "--wait", is_flag=True, help=f"Wait until {what}. With --timeout, this need not be said."
    )


def keep_option(command: F) -> F:
    """Decorator: add the option `--keep`."""
    return click.option(
        "--keep", is_flag=True, help="When this command is interrupted or ended, or its time is over, leave its wants"
        " with the node: the node goes on fetching.",
    )(command)  # fmt: skip


def late(
    state: State, cid: Cid, called: PetNames, name: str | None = None, *, as_json: bool = False
) -> Failure:
    """Return the Failure of a want whose time is over: the sentence of `why`.

    `name`: what the object is called. `as_json`: also print a line with the event `timeout` for a program.
    """
    if cid not in state.pending:
        text = f"{name or cid} is not here in time: the node has not taken the want yet"
        if as_json:
            print_json({"event": "timeout", "cid": cid, "text": text})
        return Failure(text)
    now = time.time()
    told = explain(state, cid, now)
    text = str(why_sentence(why_words(told, StateNames(state, called, whole=is_for_programs()), now)))
    text = "; ".join(part for part in (text, unheard(state)) if part)
    if as_json:
        print_json({"event": "timeout", "cid": cid, "text": text, "why": told.as_json()})
    return Failure(text)
