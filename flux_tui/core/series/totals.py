"""The totals of a series: counts that only grow. Part of the state.

A table of peers forgets, so no counter for Prometheus can be read from it (metrics/families.py).
"""

import msgspec

from flux_tui.core.vocabulary import LapseCause, Reason


class Totals(msgspec.Struct):
    """Counts of everything that ever happened in a series. They only grow, whatever peers are forgotten.

    The same counts by peer are in `PeerState`; those go when the peer is forgotten.
    """

    chunks_in: int = 0
    """Chunks that came and were of use."""
    chunks_wasted: int = 0
    """Chunks that came and were of no use."""
    chunks_out: int = 0
    noes_in: dict[Reason, int] = {}
    """NOs that peers gave to this node."""
    noes_out: dict[Reason, int] = {}
    """NOs that this node gave to peers."""
    yes_in: int = 0
    """Answers with yes to this node's wants."""
    yes_out: int = 0
    """Wants of peers that this node answered with yes."""
    pushes: int = 0
    """Intents with wants that this node pushed."""
    retries: int = 0
    """Those of them that wanted something again."""
    granted: int = 0
    """Chunks that this node told a holder to send."""
    lapsed: dict[LapseCause, int] = {}
    """Granted chunks that did not come, by cause."""
    connects: int = 0
    """Times that a peer connected."""
    faults: int = 0
    """Times that a peer broke the protocol."""
