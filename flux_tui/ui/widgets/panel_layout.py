"""Chooses which panels are visible at a size of the terminal.

It sets CSS classes, from which the stylesheet makes the layout.
"""

from typing import Any

from textual.dom import DOMNode
from textual.geometry import Size
from textual.screen import Screen

WIDE, TALL, TWO = 100, 30, 22
"""From 100 columns and 30 rows, all panels fit at once. From 22 rows, two panels fit."""
HUGE = 160
"""From this many columns, charts are taller."""

BESIDE = ("series", "pending", "noes", "retries", "peers", "throughput")
"""The panels that are on the screen together, where there is room."""
OVER = ("flow", "objects")
"""The panels that take the place of Series, Pending, NO by node and Retries while one of them is current."""
PANELS = (*BESIDE, *OVER)
TITLES = ("Series", "Pending", "NO by node", "Retries", "Peers", "Throughput", "Flow", "Objects")
SHORT_TITLES = ("Series", "Pending", "NO", "Retries", "Peers", "Rates", "Flow", "Objects")
SHORTEST_TITLES = ("Series", "Pend", "NO", "Retry", "Peers", "Rate", "Flow", "Obj")

SCREEN = ""
"""The key under which `shape` returns the classes of the screen itself."""
_OF_SCREEN = ("-wide", "-tall", "-huge", "-small", "-two")
_OF_PARTS = ("-current", "-holds-current", "-no-current", "-empty-left", "-empty-top", "-covered")


def shape(size: Size, current: str, *, zoomed: bool = False) -> dict[str, set[str]]:
    """Return the CSS classes of the screen and of each widget, by id, for this terminal size and current panel.

    By these classes, the stylesheet shows only some panels where not all fit. `zoomed`: the current panel
    takes the whole screen.
    """
    width, height = size
    whole = width >= WIDE and height >= TALL
    over = current in OVER
    small, two = not whole, not whole and height >= TWO and not zoomed and not over
    parts = (SCREEN, *PANELS, "left", "right", "over", "top", "bottom")
    found: dict[str, set[str]] = {name: set() for name in parts}

    def mark(name: str, value: str, when: bool) -> None:
        if when:
            found[name].add(value)

    for value in ("-wide", "-tall"):
        mark(SCREEN, value, whole)
    mark(SCREEN, "-huge", whole and width >= HUGE)
    mark(SCREEN, "-small", small)
    mark(SCREEN, "-two", small and height >= TWO and not over)
    series = current == "series"
    right = current in ("pending", "noes", "retries")
    bottom = current in ("peers", "throughput")
    beside = two and series  # where two panels fit, Pending is shown beside Series
    found[current].add("-current")
    mark("pending", "-current", beside)
    mark("right", "-holds-current", right or beside)
    mark("bottom", "-holds-current", bottom)
    left = series or two
    mark("left", "-empty-left", small and not left)
    mark("top", "-empty-top", small and not left and not right and not over)
    mark("over", "-holds-current", over)
    mark("left", "-covered", over)
    mark("right", "-covered", over)
    mark("left", "-no-current", not series)
    mark("right", "-no-current", not right)
    mark("over", "-no-current", not over)
    mark("bottom", "-no-current", not bottom)
    mark("top", "-no-current", not (series or right or over))
    return found


def fit(screen: Screen[Any], size: Size, current: str) -> None:
    """Set the CSS classes of the screen and its widgets for this terminal size and current panel.

    Classes that stay the same are not set again, because each change restyles all widgets below.
    """
    for name, wanted in shape(size, current, zoomed=screen.has_class("-zoomed")).items():
        part: DOMNode = screen.query_one(f"#{name}") if name else screen
        ours = part.classes & {*_OF_SCREEN, *_OF_PARTS}
        if ours != wanted:
            part.remove_class(*ours - wanted)
            part.add_class(*wanted - ours)
