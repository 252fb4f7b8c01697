"""Tickets survive encoding and decoding, and a truncated one is refused."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core import ticket
from flux_tui.core.content.ticket import Ticket, format_ticket, parse_ticket, ticket_words
from flux_tui.core.ids import BadIdError, dag_cid, raw_cid

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
def test_decoding_returns_what_was_encoded(ticket: Ticket) -> None:
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


def test_line_breaks_and_capitals_are_accepted() -> None:
    text = format_ticket(TICKET)
    wrapped = "\n  ".join(text[i : i + 40] for i in range(0, len(text), 40))
    assert parse_ticket(wrapped) == TICKET
    assert parse_ticket(text.upper()) == TICKET


def test_a_bare_cid_is_a_ticket_without_name_and_size() -> None:
    assert parse_ticket(TICKET.root) == Ticket(TICKET.root)
    with pytest.raises(BadIdError, match="not a CID"):
        parse_ticket("nonsense")


@given(st.text(max_size=200))
def test_any_text_is_a_ticket_or_a_bad_id(text: str) -> None:
    for word in (text, "flux1" + text):
        with contextlib.suppress(BadIdError):
            parse_ticket(word)


def test_an_overlong_ticket_is_refused_at_once() -> None:
    with pytest.raises(BadIdError, match="characters long"):
        parse_ticket("flux1" + "a" * 100_000)


TEXT = format_ticket(TICKET)
FOLDED = [TEXT[at : at + 76] for at in range(0, len(TEXT), 76)]
PASTED = {
    "lines of a mail": "\n".join(FOLDED),
    "lines with line ends of another system": "\r\n".join(FOLDED) + "\r\n",
    "a quoted mail": "".join(f"> {line}\n" for line in FOLDED),
    "a mail that was quoted twice": "".join(f">>{line}\n" for line in FOLDED),
    "a quoted mail, pasted into one line": " > ".join(FOLDED),
    "soft line ends of a mail": "=\n".join(FOLDED),
    "capitals": TEXT.upper(),
    "a space of no width": f"{TEXT[:60]}\u200b{TEXT[60:]}",
    "a byte order mark": f"\ufeff{TEXT}",
    "marks of direction": f"\u200e{TEXT}\u200e",
    "isolates of direction": f"\u2066{TEXT}\u2069",
    "hyphens that are not shown": f"{TEXT[:30]}\u00ad{TEXT[30:]}",
    "a control character": f"{TEXT[:30]}\x1b{TEXT[30:]}\x00",
    "angle brackets": f"<{TEXT}>",
    "quotation marks": f"“{TEXT}”",
    "plain quotation marks": f'"{TEXT}"',
    "a code block": f"```\n{TEXT}\n```",
    "brackets and a full stop": f"({TEXT}).",
    "bold": f"**{TEXT}**",
    "a label": f"ticket:{TEXT}",
    "a ligature": TEXT.replace("fl", "\ufb02", 1),
    "wide letters": "".join(chr(ord(one) + 0xFEE0) for one in TEXT),
    "spaces that do not break": f"\u00a0{TEXT}\u3000",
}


@pytest.mark.parametrize("how", PASTED)
def test_a_ticket_changed_by_mail_or_chat_is_still_read(how: str) -> None:
    assert parse_ticket(PASTED[how]) == TICKET


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (TEXT[:40] + "0" + TEXT[41:], "character 41 is “0”, which no ticket has"),
        (TEXT[:40] + "é" + TEXT[41:], "character 41 is “é”"),
        (f"{TEXT[:9]}…{TEXT[-4:]}", "was shortened where it was shown"),
        (f"{TEXT[:9]}...", "not whole"),
        (f"{TEXT[:9]}...{TEXT[-4:]}", "was shortened where it was shown"),
        (f"{TEXT} thanks", "not one ticket or CID, but 2 words: “flux1"),
        ("\n".join(FOLDED[:-1]), "not whole"),
        ("\n".join([FOLDED[0][:-1], *FOLDED[1:]]), "not whole"),
        (f"get {TICKET.root}", "2 words: “get”, “bafy"),
        ("“”", "empty"),
    ],
)
def test_errors_name_what_is_wrong_with_a_ticket(text: str, sentence: str) -> None:
    with pytest.raises(BadIdError, match=sentence):
        parse_ticket(text)


def test_several_tickets_in_a_text() -> None:
    other = raw_cid(b"2")
    found = ticket_words(
        f"> first: {FOLDED[0]}\n> {FOLDED[1]}\n> {' '.join(FOLDED[2:])}, then <{other}> and film.mkv"
    )
    assert found == ["first", TEXT, "then", other, "and", "film.mkv"]
    assert ticket_words(f"{other[:40]}\n{other[40:]} {other}") == [other, other]


@given(tickets, st.integers(8, 90), st.sampled_from(["\n", "\r\n", "\n> ", " ", "\u200b\n", "=\n"]))
def test_a_ticket_broken_into_lines_anywhere(ticket: Ticket, width: int, end: str) -> None:
    text = format_ticket(ticket)
    width = max(width, len(text) // 150)
    assert parse_ticket(end.join(text[at : at + width] for at in range(0, len(text), width))) == ticket


def test_scripts_that_import_it_from_its_former_place_go_on() -> None:
    assert ticket.parse_ticket is parse_ticket
    assert ticket.format_ticket is format_ticket


def test_loopback_addresses_are_left_out_if_there_are_others() -> None:
    near, far = f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}", f"/ip4/192.168.1.7/tcp/1/p2p/{PEER}"
    six = f"/ip6/::1/tcp/1/p2p/{PEER}"
    assert parse_ticket(format_ticket(Ticket(TICKET.root, addrs=(near, six, far)))).addrs == (far,)
    assert parse_ticket(format_ticket(Ticket(TICKET.root, addrs=(near, six)))).addrs == (near, six)
