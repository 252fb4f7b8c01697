"""A node that takes no link says why, and when to come back; then neither side keeps a connection."""

import msgpack
import pytest
import trio
import trio.testing
from libp2p.peer.id import ID

from flux_tui.net.flux import link_table, refusals
from flux_tui.net.flux.refusals import MAX_SECONDS, REFUSED, _decoded
from tests.support.hosts import host_of, id_of
from tests.support.networks import BOUND, Loopback, Node, connect, node, settled

LONG = 2 * BOUND


def connections(one: Node, other: Node) -> int:
    return len(host_of(one).get_network().connections.get(id_of(other), ()))


async def apart(one: Node, other: Node) -> None:
    """Wait until neither node has a connection to the other."""
    with trio.fail_after(LONG):
        while connections(one, other) or connections(other, one):  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_a_ban_that_ended_ends_on_both_sides() -> None:
    async with node(Loopback(), 1) as one, node(Loopback(), 2) as other:
        other.network.dial(one.addr, keep=True)
        await one.seen.up(other.id)
        await other.seen.up(one.id)
        one.network.disconnect(other.id, "a test", seconds=3.0)
        await one.seen.down(other.id)
        await other.seen.down(one.id)
        await apart(one, other)
        with trio.fail_after(LONG):
            await one.seen.up(other.id)
            await other.seen.up(one.id)
        assert await alive(one, other)
        assert await alive(other, one)


async def alive(one: Node, other: Node) -> bool:
    """Whether a message of one node gets to the other."""
    from tests.support.networks import words

    before = len(other.seen.messages)
    sent = one.network.push(other.id, words(1))
    await other.seen.until(lambda: len(other.seen.messages) > before)
    return sent


async def test_who_is_banned_hears_why_and_when_to_come_back() -> None:
    async with node(Loopback(), 1) as one, node(Loopback(), 2) as other:
        await connect(other, one)
        one.network.disconnect(other.id, "a test", seconds=600.0)
        await other.seen.down(one.id)
        await apart(one, other)
        with trio.fail_after(LONG):
            while not other.seen.failed:
                other.network.dial(one.addr)
                await trio.sleep(refusals.AGAIN_SECONDS / 4)
        addr, why = other.seen.failed[-1]
        assert addr == one.addr
        assert "denied: it refuses this node" in why
        assert "again in" in why
        await apart(one, other)


async def test_who_finds_no_place_hears_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_table, "MAX_PEERS", 1)
    monkeypatch.setattr(link_table, "RESERVED", 0)
    async with node(Loopback(), 1) as one, node(Loopback(), 2) as first, node(Loopback(), 3) as second:
        await connect(first, one)
        second.network.dial(one.addr)
        with trio.fail_after(LONG):
            await second.seen.until(lambda: second.seen.failed)
        assert "busy: it has as many peers as it takes; again in" in second.seen.failed[0][1]
        await apart(one, second)
        assert one.seen.latest(first.id) == "up"
        assert first.seen.latest(one.id) == "up"


async def test_odd_refusals_are_passed_over() -> None:
    async with node(Loopback(), 1) as one, node(Loopback(), 2) as other:
        await connect(other, one)
        for body in (
            b"",
            b"\xc1",
            msgpack.packb(["busy"]),
            msgpack.packb(["busy", float("nan")]),
            b"x" * 200,
        ):
            stream = await host_of(other).new_stream(ID.from_base58(one.id), [REFUSED])
            await stream.write(bytes([len(body)]) + body)
            await stream.close()
        await settled()
        assert one.seen.latest(other.id) == "up"


async def test_a_claim_of_time_has_a_limit_and_an_unknown_reason_is_taken(
    autojump_clock: trio.testing.MockClock,
) -> None:
    found = _decoded(msgpack.packb(["of_a_later_version", 1e12, "more"]))
    assert found.reason == "busy"
    assert found.until - trio.current_time() == MAX_SECONDS
