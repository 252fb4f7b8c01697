"""The types of the command line: what it may name, what it asks for, and the commands with which it can begin."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.api.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import State
from flux_tui.ui.typed.part_wanted import PartWanted


class LineError(ValueError):
    """A typed line has an error, which is explained in one sentence."""


class Outcome(NamedTuple):
    """The effect of a typed line: commands to push, an action to run, or a setting of the dashboard to change."""

    commands: Sequence[Command | PartWanted] = ()
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
    """Everything that a typed line may name: the state's objects and peers, themes, panels, columns and so on."""

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
    """The text that stands for each peer on the screen."""
    selected: PeerId | None = None
    """The peer that is selected."""


class Word(NamedTuple):
    """A command of the command line, such as `want`: its help, and how it is run and completed."""

    usage: str
    help: str
    run: Callable[[list[str], Context], Outcome]
    complete: Callable[[str, Context], list[str]]
    """Returns completions of the last word, as whole words."""
    whole: bool = False
    """Whether the rest of the line is one argument with its spaces."""
