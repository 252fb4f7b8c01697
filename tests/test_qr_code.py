"""QR codes of tickets: what stands in the lines is the code of the ticket, and the ticket is read back from it."""

import importlib.util
from pathlib import Path
from typing import Any

import pytest
import segno

from flux_tui.core.content.ticket import Ticket, format_ticket, parse_ticket
from flux_tui.core.ids import dag_cid
from flux_tui.qr_code import BORDER, HALVES, LACKING, QrError, qr_lines
from tests.bench.nodes import flux

TICKET = format_ticket(Ticket(dag_cid(b"film"), "film.mkv", 20_000_000, ("/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA",)))  # fmt: skip # noqa: E501


def modules(lines: list[str]) -> list[list[int]]:
    halves = {character: pair for pair, character in HALVES.items()}
    return [[halves[one][half] for one in line] for line in lines for half in (0, 1)]


def test_the_lines_are_the_code_of_the_ticket_in_upper_case() -> None:
    lines = qr_lines(TICKET)
    assert len({len(line) for line in lines}) == 1
    code = segno.make_qr(TICKET.upper(), error="l", boost_error=False)
    assert code.mode == "alphanumeric", "it takes less room so"
    expected = [[int(one) for one in row] for row in code.matrix_iter(border=BORDER)]
    assert modules(lines)[: len(expected)] == expected
    assert parse_ticket(TICKET.upper()) == parse_ticket(TICKET)
    assert len(lines[0]) <= 80


def test_a_ticket_that_is_too_long_and_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(QrError, match="too long for a QR code"):
        qr_lines("flux1" + "a" * 5000)
    find = importlib.util.find_spec

    def without(name: str, *rest: Any) -> Any:
        return None if name == "segno" else find(name, *rest)

    monkeypatch.setattr("flux_tui.qr_code.find_spec", without)
    with pytest.raises(QrError) as missing:
        qr_lines(TICKET)
    assert str(missing.value) == LACKING


def test_add_shows_the_code_of_its_ticket_on_stderr(tmp_path: Path) -> None:
    film = tmp_path / "film"
    film.write_bytes(b"film")
    told = flux("add", "--qr", str(film), home=tmp_path / "home")
    ticket = told.stdout.split()[-1]
    assert "\n".join(qr_lines(ticket)) in told.stderr
    assert "\x1b" not in told.stderr, "colours are for terminals"
