"""The nodes that a dashboard shows.

Each is known by its series, which a node still writes or which is a recording.
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from flux_tui.core.api.commands import Command
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import State
from flux_tui.ui.series.cursor import Source

if TYPE_CHECKING:  # the first frame does not need them
    from flux_tui.core.content.object_paths import ObjectPath
    from flux_tui.core.content.ticket import Ticket


class WatchedNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node or recording to show: its series, and functions with which a person can command, start or rename."""

    title: str
    source: Source
    push: Callable[[Command], None] | None = None
    """Pushes a command into the node. None: this is a recording."""
    alive: Callable[[], bool] = lambda: False
    """Whether the node runs now."""
    restart: Callable[[], None] | None = None
    """Starts the node again, and returns at once. The outcome is in `trouble` or in the series."""
    starting: Callable[[], bool] = lambda: False
    """Whether the node is being started now."""
    opening: Callable[[], tuple[int, int] | None] = lambda: None
    """Returns how many entries a node that is starting has read, and how many there are. None: it reads few."""
    ends: Callable[[], bool] = lambda: False
    """Whether the node stops when a person leaves the dashboard, because the dashboard started it."""
    trouble: Callable[[], str | None] = lambda: None
    """Returns one sentence about a problem of the node. None: there is no problem."""
    index: Path | None = None
    """The home's database, whose chunk index has the names of an object's files. None: nothing has them."""
    find_part: "Callable[[ObjectPath], Ticket] | None" = None
    """Returns the ticket of a part of an object. Folders on its way are fetched, so it may take a minute. Raises an
    exception with one sentence. None: nothing is found."""
    names: Mapping[PeerId, str] = msgspec.field(default_factory=dict)
    """Names of peers, where they are known. More may come. Other peers are shown by id."""
    rename: Callable[[PeerId, str], str] | None = None
    """Gives a peer a name in `names`, or takes it away if it is empty, and returns the name as it is kept. Raises
    an exception with one sentence. None: these names cannot be changed."""

    @property
    def recording(self) -> bool:
        """Whether this is a recording: a series that no node writes any more."""
        return self.push is None


class Nodes:
    """All nodes of one dashboard, one of which is shown."""

    def __init__(self, shown: WatchedNode, others: Sequence[WatchedNode] = ()) -> None:
        self.all = (shown, *others)
        self._shown = shown

    @property
    def shown(self) -> WatchedNode:
        """The node that the dashboard shows now."""
        return self._shown

    @property
    def source(self) -> Source:
        """The series of the shown node, with its cursor."""
        return self._shown.source

    @property
    def state(self) -> State:
        """The state of the shown node at the cursor."""
        return self._shown.source.state

    def show(self, title: str) -> bool:
        """Show the node with this title. Return whether the shown node has changed.

        False: it was shown already, or there is no node with this title.
        """
        found = next((node for node in self.all if node.title == title), None)
        if found is None or found is self._shown:
            return False
        self._shown = found
        return True

    @property
    def beside(self) -> tuple[WatchedNode, ...]:
        """All other recordings of this dashboard. Empty: the shown node is not a recording."""
        if not self._shown.recording:
            return ()
        return tuple(node for node in self.all if node is not self._shown and node.recording)

    def after(self) -> WatchedNode | None:
        """Return the node after the shown one; after the last comes the first. None: there is only one node."""
        if len(self.all) == 1:
            return None
        return self.all[(self.all.index(self._shown) + 1) % len(self.all)]
