"""Types of the command line: its context, its outcome, and the commands that a line can begin with."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.api.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import State


class LineError(ValueError):
    """The error in a line, as one sentence."""


class Outcome(NamedTuple):
    """The outcome of a line: it pushes commands, runs an action, or changes a setting of the dashboard."""

    commands: Sequence[Command] = ()
    done: str = ""
    """The message to show after the commands are pushed."""
    action: str = ""
    """The name of the action to run."""
    setting: str = ""
    """`filter`, `goto`, `theme`, `speed`, `sort` or `panel`: the setting that takes `argument`."""
    argument: str = ""
    named: PeerId | None = None
    """The peer that gets `argument` as its name. None: no peer does."""


class Context(NamedTuple):
    """Everything that a line may name."""

    state: State
    folder: Path | None
    """The folder for relative paths. None: the folder is gone."""
    mark: Callable[[], str]
    themes: Sequence[str] = ()
    panels: Sequence[str] = ()
    columns: Sequence[str] = ()
    called: Mapping[PeerId, str] = {}
    """Names of peers."""
    forms: Mapping[PeerId, str] = {}
    """How each peer is shown."""
    selected: PeerId | None = None
    """The peer that is selected."""


class Word(NamedTuple):
    """A command: the first word of a line."""

    usage: str
    help: str
    run: Callable[[list[str], Context], Outcome]
    complete: Callable[[str, Context], list[str]]
    """Returns completions of the last word, as whole words."""
    whole: bool = False
    """Whether the rest of the line is one argument with its spaces."""
