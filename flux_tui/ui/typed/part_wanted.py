"""A part of an object that a person wants by its path."""

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from flux_tui.core.api.commands import Command, Get, Want

if TYPE_CHECKING:  # the first frame does not need them
    from flux_tui.core.content.object_paths import ObjectPath
    from flux_tui.core.content.ticket import Ticket


class PartWanted(NamedTuple):
    """A part of an object is wanted. Its CID is known when the folders on its way are here.

    `at`: the path of its file; None: it stays in the store. `by`: the id of the command.
    """

    path: "ObjectPath"
    at: Path | None
    by: str

    def command(self, part: "Ticket") -> Command:
        """Return the command for this part. `part`: its ticket."""
        if self.at is None:
            return Want(part.root, self.by)
        return Get(part.root, str(self.at), self.at.name, part.size, part.addrs, self.by)
