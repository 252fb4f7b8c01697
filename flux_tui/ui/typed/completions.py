"""Completes the last word of a command line: paths, filters, names of objects.

Pure, except that paths are looked up.
"""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import EVENT_KINDS, REASONS
from flux_tui.core.series.state import State
from flux_tui.path_arguments import typed_path
from flux_tui.ui.series.filter import FIELDS
from flux_tui.ui.typed.command_line_types import Context


def among(choices: Callable[[Context], Sequence[str]]) -> Callable[[str, Context], list[str]]:
    """Return a function that completes a word: it returns those of the choices that begin with the typed word.

    `choices` returns all words that are possible.
    """
    return lambda last, context: [choice for choice in choices(context) if choice.startswith(last)]


def paths(last: str, context: Context) -> list[str]:
    """Return paths that begin with the typed text.

    Folders end in a slash. Hidden files are included only if the typed name begins with a dot.
    """
    try:
        at = typed_path(last or "./", context.folder)
        folder, start = (at, "") if not last or last.endswith("/") else (at.parent, at.name)
        with os.scandir(folder) as entries:
            children = sorted(
                (entry.name, _is_folder(entry)) for entry in entries if entry.name.startswith(start)
            )
    except (OSError, ValueError):
        return []
    head = last[: len(last) - len(start)] if start else last
    return [
        head + name + ("/" if is_folder else "")
        for name, is_folder in children
        if start.startswith(".") or not name.startswith(".")
    ]


def _is_folder(entry: "os.DirEntry[str]") -> bool:
    try:
        return entry.is_dir()
    except OSError:
        return False  # a link to something that this user may not read


def filters(last: str, context: Context) -> list[str]:
    """Return the fields of a filter, such as `kind:`, that begin with the typed word.

    Once the word has a colon, return terms with values of that field, such as `kind:status_no`.
    """
    sign = "!" if last.startswith("!") else ""
    word = last.removeprefix("!")
    field, colon, value = word.partition(":")
    if not colon:
        return [f"{sign}{name}:" for name in FIELDS if name.startswith(word)]
    choices: Sequence[str] = ()
    match field:
        case "kind":
            choices = EVENT_KINDS
        case "reason":
            choices = REASONS
        case "peer":
            choices = [context.called.get(peer, peer) for peer in context.state.peers]
        case "cid":
            choices = list(context.state.objects)
    return [f"{sign}{field}:{choice}" for choice in choices if choice.startswith(value)]


def pending(context: Context) -> list[str]:
    """Return the names or CIDs of all pending wants, as a person can type them."""
    return called(context, context.state.pending)


def called(context: Context, cids: Iterable[Cid]) -> list[str]:
    """Return how a person can type these objects: by name, or by CID if the name is missing or has a space in it."""
    objects = context.state.objects
    return [
        found.name if (found := objects.get(cid)) and found.name and " " not in found.name else cid
        for cid in cids
    ]


def suggestion(state: State, called: Mapping[PeerId, str], peer: PeerId) -> str:
    """Return the name that a peer without a name suggests for itself.

    Empty: it suggests none, or another peer has that name already. `called`: the names of peers.
    """
    found = state.peers.get(peer)
    if found is None or peer in called:
        return ""
    taken = {name.casefold() for name in called.values()}
    return "" if found.suggested.casefold() in taken else found.suggested
