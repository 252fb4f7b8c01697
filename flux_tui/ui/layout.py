"""Which panels are seen at which size: by classes, of which the stylesheet makes a layout."""

from typing import Any

from textual.geometry import Size
from textual.screen import Screen

WIDE, TALL, TWO = 100, 30, 22
"""Columns and rows from which everything fits at once; rows from which two panels do."""
HUGE = 160
"""Columns from which charts are taller."""

PANELS = ("series", "pending", "noes", "retries", "peers", "throughput")
TITLES = ("Series", "Pending", "NO by node", "Retries", "Peers", "Throughput")
SHORT_TITLES = ("Series", "Pending", "NO", "Retries", "Peers", "Rates")


def fit(screen: Screen[Any], size: Size, current: str) -> None:
    """A layout for this size."""
    width, height = size
    whole = width >= WIDE and height >= TALL
    screen.set_class(whole, "-wide")
    screen.set_class(whole, "-tall")
    screen.set_class(whole and width >= HUGE, "-huge")
    screen.set_class(not whole, "-small")
    screen.set_class(not whole and height >= TWO, "-two")
    mark_current(screen, current)


def mark_current(screen: Screen[Any], current: str) -> None:
    """Classes by which the stylesheet shows the current panel where not all fit."""
    for name in PANELS:
        screen.query_one(f"#{name}").set_class(name == current, "-current")
    small = screen.has_class("-small")
    two = screen.has_class("-two") and not screen.has_class("-zoomed")
    right = current in ("pending", "noes", "retries")
    bottom = current in ("peers", "throughput")
    left = current == "series" or (small and two)
    screen.query_one("#right").set_class(right, "-holds-current")
    screen.query_one("#bottom").set_class(bottom, "-holds-current")
    screen.query_one("#left").set_class(small and not left, "-empty-left")
    screen.query_one("#top").set_class(small and not left and not right, "-empty-top")
    for name, holds in (("#left", current == "series"), ("#right", right), ("#bottom", bottom)):
        screen.query_one(name).set_class(not holds, "-no-current")
    screen.query_one("#top").set_class(not (current == "series" or right), "-no-current")
    if small and two and current == "series":
        # Two fit: beside the series, what is wanted.
        screen.query_one("#pending").add_class("-current")
        screen.query_one("#right").add_class("-holds-current")
