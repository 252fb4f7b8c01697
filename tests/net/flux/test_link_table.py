"""Which peers may have a link: the table alone, without a network."""

import pytest
import trio
import trio.testing

from flux_tui.core.ids import PeerId, peer_id_from_bytes
from flux_tui.net.flux import link_table
from flux_tui.net.flux.link import Link
from flux_tui.net.flux.link_table import LinkTable
from tests.support.networks import Seen, words


def name(number: int) -> PeerId:
    return peer_id_from_bytes(b"\x12\x20" + bytes([number]) * 32)


def added(table: LinkTable, number: int) -> Link:
    link = Link(name(number), Seen())
    table.add(link)
    return link


async def test_a_message_is_queued_only_for_a_link_that_is_up() -> None:
    table = LinkTable()
    assert not table.push(name(1), words(1))
    link = added(table, 1)
    assert name(1) in table
    assert not table.push(name(1), words(1)), "it is only being opened"
    link.up.set()
    assert table.push(name(1), words(1))
    assert table.all_up() == [link]


async def test_a_link_that_is_over_does_not_remove_the_peers_next_one() -> None:
    table = LinkTable()
    old, new = added(table, 1), added(table, 1)
    table.remove(old)
    assert table.of(name(1)) is new
    table.remove(new)
    assert name(1) not in table


async def test_a_banned_peer_is_refused_even_with_a_link() -> None:
    table = LinkTable()
    added(table, 1)
    assert table.admits(name(1))
    table.ban(name(1))
    table.ban(name(1), 0.0)
    assert table.is_banned(name(1)), "a shorter ban ends no longer one"
    assert not table.admits(name(1))
    assert table.admits(name(2))


async def test_an_idle_stranger_makes_room_after_a_while_and_a_known_peer_does_not(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(link_table, "MAX_PEERS", 3)
    monkeypatch.setattr(link_table, "RESERVED", 1)
    table = LinkTable()
    table.know(name(1))
    known, stranger = added(table, 1), added(table, 2)
    assert not table.admits(name(3)), "strangers have two of three links"
    table.know(name(4))
    assert table.admits(name(4)), "the third is for known peers"
    await trio.sleep(link_table.STRANGER_SECONDS + 1)
    assert table.admits(name(3))
    added(table, 3)
    assert stranger.scope.cancel_called
    assert table.is_banned(name(2))
    assert not known.scope.cancel_called


async def test_strangers_come_at_a_bounded_rate(
    monkeypatch: pytest.MonkeyPatch, autojump_clock: trio.testing.MockClock
) -> None:
    monkeypatch.setattr(link_table, "STRANGER_BURST", 2.0)
    table = LinkTable()
    added(table, 1)
    added(table, 2)
    assert not table.admits(name(3))
    table.know(name(4))
    assert table.admits(name(4))
    await trio.sleep(1 / link_table.STRANGER_RATE)
    assert table.admits(name(3))


async def test_a_peer_that_returns_too_often_has_to_wait(autojump_clock: trio.testing.MockClock) -> None:
    table = LinkTable()
    for _ in range(link_table.MAX_RETURNS):
        assert table.admits(name(1))
        table.came_up(name(1))
        await trio.sleep(1)
    assert table.flaps(name(1))
    assert not table.admits(name(1))
    await trio.sleep(link_table.RETURN_SECONDS)
    assert table.admits(name(1))
    assert not table.flaps(name(1))


@pytest.mark.parametrize(
    ("took", "served", "stays"),
    [
        (False, 0, False),
        (False, link_table.USEFUL_BYTES - 1, False),
        (True, 0, True),
        (False, link_table.USEFUL_BYTES, True),
    ],
)
async def test_a_peer_whose_links_were_of_use_may_return_often(took: bool, served: int, stays: bool) -> None:
    """A relay ends its circuits at a limit, and fast ones are at it within a second."""
    table = LinkTable()
    for _ in range(2 * link_table.MAX_RETURNS):
        link = added(table, 1)
        table.came_up(name(1))
        link.took, link.outgoing.served = took, served
        table.remove(link)
        table.was_useful(link)
    assert table.admits(name(1)) is stays


async def test_a_link_that_dies_without_a_sign_again_and_again_is_noticed(
    autojump_clock: trio.testing.MockClock,
) -> None:
    table = LinkTable()
    assert not table.fell_silent(name(1))
    assert not table.needs_small_packets(name(1))
    assert not table.note_silence(name(1))
    assert table.fell_silent(name(1))
    assert table.needs_small_packets(name(1))
    table.large_packets.ended(name(2), trio.current_time(), seconds=20.0, waited=True, carried=False)
    assert table.needs_small_packets(name(2)), "its link stood still, and ended by itself"
    await trio.sleep(20)
    assert table.note_silence(name(1)), "the second within a minute"
    await trio.sleep(601)
    assert not table.fell_silent(name(1))
    assert not table.note_silence(name(1))


async def test_a_ban_of_a_minute_ends_after_a_minute(autojump_clock: trio.testing.MockClock) -> None:
    table = LinkTable()
    table.ban(name(1), 60.0)
    assert table.refusal(name(1)) == ("denied", 60.0)
    await trio.sleep(59.0)
    assert not table.admits(name(1))
    assert table.refusal(name(1))[1] == pytest.approx(1.0)
    await trio.sleep(1.5)
    assert table.admits(name(1))


async def test_why_a_peer_may_have_no_link_is_said(autojump_clock: trio.testing.MockClock) -> None:
    table = LinkTable()
    table.ban(name(1), 60.0)
    table.leave(name(2), 30.0)
    table.ban(name(3), 10.0, "busy")
    for _ in range(link_table.MAX_RETURNS):
        table.came_up(name(4))
    assert [table.why_refused(name(number)).partition(";")[0] for number in (1, 2, 3, 4, 5)] == [
        "the peer misbehaved", "this node has left the peer", "its idle link made room for another peer",
        "its links began too often", "this node has too many peers",
    ]  # fmt: skip
    assert table.why_refused(name(2)).endswith("; in 30 s it may be dialled")


async def test_only_a_peer_that_was_left_is_forgiven() -> None:
    table = LinkTable()
    table.leave(name(1), 60.0)
    table.ban(name(2), 60.0)
    table.leave(name(2), 60.0)
    table.leave(name(3), 60.0)
    table.ban(name(3), 90.0)
    for number in (1, 2, 3):
        assert table.is_banned(name(number))
        table.forgive(name(number))
    assert [table.is_banned(name(number)) for number in (1, 2, 3)] == [False, True, True]


async def test_a_peer_that_was_left_twice_is_forgiven_as_well(autojump_clock: trio.testing.MockClock) -> None:
    table = LinkTable()
    table.leave(name(1), 60.0)
    await trio.sleep(1.0)
    table.leave(name(1), 60.0)
    assert table.why_refused(name(1)).startswith("this node has left the peer")
    table.forgive(name(1))
    assert not table.is_banned(name(1))


async def test_there_is_room_for_128_peers_that_dial_in(autojump_clock: trio.testing.MockClock) -> None:
    table = LinkTable()
    for number in range(128):
        await trio.sleep(1.0)
        assert table.admits(name(number)), number
        table.know(added(table, number).peer)
    await trio.sleep(60.0)
    assert not table.admits(name(200)), "a stranger"
    assert table.refusal(name(200))[0] == "busy"
    table.know(name(201))
    assert table.admits(name(201)), "this node dials it"
