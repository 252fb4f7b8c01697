"""The next steps for a person whose node has never had a peer: share, fetch or join. Pure.

Once an object is shared, these lines say what to type on the other machine. They disappear for good as soon
as a peer was seen. A recording and a narrated demo never show them.
"""

from flux_tui.core.series.state import ObjectState, State
from flux_tui.core.text.names import short_addr
from flux_tui.core.text.plain import plain
from flux_tui.ui.keys import Keys, action_named
from flux_tui.ui.rows.cell_width import fit
from flux_tui.ui.rows.view_and_lines import HIDDEN, Line, View, cut, span

TICKET_LINES = 4
"""The most lines for a ticket, which can be selected by mouse. A longer one can only be copied."""
TRIED_LINES = 3
"""The most addresses that were dialled in vain, and are named."""
SHORT = 40
"""Columns for the shortened form of a longer ticket."""
INDENT = 3


def ticket_of(state: State, found: ObjectState) -> str:
    """Return the ticket with which others can fetch an object from this node.

    It has the object's size only if the object is whole.
    """
    # With msgpack and the rules about addresses: the first frame has no ticket.
    from flux_tui.core.content.ticket import Ticket, format_ticket
    from flux_tui.core.peers.ticket_addrs import ticket_addrs

    # While this node fetches an object, it does not know the whole size. A receiver takes no more than the
    # ticket says.
    size = found.size if found.completed_at is not None else None
    return format_ticket(Ticket(found.root, found.name, size, ticket_addrs(state)))


def shared_last(state: State) -> ObjectState | None:
    """Return the object that was added on this node last. None: none was added."""
    added = (found for found in reversed(state.objects.values()) if found.origin == "added")
    return next(added, None)


def next_step_lines(view: View, keys: Keys) -> list[Line]:
    """Return lines that say what the person can do next. Empty: a peer is known already."""
    if view.state.peers:
        return []
    found = shared_last(view.state)
    lines = _tried(view) + (_first_steps(keys) if found is None else _other_machine(view, keys, found))
    return [cut(line, view.width, view.glyphs.ellipsis) for line in lines]


def _tried(view: View) -> list[Line]:
    """Return a line for each address that was dialled and has not answered, with the reason; at most TRIED_LINES."""
    lines: list[Line] = []
    for one in view.state.tried[:TRIED_LINES]:
        where = HIDDEN if view.masked else short_addr(one.addr)
        why = plain(one.why or "no answer yet")
        lines.append(
            [span(" Nobody answers at ", "warn"), span(plain(where), "text"), span(f": {why}", "warn")]
        )
    return lines


def _key(keys: Keys, name: str) -> str:
    action = action_named(name)
    assert action is not None
    return keys.shown(action)


def _first_steps(keys: Keys) -> list[Line]:
    steps = (
        ("add", "share a file: you get a ticket for another machine"),
        ("want", "fetch one: paste a ticket from another machine"),
        ("command", "join ADDRESS: the peer's `flux-tui state` prints it"),
    )
    lines: list[Line] = [[span(" No peer yet. What to do next:", "strong")]]
    return lines + [
        [span(f" {_key(keys, name):>2}  ", "accent"), span(words, "text")] for name, words in steps
    ]


def _other_machine(view: View, keys: Keys, found: ObjectState) -> list[Line]:
    name = view.name(found.root)
    copies = _key(keys, "ticket")
    lines: list[Line] = [
        [span(f" {name}", "name"), span(" is shared (", "text"), span(copies, "accent"),
         span(" copies the ticket). Elsewhere, type:", "text")],
    ]  # fmt: skip
    ticket = HIDDEN if view.masked else ticket_of(view.state, found)
    command = f"flux-tui get {ticket}"
    room = max(20, view.width - INDENT)
    pieces = [command[at : at + room] for at in range(0, len(command), room)]
    if len(pieces) > TICKET_LINES:
        pieces = [fit(plain(command), min(room, SHORT))]  # half a ticket is useless
    lines += [[span(" " * INDENT, "text"), span(piece, "accent")] for piece in pieces]
    if view.state.addrs and all("/ip4/127." in addr or "/ip6/::1/" in addr for addr in view.state.addrs):
        lines.append([span(" It listens on loopback only: no other machine reaches it.", "warn")])
    return lines
