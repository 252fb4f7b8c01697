"""Patterns that choose parts of a folder, as `get --only` takes them.

    *.jpg           a name anywhere in the folder
    2024/*.jpg      a path from the top of the folder
    **/thumbs       `**`: any number of folders, also none

`*`, `?` and `[…]` match within one name only, as in a shell. A folder that a pattern matches is taken whole.
"""

import re
from collections.abc import Sequence
from fnmatch import translate


class Selection:
    """Which paths of a folder some patterns choose. Raises ValueError for a pattern that can match nothing."""

    def __init__(self, patterns: Sequence[str]) -> None:
        self._patterns = [_parse(pattern) for pattern in patterns]

    def takes(self, names: Sequence[str]) -> bool:
        """Whether a pattern matches the path of these names, which begins at the top of the folder."""
        return any(_matches(pattern, names) for pattern in self._patterns)

    def may_be_below(self, names: Sequence[str]) -> bool:
        """Whether a pattern could match something below the folder at this path."""
        return any(_may_go_on(pattern, names) for pattern in self._patterns)


_Part = re.Pattern[str] | None
"""None stands for `**`."""


def _parse(pattern: str) -> list[_Part]:
    parts = [part for part in pattern.split("/") if part not in ("", ".")]
    if not parts or ".." in parts:
        raise ValueError(f"{pattern!r} is not a pattern of names in a folder")
    if "/" not in pattern.strip("/") and not pattern.startswith("/"):
        parts.insert(0, "**")
    found: list[_Part] = []
    for part in parts:
        if part != "**":
            found.append(re.compile(translate(part)))
        elif not found or found[-1] is not None:
            found.append(None)
    return found


def _matches(pattern: Sequence[_Part], names: Sequence[str]) -> bool:
    """Match names one by one against the set of places in the pattern that they may stand at."""
    return len(pattern) in _places(pattern, names)


def _may_go_on(pattern: Sequence[_Part], names: Sequence[str]) -> bool:
    return any(place < len(pattern) for place in _places(pattern, names))


def _places(pattern: Sequence[_Part], names: Sequence[str]) -> set[int]:
    """Return how many parts of the pattern may have been used up by all of these names."""
    places = _skipping(pattern, {0})
    for name in names:
        after: set[int] = set()
        for place in places:
            if place == len(pattern):
                continue
            part = pattern[place]
            if part is None:
                after.add(place)
            elif part.match(name):
                after.add(place + 1)
        places = _skipping(pattern, after)
    return places


def _skipping(pattern: Sequence[_Part], places: set[int]) -> set[int]:
    """Add the places after each `**`, which may stand for no folder at all."""
    return places | {place + 1 for place in places if place < len(pattern) and pattern[place] is None}
