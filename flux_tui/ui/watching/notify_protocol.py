"""The type of the function with which a part of the dashboard shows a notice to the person."""

from typing import Literal, Protocol


class Notify(Protocol):
    """A function that shows a notice. The notice replaces the one before."""

    def __call__(
        self,
        message: str,
        *,
        severity: Literal["information", "warning", "error"] = "information",
        timeout: float | None = None,
    ) -> None:
        """Show `message` for `timeout` seconds (None: as long as Textual shows notices)."""
