"""Phrases that all descriptions of events share: names, lists of chunks, and a NO."""

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import Reason
from flux_tui.core.text.names import Names
from flux_tui.core.text.quantities import counted, human_seconds


class Wording:
    """Makes the phrases for one description.

    `names`: the names of objects and peers. `brief`: whether to use few words.
    """

    __slots__ = ("brief", "names")

    def __init__(self, names: Names, brief: bool) -> None:
        self.names = names
        self.brief = brief

    def what(self, cids: tuple[Cid, ...]) -> str:
        """Return the name of the first object or chunk, and how many more there are; `nothing` if there are none."""
        if not cids:
            return "nothing"
        first = self.names.name(cids[0])
        return first if len(cids) == 1 else f"{first} and {len(cids) - 1:,} more"

    def blocks(self, cids: tuple[Cid, ...], roots: tuple[Cid, ...]) -> str:
        """Return the number of chunks, and the objects that contain them if these are known."""
        return counted(len(cids), "chunk") + (f" of {self.what(roots)}" if roots else "")

    def peers(self, verb: str, peers: tuple[PeerId, ...], nobody: str, *, many: str) -> str:
        """Say to whom something was pushed: `verb` and the name of the only peer, or `verb` and `many`.

        Without peers, return `nobody`.
        """
        if not peers:
            return nobody
        return f"{verb} {self.names.peer(peers[0]) if len(peers) == 1 else many}"

    def no(self, reason: Reason, retry_after: float | None, about: str) -> str:
        """Describe a NO: its reason, when the peer may be asked again, and what it is about (`about`).

        `retry_after`: seconds until then; None: waiting will not help, and the words say so.
        """
        if retry_after is None:
            return f"{reason}: {about}, waiting will not help"
        again = human_seconds(retry_after)
        return f"{reason} {again}: {about}" if self.brief else f"{reason}, again in {again}: {about}"
