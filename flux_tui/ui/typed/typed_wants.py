"""Turns words that a person typed into wants.

A word may be a ticket, a CID, a path inside an object (`CID/a/b.txt`, `ipfs://CID/a`, the address of a gateway), or a
name known in the series.
"""

import os
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import NamedTuple

from flux_tui.core.api.commands import Command, Get, Want
from flux_tui.core.content.object_paths import ObjectPath, parse_object_path
from flux_tui.core.content.ticket import Ticket, ticket_words
from flux_tui.core.ids import BadIdError, Cid, short
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.path_arguments import PathError, exists_at, typed_path
from flux_tui.ui.rows.view_and_lines import HIDDEN, hidden
from flux_tui.ui.typed.part_wanted import PartWanted

MAX_WORDS = 1_000
"""The most words of one prompt. `flux-tui want -` takes any number."""
MAX_FILE_NAME = 255
"""The longest file name in bytes, as in most file systems."""


class Reading(NamedTuple):
    """The result of parsing typed wants: a preview, the errors, and the commands to push."""

    lines: list[Plain]
    """A preview, one line for each word."""
    errors: list[str]
    commands: list[Command | PartWanted]


def read_wants(
    given: Sequence[str],
    state: State,
    folder: Path | None,
    mark: Callable[[], str],
    *,
    into: Path | None = None,
    masked: bool = False,
) -> Reading:
    """Turn words into commands to want or get objects, with a preview and errors.

    The file of a ticket with a name, or of a path, goes to `folder` (None: it no longer exists) under that name. With
    `into`, the file of any word goes to this path. Other objects stay in the store. `mark` returns an id for
    each command. `masked`: the preview shows no path and no id. More than MAX_WORDS words give only an error.
    """
    reading = Reading([], [], [])
    taken: set[Path] = set()
    known = named(state)
    words = object_words(given, known)
    if len(words) > MAX_WORDS:
        many = f"that are {len(words):,} words, and {MAX_WORDS:,} can be pushed at once: "
        return Reading([], [f"{many}`flux-tui want -` takes any number"], [])
    for number, word in enumerate(words, 1):
        try:
            wanted = ObjectPath(Ticket(known[word])) if word in known else parse_object_path(word)
            ticket = wanted.ticket
            if wanted.names:
                ticket = Ticket(ticket.root, wanted.names[-1], None, ticket.addrs)
            path = into or (free(_place(ticket, folder), taken) if ticket.name else None)
        except BadIdError as error:
            which = f"the {ordinal(number)} of {len(words)}: " if len(words) > 1 else ""
            reading.errors.append(which + _instead(word, hidden(str(error)) if masked else str(error)))
            continue
        except PathError as error:
            reading.errors.append(error.unnamed if masked else str(error))
            continue
        if path is not None:
            taken.add(path)
        if wanted.names:
            reading.lines.append(_part_preview(wanted, path, masked=masked))
            reading.commands.append(PartWanted(wanted, path, mark()))
            continue
        reading.lines.append(preview(ticket, path, state, masked=masked))
        if path is not None:
            reading.commands.append(
                Get(ticket.root, str(path), ticket.name, ticket.size, ticket.addrs, mark())
            )
        else:
            reading.commands.append(Want(ticket.root, mark()))
    return reading


def named(state: State) -> dict[str, Cid]:
    """Return the objects of a state by their names. Of several with one name, the one that came first is returned."""
    return {found.name: root for root, found in reversed(state.objects.items()) if found.name}


def object_words(given: Sequence[str], known: Container[str]) -> list[str]:
    """Return the words that stand for objects.

    Names known in the series (`known`) stay as they are. Characters that a paste added to tickets and CIDs
    are removed.
    """
    words: list[str] = []
    pasted: list[str] = []
    for word in given:
        if word in known:
            words += [*ticket_words("\n".join(pasted)), word]
            pasted = []
        else:
            pasted.append(word)
    return words + ticket_words("\n".join(pasted))


def _instead(word: str, sentence: str) -> str:
    """Return the error sentence. If the word is a path, add which command takes paths."""
    return f"{sentence}; `add` shares a path" if word.startswith(("/", "~/", "./", "file:")) else sentence


def _place(ticket: Ticket, folder: Path | None) -> Path:
    """Return the path in `folder` for the file of a ticket.

    If the ticket has no name that a file can have, the name is its CID. Raise PathError if the name is too
    long, or if `folder` is None.
    """
    path = Path((ticket.name or "").replace("\0", ""))
    name = path.name if path.name not in ("", "..") else ticket.root
    if len(os.fsencode(name)) > MAX_FILE_NAME:
        raise PathError("that ticket's name is too long for a file: `:get TICKET -o NAME` gives it another")
    return typed_path(f"./{name}", folder)


def names(state: State) -> list[str]:
    """Return the names of objects that a person can type instead of a CID, sorted."""
    return sorted({found.name for found in state.objects.values() if found.name and " " not in found.name})


def free(path: Path, taken: set[Path]) -> Path:
    """Return a path that is not used yet: `path` itself, or with a number, such as `film-2.mkv`.

    `taken`: paths that will be used. Raise PathError if this node cannot look up whether a file exists there.
    """
    number, candidate = 1, path
    while candidate in taken or exists_at(candidate, follow=False):
        number += 1
        end = f"-{number}{path.suffix}"
        stem = os.fsencode(path.stem)[: MAX_FILE_NAME - len(os.fsencode(end))]
        candidate = path.with_name(stem.decode(errors="ignore") + end)
    return candidate


def _part_preview(wanted: ObjectPath, path: Path | None, *, masked: bool) -> Plain:
    whole = HIDDEN if masked else short(wanted.ticket.root)
    where = f"  → {HIDDEN if masked else path}" if path else ""
    return plain(f"{wanted.names[-1]} · a part of {whole}; folders on its way are fetched first{where}")


def preview(ticket: Ticket, path: Path | None, state: State, *, masked: bool = False) -> Plain:
    """Return the preview line of a want: its name, its size, who has the object, and the path where it will be put.

    `path`: None if it stays in the store. `masked`: show neither id nor path.
    """
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
    return plain(" · ".join(words) + (f"  → {HIDDEN if masked else path}" if path else ""))


def ordinal(number: int) -> str:
    """Return an ordinal number as text: `1st`, `2nd`, `3rd`, `11th`."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"
