"""The wants of both sides, as tables: what stands, what is answered, and what is kept."""

from math import inf

import pytest

from flux_tui.core.ids import Cid, cid_bytes, dag_cid, raw_cid
from flux_tui.core.series.events import Reason
from flux_tui.core.wire.messages import StatusNo
from flux_tui.net.bitswap.messages import Entry
from flux_tui.net.bitswap.own_wants import MAX_EARLY, MAX_HAVES, OwnWants
from flux_tui.net.bitswap.peer_wants import MAX_WANTS, Asked, PeerWants

LEAF, NODE, THIRD = raw_cid(b"leaf"), dag_cid(b"node"), raw_cid(b"third")


def entry(cid: Cid, *, have: bool = False, cancel: bool = False, tells: bool = True) -> Entry:
    return Entry(cid_bytes(cid), 1, cancel, have, tells)


def no(cid: Cid, reason: Reason, retry_after: float | None = None, *, has_it: bool = True) -> StatusNo:
    return StatusNo(cids=(cid,), reason=reason, has_it=has_it, retry_after=retry_after)


def told(wants: PeerWants) -> list[tuple[bytes, bool]]:
    found = [(one.cid, one.have) for one in wants.presences]
    wants.presences.clear()
    return found


# ── what a peer wants ───────────────────────────────────────────────────────────────────────────


def test_a_wantlist_asks_the_core() -> None:
    wants = PeerWants()
    assert wants.came([entry(LEAF, have=True), entry(NODE)], full=False) == Asked((LEAF,), (NODE,))
    assert wants.came([entry(NODE, cancel=True)], full=False) == Asked(cancels=(NODE,))
    assert len(wants) == 1


def test_a_full_wantlist_replaces_what_was_wanted() -> None:
    wants = PeerWants()
    wants.came([entry(LEAF), entry(NODE)], full=False)
    assert wants.came([entry(NODE), entry(THIRD)], full=True) == Asked((), (NODE, THIRD), (LEAF,))


def test_a_yes_is_a_have_in_the_form_in_which_it_was_wanted() -> None:
    wants = PeerWants()
    v0 = cid_bytes(NODE)[2:]
    wants.came([Entry(v0, have=True)], full=False)
    wants.yes((NODE, LEAF))
    assert told(wants) == [(v0, True)]
    assert not len(wants)


def test_the_form_of_a_wanted_block_is_kept_until_it_is_sent() -> None:
    wants = PeerWants()
    v0 = cid_bytes(NODE)[2:]
    wants.came([Entry(v0)], full=False)
    assert wants.form(NODE) == v0
    wants.sent([NODE])
    assert wants.form(NODE) == cid_bytes(NODE)


@pytest.mark.parametrize("reason", ["denied", "too_large", "shutting_down"])
def test_a_no_for_ever_is_a_dont_have(reason: Reason) -> None:
    wants = PeerWants()
    wants.came([entry(LEAF), entry(NODE, tells=False)], full=False)
    wants.no(no(LEAF, reason), 0.0)
    wants.no(no(NODE, reason), 0.0)
    assert told(wants) == [(cid_bytes(LEAF), False)]
    assert not len(wants)


def test_a_no_with_a_time_is_not_told_and_the_core_is_asked_again() -> None:
    wants = PeerWants()
    wants.came([entry(LEAF), entry(NODE, have=True)], full=False)
    wants.no(no(LEAF, "busy", 2.0), 10.0)
    wants.no(no(NODE, "rate_limited", 3.0), 10.0)
    assert told(wants) == []
    assert wants.came([entry(LEAF)], full=False) == Asked(), "it does not come sooner by being said again"
    assert wants.next_deadline() == 12.0
    assert wants.due(11.9) == Asked()
    assert wants.due(12.0) == Asked(blocks=(LEAF,))
    assert wants.due(13.0) == Asked(haves=(NODE,))
    assert wants.next_deadline() == inf


