"""How many intents are decoded and checked, by neighbour and by origin."""

from flux_tui.core.peers import intent_limits
from flux_tui.core.peers.intent_limits import IntentLimits
from tests.sim.swarm import peer_name
from tests.support.script import HOLDER, OTHER, START


def test_forged_intents_do_not_silence_their_alleged_origin() -> None:
    limits = IntentLimits()
    for _ in range(10_000):
        # the node asks before it checks each signature; none was valid
        assert limits.admits_origin(OTHER, START)
    for number in range(int(intent_limits.ORIGIN_BURST)):
        assert limits.admits_origin(OTHER, START), number
        limits.signed(OTHER, START)
    assert not limits.admits_origin(OTHER, START)
    assert limits.admits_origin(OTHER, START + 1)


def test_the_intents_of_one_neighbour_are_limited() -> None:
    limits = IntentLimits()
    taken = sum(limits.admits_sender(OTHER, START + number / 10_000) for number in range(30 * 10_000))
    assert taken <= intent_limits.SENDER_BURST + 30 * intent_limits.SENDER_RATE + 1
    assert limits.admits_sender(HOLDER, START + 30)


def test_both_tables_are_bounded() -> None:
    limits = IntentLimits()
    for number in range(3 * intent_limits.MAX_BUCKETS):
        limits.admits_sender(peer_name(number), START)
        limits.signed(peer_name(number), START)
    assert len(limits) == intent_limits.MAX_BUCKETS
