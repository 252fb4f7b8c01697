"""Tickets: one word in, the same out; a cut-off one is told from a whole one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import BadIdError, dag_cid, raw_cid
from flux_tui.core.ticket import Ticket, format_ticket, parse_ticket

PEER = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"
TICKET = Ticket(dag_cid(b"1"), "film.mkv", 852_331_008, (f"/ip4/127.0.0.1/tcp/4001/p2p/{PEER}",))

tickets = st.builds(
    Ticket,
    st.binary(max_size=8).map(raw_cid),
    st.none() | st.text(st.characters(exclude_categories=["Cs"]), max_size=60),
    st.none() | st.integers(0, 1 << 53),
    st.lists(st.integers(0, 65535).map(lambda p: f"/ip4/10.0.0.1/tcp/{p}/p2p/{PEER}"), max_size=8).map(tuple),
)


@given(tickets)
def test_what_goes_in_comes_out(ticket: Ticket) -> None:
    text = format_ticket(ticket)
    assert text.isalnum()
    assert text == text.lower()
    assert parse_ticket(text) == ticket


@given(tickets, st.data())
def test_a_cut_or_changed_ticket_is_refused(ticket: Ticket, data: st.DataObject) -> None:
    text = format_ticket(ticket)
    cut = data.draw(st.integers(5, len(text) - 1))
    with pytest.raises(BadIdError, match="not whole"):
        parse_ticket(text[:cut])


def test_line_breaks_and_capitals_do_no_harm() -> None:
    text = format_ticket(TICKET)
    wrapped = "\n  ".join(text[i : i + 40] for i in range(0, len(text), 40))
    assert parse_ticket(wrapped) == TICKET
    assert parse_ticket(text.upper()) == TICKET


def test_a_bare_cid_is_a_ticket_of_little_knowledge() -> None:
    assert parse_ticket(TICKET.root) == Ticket(TICKET.root)
    with pytest.raises(BadIdError, match="no CID"):
        parse_ticket("nonsense")


@given(st.text(max_size=200))
def test_nothing_else_is_raised(text: str) -> None:
    for word in (text, "flux1" + text):
        with contextlib.suppress(BadIdError):
            parse_ticket(word)


def test_an_absurdly_long_one_is_refused_at_once() -> None:
    with pytest.raises(BadIdError, match="characters long"):
        parse_ticket("flux1" + "a" * 100_000)
