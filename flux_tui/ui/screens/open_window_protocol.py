"""The type of the function with which a part of the dashboard opens a window over the panels."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from textual.screen import Screen

Answer = TypeVar("Answer")


class OpenWindow(Protocol):
    """A function that opens a window.

    When the window closes, `then` gets its answer, or None if there is none.
    """

    def __call__(self, window: Screen[Answer], then: Callable[[Answer | None], None]) -> None:
        """Open `window` over the panels and other windows.

        When it closes, call `then` with its answer, or None.
        """
