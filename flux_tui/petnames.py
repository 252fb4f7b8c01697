"""Petnames: the names that a person gives to peers, in the home's `names.toml`.

    "12D3KooW…" = "ada"

Each line has the id of one peer and its name. A person may edit the file. When the program changes a name,
the other lines and all comments stay. A person's name for a peer has priority over every other name.
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from typing_extensions import override

from flux_tui.config import SettingsError
from flux_tui.core.ids import BadIdError, PeerId, parse_peer_id
from flux_tui.core.text.names import NOBODY, checked_name
from flux_tui.core.text.plain import plain
from flux_tui.home import Home
from flux_tui.regular_files import read_regular

MAX_FILE = 1 << 20
"""Bytes of a file of names that are read."""
_LINE = r"""\s*["']?([1-9A-HJ-NP-Za-km-z]+)["']?\s*="""
"""A line with a name, and the id that it begins with."""


class PetNames(Mapping[PeerId, str]):
    """Maps peer ids to names: those that a person gave, from a file of one home, else the names of `others`."""

    def __init__(self, home: Home, others: Mapping[PeerId, str] = NOBODY) -> None:
        """Read the names from the home's `names.toml`. A missing file means no names. Raises SettingsError.

        `others`: names from elsewhere, for peers that the person has not named.
        """
        self._path = home.names
        self._others = others
        self._names: dict[PeerId, str] = {}
        self.read()

    @override
    def __getitem__(self, peer: PeerId) -> str:
        return self._names[peer] if peer in self._names else self._others[peer]

    @override
    def __iter__(self) -> Iterator[PeerId]:
        return iter({**self._others, **self._names})

    @override
    def __len__(self) -> int:
        return len({**self._others, **self._names})

    def read(self) -> None:
        """Read the names from the home's `names.toml` again. Raises SettingsError."""
        self._names = parse_names(self._text(), self._path)

    def rename(self, peer: PeerId, name: str) -> str:
        """Give a peer a name, or remove its name if `name` is blank. Return the stored name; empty if it was removed.

        The home's file of names is written: only the line of this peer changes. Raises ValueError if the name is not
        allowed or another peer has it, and SettingsError if the file cannot be changed so. Both have one sentence.
        """
        name = checked_name(name) if name.strip() else ""
        text = self._text()
        names = parse_names(text, self._path)
        other = next((one for one, known in names.items() if known.casefold() == name.casefold()), peer)
        if name and other != peer:
            raise ValueError(f"{name} is the name of another peer")
        changed = with_name(text, peer, name)
        expected = {**names, peer: name} if name else {one: n for one, n in names.items() if one != peer}
        if _names_or_none(changed, self._path) != expected:
            raise SettingsError(f"{self._path} has lines that no program can keep: change the name there")
        self._write(changed)
        self._names = expected
        return name

    def _text(self) -> str:
        try:
            return read_regular(self._path, MAX_FILE).decode()
        except (FileNotFoundError, NotADirectoryError):
            return ""
        except OSError as error:
            raise SettingsError(f"{self._path} cannot be read: {(error.strerror or '').lower()}") from None
        except UnicodeDecodeError:
            raise SettingsError(f"{self._path} is not TOML: it is not UTF-8") from None

    def _write(self, text: str) -> None:
        """Replace the content of `names.toml` in one step, so that no reader sees a half-written file.

        Raises SettingsError.
        """
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(self._path)
        except OSError as error:
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)
            raise SettingsError(f"{self._path} cannot be written: {(error.strerror or '').lower()}") from None


def parse_names(text: str, path: Path) -> dict[PeerId, str]:
    """Return the names in the text of a file of petnames. Blank names are left out.

    Raises SettingsError, which says `path` and what is wrong there.
    """
    import tomllib  # takes 2 ms: only if there is a file

    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
    names: dict[PeerId, str] = {}
    for key, name in values.items():
        try:
            peer = parse_peer_id(key)
        except BadIdError as error:
            raise SettingsError(f"{path}: {error}") from None
        if not isinstance(name, str):
            raise SettingsError(f"{path}: {plain(key)} is {name!r}, expected a name")
        if name.strip():
            names[peer] = plain(name.strip())
    return names


def with_name(text: str, peer: PeerId, name: str) -> str:
    """Return the text of a file of petnames, changed so that `peer` has `name`.

    If the peer has no line yet, one is added at the end. An empty name removes the peer's line.
    """
    import json  # takes 1 ms: the dashboard's first frame does not wait for it

    mine = f"{json.dumps(peer)} = {json.dumps(name, ensure_ascii=False)}\n" if name else ""
    lines: list[str] = []
    for line in text.removesuffix("\n").split("\n") if text else []:
        found = re.match(_LINE, line)
        if found is None or found[1] != peer:
            lines.append(f"{line}\n")
        elif mine:
            lines.append(mine)
            mine = ""
    return "".join([*lines, mine])


def _names_or_none(text: str, path: Path) -> dict[PeerId, str] | None:
    try:
        return parse_names(text, path)
    except SettingsError:
        return None
