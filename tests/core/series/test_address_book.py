"""The address book: what it keeps when it is full."""

from flux_tui.core.ids import PeerId
from flux_tui.core.series.address_book import MAX_BOOK, MAX_HEARSAY, KnownAddrs, ToldAddrs, note

GOOD, STRANGER, TELLER = PeerId("good"), PeerId("stranger"), PeerId("teller")


def told(peer: str) -> ToldAddrs:
    return ToldAddrs(PeerId(peer), (f"/ip4/9.9.9.9/tcp/1/p2p/{peer}",), 1)


def noted(book: dict[PeerId, KnownAddrs], peer: str, teller: str | None = None) -> None:
    note(book, PeerId(teller or peer), told(peer), 3, lambda one: one == GOOD)


def test_a_crowd_under_new_names_pushes_out_hearsay_and_strangers_first() -> None:
    book: dict[PeerId, KnownAddrs] = {}
    noted(book, GOOD)
    noted(book, STRANGER)
    noted(book, "heard of", TELLER)
    for number in range(MAX_BOOK - 2):
        noted(book, f"new {number}")
    assert PeerId("heard of") not in book
    assert {GOOD, STRANGER} <= book.keys()
    for number in range(MAX_BOOK * 2):
        noted(book, f"newer {number}")
    assert len(book) == MAX_BOOK
    assert GOOD in book
    assert STRANGER not in book


def test_hearsay_of_one_teller_pushes_out_its_own_only() -> None:
    book: dict[PeerId, KnownAddrs] = {}
    noted(book, "another's", "another")
    for number in range(MAX_HEARSAY + 10):
        noted(book, f"peer {number}", TELLER)
    assert len(book) == MAX_HEARSAY + 1
    assert PeerId("another's") in book
    noted(book, "peer 20")
    assert book[PeerId("peer 20")].teller == "peer 20", "its own word is first-hand"
