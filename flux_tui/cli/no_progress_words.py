"""The words by which `get` says why a fetch makes no progress, and when the node tries again."""

from flux_tui.core.content.ticket import Ticket
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.next_try import Tries, why_waiting
from flux_tui.core.series.state import State
from flux_tui.core.text.names import NO_NAMES, Names, short_addr
from flux_tui.core.text.phrases import reason_first
from flux_tui.core.text.quantities import human_seconds

REDIAL_SECONDS = 30.0
"""The most seconds between two tries to dial an address (net/flux/libp2p_network.py)."""


class Dials:
    """Learns from the series whether the addresses in a ticket answered when the node dialled them."""

    def __init__(self, ticket: Ticket) -> None:
        self._addrs = ticket.addrs
        self.failed: str | None = None
        """Why the last failed address did not answer. None once one answers."""

    def see(self, entry: Entry) -> None:
        """If this entry says that an address of the ticket answered or did not answer, note that in `failed`."""
        match entry.event:
            case ev.ErrorOccurred(addr=addr) if addr is not None and addr in self._addrs:
                self.failed = reason_first(entry.event.text, addr).replace(addr, short_addr(addr))
            case ev.PeerConnected(peer=peer) if any(addr.endswith(f"/p2p/{peer}") for addr in self._addrs):
                self.failed = None
            case _:
                pass


def unheard(state: State) -> str:
    """Return why an address that this node dialled does not answer as a peer. Empty: a peer is connected, or none was.

    It is known of addresses that no ticket has, too: those of --join.
    """
    if state.connected:
        return ""
    tried = next((one for one in state.tried if one.why), None)
    return f"{short_addr(tried.addr)} {tried.why}" if tried is not None else ""


def waiting_for(
    state: State, ticket: Ticket, now: float, unreachable: str | None = None, names: Names = NO_NAMES
) -> str:
    """Return in words what a fetch waits for: the peers that send chunks now, or why none does.

    Returns an empty string if the object is not wanted.
    `unreachable`: why the ticket's addresses do not answer, if they do not. `names`: the names of peers.
    """
    pending = state.pending.get(ticket.root)
    if pending is None:
        return ""
    tries = Tries(state, now)
    one = tries.next_of(pending)
    again = f", next try in {human_seconds(one.at - now)}" if one is not None else ""
    if pending.cause == "unwritten":
        return f"it could not be written here{again}"
    senders = {lease.peer for lease in state.leases.values() if lease.root == ticket.root}
    if senders:
        return f"from {len(senders)} peers" if len(senders) > 1 else f"from {names.peer(next(iter(senders)))}"
    if not state.connected and unreachable is not None:
        return f"{unreachable}; dialled again within {human_seconds(REDIAL_SECONDS)}"
    if not state.connected and (why_unheard := unheard(state)):
        return f"no peer is connected: {why_unheard}"
    if not state.connected:
        return "no peer is connected yet" if ticket.addrs else "no peer is connected: use a ticket, or --join"
    if pending.queued:
        return f"waits for room: {state.max_pending} intents are out"
    why = why_waiting(state, pending, one, tries)
    of = f": {names.peer(why.peer)}" if why.peer is not None else f": {why.peers} peers" if why.peers else ""
    match why.reason:
        case "yes":
            return f"{why.peers} said yes, none sends now{again}"
        case "gone" if why.peers > 1:
            return f"its {why.peers} holders are gone{again}"
        case "unanswered":
            return f"nobody has answered yet{again}"
        case "unwritten":
            return f"it could not be written here{again}"
        case reason:
            return f"{reason}{again}{of}"
