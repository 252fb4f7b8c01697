"""How a part of the dashboard tells the person something."""

from typing import Literal, Protocol


class Notify(Protocol):
    """Shows a notice instead of the one before it."""

    def __call__(
        self,
        message: str,
        *,
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
    ) -> None:
        """Show `message` for `timeout` seconds (None: as long as Textual shows notices)."""