def test_busy_is_a_have_to_who_only_asks_whether_it_is_here() -> None:
    wants = PeerWants()
    wants.came([entry(LEAF, have=True)], full=False)
    wants.no(no(LEAF, "busy", 2.0), 10.0)
    assert told(wants) == [(cid_bytes(LEAF), True)]


def test_a_want_for_what_is_not_here_stands_until_it_is() -> None:
    wants = PeerWants()
    wants.came([entry(LEAF), entry(NODE, have=True)], full=False)
    for cid in (LEAF, NODE):
        wants.no(no(cid, "not_held", has_it=False), 0.0)
    assert told(wants) == [(cid_bytes(LEAF), False), (cid_bytes(NODE), False)]
    assert wants.is_here(LEAF) == Asked(blocks=(LEAF,))
    assert wants.is_here(LEAF) == Asked()
    assert wants.is_here(NODE) == Asked(haves=(NODE,))
    assert wants.is_here(THIRD) == Asked()


def test_a_hash_that_is_not_taken_is_not_here() -> None:
    wants = PeerWants()
    blake = b"\x01\x55\xa0\xe4\x02\x20" + bytes(32)
    assert wants.came([Entry(blake, tells=True), Entry(blake)], full=False) == Asked()
    assert told(wants) == [(blake, False)]


def test_the_table_of_wants_is_bounded() -> None:
    wants = PeerWants()
    cids = [raw_cid(str(number).encode()) for number in range(MAX_WANTS + 2)]
    asked = wants.came([entry(cid) for cid in cids], full=False)
    assert len(asked.blocks) == len(wants) == MAX_WANTS
    assert told(wants) == [(cid_bytes(cid), False) for cid in cids[MAX_WANTS:]]
    wants.no(no(cids[5], "not_held", has_it=False), 0.0)
    assert wants.came([entry(LEAF)], full=False).blocks == (LEAF,), "in the place of one that is not here"
    assert wants.is_here(cids[5]) == Asked()


# ── what this node wants ────────────────────────────────────────────────────────────────────────


def test_wants_and_grants_are_entries_in_order() -> None:
    own = OwnWants()
    (have,), _ = own.want([NODE])
    (block, second), _ = own.grant([NODE, LEAF])
    assert (have.have, block.have, block.tells) == (True, False, True)
    assert have.priority > block.priority > second.priority > 0
    assert own.next == NODE
    assert own.cancel([LEAF, THIRD]) == [Entry(cid_bytes(LEAF), cancel=True)]
    assert own.arrived(LEAF, b"leaf") == "unasked"
    assert own.arrived(NODE, b"node") == "granted"
    assert own.next is None


def test_only_what_was_asked_is_answered() -> None:
    own = OwnWants()
    own.want([NODE])
    own.grant([LEAF])
    assert own.answered(NODE, have=True) == "yes"
    assert own.answered(NODE, have=True) is None
    assert own.answered(LEAF, have=True) is None, "it comes"
    assert own.answered(LEAF, have=False) == "no"
    assert own.answered(THIRD, have=False) is None


def test_a_block_that_comes_in_place_of_a_have_is_kept_for_its_grant() -> None:
    own = OwnWants()
    own.want([NODE])
    assert own.arrived(NODE, memoryview(b"node")) == "early"
    assert own.want([NODE]) == ([], [NODE])
    assert own.grant([NODE]) == ([], [(NODE, b"node")])
    assert own.next is None, "nothing is to come"
    own.want([NODE])
    assert own.arrived(NODE, b"node") == "early", "it answers the second want, not the grant"


def test_early_blocks_and_wants_are_bounded() -> None:
    own = OwnWants()
    cids = [raw_cid(str(number).encode()) for number in range(MAX_HAVES + 1)]
    entries, _ = own.want(cids)
    assert Entry(cid_bytes(cids[0]), cancel=True) in entries
    for cid in cids[1 : MAX_EARLY + 2]:
        assert own.arrived(cid, b"x") == "early"
    entries, early = own.grant(cids[1 : MAX_EARLY + 2])
    assert len(early) == MAX_EARLY
    assert [one.cid for one in entries] == [cid_bytes(cids[1])]
