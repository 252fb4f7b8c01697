"""What typed words stand for as intents: tickets, CIDs, and names that the series knows."""

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.commands import Command, Get, Want
from flux_tui.core.ids import BadIdError, Cid
from flux_tui.core.state import State
from flux_tui.core.ticket import Ticket, parse_ticket
from flux_tui.core.words import counted, human_size
from flux_tui.ui.view import HIDDEN, hidden


class Reading(NamedTuple):
    """What was typed, as understood."""

    lines: list[str]
    """A preview, a line for each."""
    errors: list[str]
    commands: list[Command]


def read_wants(
    text: str,
    state: State,
    folder: Path,
    mark: Callable[[], str],
    *,
    into: Path | None = None,
    masked: bool = False,
) -> Reading:
    """Files of tickets go to `folder` under their own name, or to `into`. `masked`: the preview tells no path and
    no id."""
    found = Reading([], [], [])
    taken: set[Path] = set()
    words = text.split()
    for number, word in enumerate(words, 1):
        known = by_name(word, state)
        try:
            ticket = Ticket(known) if known is not None else parse_ticket(word)
        except BadIdError as error:
            which = f"the {ordinal(number)} of {len(words)}: " if len(words) > 1 else ""
            found.errors.append(which + (hidden(str(error)) if masked else str(error)))
            continue
        path = into or (free(folder / Path(ticket.name).name, taken) if ticket.name else None)
        if path is not None:
            taken.add(path)
        found.lines.append(preview(ticket, path, state, masked=masked))
        if path is not None:
            found.commands.append(Get(ticket.root, str(path), ticket.name, ticket.size, ticket.addrs, mark()))
        else:
            found.commands.append(Want(ticket.root, mark()))
    return found


def by_name(word: str, state: State) -> Cid | None:
    """An object that the series names."""
    return next((root for root, found in state.objects.items() if found.name == word), None)


def names(state: State) -> list[str]:
    """Names that can be typed instead of a CID."""
    return sorted({found.name for found in state.objects.values() if found.name and " " not in found.name})


def free(path: Path, taken: set[Path]) -> Path:
    """A name that nothing has yet: `film.mkv`, else `film-2.mkv`, and so on."""
    number, candidate = 1, path
    while candidate in taken or candidate.exists():
        number += 1
        candidate = path.with_stem(f"{path.stem}-{number}")
    return candidate


def preview(ticket: Ticket, path: Path | None, state: State, *, masked: bool = False) -> str:
    """Name, size, who has it, and where it goes."""
    known = state.objects.get(ticket.root)
    name = ticket.name or (known.name if known else None) or (HIDDEN if masked else ticket.root)
    size = ticket.size if ticket.size is not None else known.size if known else None
    words = [name, human_size(size) if size is not None else "size not known yet"]
    pending = state.pending.get(ticket.root)
    if known is not None and known.completed_at is not None:
        words.append("is here already")
    elif pending is not None:
        words.append("is pending already")
    if ticket.addrs:
        words.append(counted(len(ticket.addrs), "address", "addresses"))
    elif pending is not None and pending.holders:
        words.append(counted(pending.holders, "holder"))
    else:
        words.append("from whoever has it")
    return " · ".join(words) + (f"  → {HIDDEN if masked else path}" if path else "")


def ordinal(number: int) -> str:
    """`1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
