"""The quota: a share for each origin, and the replica that was wanted least recently makes room."""

import pytest

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.replication.quota import PROTECTED_SECONDS, HoldRefusal, Quota
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.series.state import KeptReplica, State
from flux_tui.core.turn import Ledger
from tests.support.script import HOLDER, ME, OTHER

ROOTS = [raw_cid(b"%d" % number) for number in range(4)]


class Nothing:
    """A store without chunks."""

    def size_of(self, cid: str) -> int | None:
        return None


def quota(policy: Policy, *replicas: KeptReplica, now: float = 10_000.0) -> Quota:
    state = State()
    state.policy = policy
    state.kept = {kept.root: kept for kept in replicas}
    ledger = Ledger(ME, state, Nothing(), lambda: 0.0)
    ledger.begin(now)
    return Quota(ledger)


def replica(root: Cid, size: int, wanted: float, *origins: PeerId, own: bool = False) -> KeptReplica:
    return KeptReplica(
        root, since=0.0, last_wanted=wanted, size=size, origins=dict.fromkeys(origins, 0.0), own=own
    )


def test_without_a_quota_nothing_is_kept() -> None:
    assert quota(Policy()).share_refusal(OTHER, ROOTS[0], 1) == HoldRefusal(
        "low_space", None, "nothing is kept for others here"
    )


def test_one_origin_may_use_half_of_the_quota_and_all_of_it_if_it_is_the_only_one() -> None:
    here = quota(Policy(quota=100), replica(ROOTS[0], 30, 0.0, OTHER), replica(ROOTS[1], 50, 0.0, HOLDER))
    assert here.share_refusal(OTHER, ROOTS[2], 20) is None
    no = here.share_refusal(OTHER, ROOTS[2], 21)
    assert no is not None
    assert (no.reason, no.retry_after) == ("low_space", None)
    assert here.share_refusal(OTHER, ROOTS[0], 50) is None, "the object itself does not count twice"
    alone = quota(Policy(quota=100, allow=(OTHER,)), replica(ROOTS[0], 30, 0.0, OTHER))
    assert alone.share_refusal(OTHER, ROOTS[2], 70) is None
    assert alone.share_refusal(OTHER, ROOTS[2], 71) is not None


def test_the_oldest_replica_makes_room_unless_it_is_protected() -> None:
    old, new = replica(ROOTS[0], 60, 100.0, OTHER), replica(ROOTS[1], 40, 9_999.0, OTHER)
    here = quota(Policy(quota=100), new, old)
    assert here.excess == 0
    assert [kept.root for kept in here.oldest_first()] == [ROOTS[0], ROOTS[1]]
    assert here.room_refusal(60) is None
    assert here.to_drop(60) == [ROOTS[0]]
    assert here.to_drop() == []
    assert here.room_refusal(61) == HoldRefusal("low_space", PROTECTED_SECONDS - 1.0)
    later = quota(Policy(quota=100), new, old, now=9_999.0 + PROTECTED_SECONDS)
    assert later.room_refusal(100) is None
    assert later.room_refusal(101) == HoldRefusal("low_space")


@pytest.mark.parametrize(("size", "dropped"), [(100, []), (99, [0]), (60, [0]), (39, [0, 1])])
def test_a_smaller_quota_drops_the_oldest_first(size: int, dropped: list[int]) -> None:
    here = quota(Policy(quota=size), replica(ROOTS[0], 40, 1.0, OTHER), replica(ROOTS[1], 60, 9_999.0, OTHER))
    assert here.to_drop() == [ROOTS[number] for number in dropped]


def test_an_object_of_the_user_never_makes_room() -> None:
    here = quota(Policy(quota=10), replica(ROOTS[0], 40, 1.0, OTHER, own=True))
    assert (here.excess, here.oldest_first()) == (-10, [])
    assert here.room_refusal(11) == HoldRefusal("low_space")
