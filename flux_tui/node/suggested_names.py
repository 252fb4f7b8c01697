"""The names that nodes suggest for themselves by their agent version: this node's own, and those of peers."""

import socket

from flux_tui.core.api.inputs import NameSuggested
from flux_tui.core.ids import PeerId
from flux_tui.core.limits import BoundedTable, TokenBuckets
from flux_tui.core.text.agent_versions import checked_suggestion, suggested_name
from flux_tui.core.text.names import MAX_NAME

HOSTNAME = "hostname"
"""The setting that stands for the name of this machine."""
NO_NAMES = ("localhost", "localhost6")
"""Names of a machine that has no name."""
TOLD_BURST, TOLD_RATE = 8.0, 0.1
"""Agent versions of one peer that are read, at once and per second in the long run."""
MAX_TELLERS = 1024


def own_name(setting: str) -> str:
    """Return the name that this node suggests; empty: none. `setting`: the value of `suggest_name`.

    The setting `hostname` stands for this machine's host name, without its domain. A host name that says
    nothing or is not a valid name counts as none. Any other setting is returned unchanged.
    """
    if setting != HOSTNAME:
        return setting
    name = socket.gethostname().partition(".")[0]
    try:
        return "" if name in NO_NAMES else checked_suggestion(name[:MAX_NAME])
    except ValueError:
        return ""


class SuggestedNames:
    """Reads the agent versions of peers, and makes inputs for the machine from the names in them.

    A peer tells its agent version once for each connection. Its push link may come up later, or may be renewed on the
    same connection. So the last name of each peer is remembered.
    """

    def __init__(self) -> None:
        self._names: BoundedTable[PeerId, str] = BoundedTable(MAX_TELLERS, refresh=True)
        self._buckets: TokenBuckets[PeerId] = TokenBuckets(MAX_TELLERS, TOLD_BURST, TOLD_RATE)
        self._linked: set[PeerId] = set()

    def told(self, peer: PeerId, agent_version: str, now: float) -> tuple[NameSuggested, ...]:
        """Read a peer's agent version, and remember the name in it.

        Returns the input for the machine; empty if the peer has no link now. If a peer tells too often,
        nothing is remembered and nothing returned.
        """
        if not self._buckets.of(peer, now).spend(1, now):
            return ()
        self._names[peer] = suggested_name(agent_version)
        return self._inputs(peer)

    def connected(self, peer: PeerId) -> tuple[NameSuggested, ...]:
        """Note that the link to a peer is up.

        Returns the input with the name that the peer told before; empty if it told none.
        """
        self._linked.add(peer)
        return self._inputs(peer)

    def disconnected(self, peer: PeerId) -> None:
        """Note that the link to a peer has ended."""
        self._linked.discard(peer)

    def _inputs(self, peer: PeerId) -> tuple[NameSuggested, ...]:
        if peer not in self._linked or peer not in self._names:
            return ()
        return (NameSuggested(peer=peer, name=self._names[peer]),)
