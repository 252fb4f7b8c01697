"""Lists of CIDs that entries have in common: what is read is what was written, whatever the lists are."""

import random

import msgspec
import pytest

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.store.segments.cid_lists import CidLists, shorten_body, shorten_event, whole_body

PEER = PeerId("12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo")
CIDS = tuple(raw_cid(b"%d" % number) for number in range(64))


def refusal(cids: tuple[Cid, ...]) -> ev.StatusNo:
    return ev.StatusNo(peer=PEER, cids=cids, reason="busy", has_it=True, retry_after=1.5, text="no")


def test_every_list_and_part_of_one_is_read_as_it_was_written() -> None:
    chance = random.Random(5)
    lists, stored = CidLists(7), dict[int, bytes]()
    for _ in range(400):
        low, high = sorted(chance.sample(range(len(CIDS) + 1), 2))
        cids = list(CIDS[low : high : chance.choice((1, 1, 2, 5))])
        if chance.random() < 0.2:
            chance.shuffle(cids)
        event = refusal(tuple(cids))
        body = ev.encode_event(event)
        short, at, found = shorten_event(event, lists) if chance.random() < 0.5 else shorten_body(body, lists)
        stored.update(lists.fresh)
        lists.fresh.clear()
        assert len(short) <= len(body)
        assert body == (short if found is None else whole_body(short, at, found.bitmap, stored[found.number]))
    assert min(stored) == 7
    assert len(stored) < 300


def test_the_second_entry_with_a_list_refers_to_it_and_takes_few_bytes() -> None:
    lists = CidLists()
    assert shorten_event(refusal(CIDS), lists)[2] is None
    short, _, found = shorten_event(refusal(CIDS), lists)
    assert found is not None
    assert found.bitmap == b""
    assert len(short) < 120
    _, _, part = shorten_event(refusal(CIDS[3:40]), lists)
    assert part is not None
    assert (part.number, len(part.bitmap)) == (found.number, 5)
    assert len(lists.fresh) == 1, "the list is stored once"


def test_forgotten_lists_are_not_referred_to() -> None:
    lists = CidLists()
    for _ in range(2):
        shorten_event(refusal(CIDS), lists)
    lists.forget()
    assert not lists.fresh
    assert shorten_event(refusal(CIDS), lists)[2] is None
    shorten_event(refusal(CIDS), lists)
    assert [number for number, _ in lists.fresh] == [1], "numbers are not used again"


@pytest.mark.parametrize("body", [b"", b"\xc1" * 300, msgspec.msgpack.encode(["x", "y" * 300, ["z", 1]])])
def test_other_bytes_stay_as_they_are(body: bytes) -> None:
    assert shorten_body(body, CidLists()) == (body, 0, None)


def test_a_missing_list_is_an_error() -> None:
    with pytest.raises(msgspec.MsgspecError):
        whole_body(b"\x90", 1, b"", b"")
