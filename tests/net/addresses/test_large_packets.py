"""A link stands still at its first chunk, and the next one, with small packets, does not: large packets are lost."""

import pytest

from flux_tui.core.ids import PeerId
from flux_tui.net.addresses.large_packets import REMEMBER_SECONDS, STILL_SECONDS, LargePackets

PEER, OTHER = PeerId("12D3KooWA"), PeerId("12D3KooWB")


def after(seconds: float = 20.0, *, waited: bool = True, carried: bool = False) -> LargePackets:
    """Return what is known after a link of so many seconds has ended at time 0."""
    packets = LargePackets()
    packets.ended(PEER, 0.0, seconds=seconds, waited=waited, carried=carried)
    return packets


def test_a_way_that_loses_large_packets_is_noticed_once() -> None:
    packets = after()
    assert packets.suspects(PEER, 1.0)
    assert not packets.suspects(OTHER, 1.0)
    assert not packets.suspects(PEER, REMEMBER_SECONDS + 1)
    assert not packets.carries(OTHER, 1.0, small=True)
    assert packets.carries(PEER, 1.0, small=True)
    assert not packets.carries(PEER, 2.0, small=True)


@pytest.mark.parametrize(
    "packets",
    [LargePackets(), after(STILL_SECONDS - 1), after(waited=False), after(carried=True)],
    ids=["nothing ended", "it ended at once", "nothing was due", "chunks had passed"],
)
def test_other_ends_say_nothing_of_packets(packets: LargePackets) -> None:
    assert not packets.carries(PEER, 1.0, small=True)


def test_a_chunk_in_large_packets_shows_that_they_pass() -> None:
    packets = after()
    assert not packets.carries(PEER, 1.0, small=False)
    assert not packets.carries(PEER, 2.0, small=True)


def test_a_link_that_stood_still_long_ago_does_not_count() -> None:
    assert not after().carries(PEER, REMEMBER_SECONDS + 1, small=True)


def test_a_link_that_carries_chunks_clears_the_suspicion() -> None:
    packets = after()
    packets.ended(PEER, 1.0, seconds=5.0, waited=True, carried=True)
    assert not packets.carries(PEER, 2.0, small=True)
