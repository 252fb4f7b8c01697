"""Wording that the descriptions of all families share: names, and phrases for lists of chunks and for a NO."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.text.names import Names
from flux_tui.core.text.quantities import counted, human_seconds


class Wording:
    """Words for one description.

    `names`: the names of objects and peers; `brief`: whether few words are wanted.
    """

    __slots__ = ("brief", "names")

    def __init__(self, names: Names, brief: bool) -> None:
        self.names = names
        self.brief = brief

    def what(self, cids: tuple[Cid, ...]) -> str:
        """Name the first of these objects or chunks, and say how many more there are."""
        if not cids:
            return "nothing"
        first = self.names.name(cids[0])
        return first if len(cids) == 1 else f"{first} and {len(cids) - 1:,} more"

    def blocks(self, cids: tuple[Cid, ...], roots: tuple[Cid, ...]) -> str:
        """Count chunks, and name the objects that contain them if they are known."""
        return counted(len(cids), "chunk") + (f" of {self.what(roots)}" if roots else "")

    def peers(self, verb: str, peers: tuple[PeerId, ...], nobody: str, *, many: str) -> str:
        """Say to whom something was pushed: one peer by its name, several by their number."""
        if not peers:
            return nobody
        return f"{verb} {self.names.peer(peers[0]) if len(peers) == 1 else many}"

    def no(self, reason: Reason, retry_after: float | None, about: str) -> str:
        """Write a NO: the reason, when to ask again, and what it is about."""
        if retry_after is None:
            return f"{reason}: {about}, waiting will not help"
        again = human_seconds(retry_after)
        return f"{reason} {again}: {about}" if self.brief else f"{reason}, again in {again}: {about}"
