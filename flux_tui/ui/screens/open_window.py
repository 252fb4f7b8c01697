"""How a part of the dashboard opens a window over the panels."""

from collections.abc import Callable
from typing import Protocol, TypeVar

from textual.screen import Screen

Answer = TypeVar("Answer")


class OpenWindow(Protocol):
    """Opens a window. When it closes, `then` gets its answer. None: it was closed without one."""

    def __call__(self, window: Screen[Answer], then: Callable[[Answer | None], None]) -> None:
        """Open `window` over what is open now."""
