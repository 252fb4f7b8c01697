"""A node that was dropped for its faults comes back when the ban is over, by itself: real libp2p on loopback."""

import os
import time
from pathlib import Path
from typing import Any

import pytest
from libp2p.peer.id import ID

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.limits import Backoff
from flux_tui.core.peers import misbehaviour
from flux_tui.core.peers.misbehaviour import MAX_NOT_ADMITTED
from flux_tui.core.series import events as ev
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, share, until

BAN_SECONDS = 4.0
"""Seconds of the ban in this test. A node bans for 60 s at first."""


def connections(one: FluxNode, other: FluxNode) -> int:
    network: Any = one._network  # its gateways hand on what they do not have themselves
    return len(network._host.get_network().connections.get(ID.from_base58(other.peer_id), ()))


def connected(one: FluxNode, other: FluxNode) -> bool:
    peer = one.derive_state().peers.get(other.peer_id)
    return peer is not None and peer.connected


def ends(node: FluxNode) -> int:
    return sum(isinstance(entry.event, ev.PeerDisconnected) for entry in series_of(node))


async def test_a_ban_ends_on_both_sides_and_join_comes_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(misbehaviour, "BAN", Backoff(BAN_SECONDS, 3600.0))
    (tmp_path / "film.mkv").write_bytes(os.urandom(300_000))
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        b.push_intent(cmd.Join(a.addrs[0]))  # as --join does
        await until(lambda: connected(a, b) and connected(b, a))

        def came_back() -> bool:
            return connected(a, b) and connected(b, a) and time.monotonic() - begin >= BAN_SECONDS

        fault = inp.PeerFault(peer=b.peer_id, fault="garbage", text="a test")
        begin = time.monotonic()
        for _ in range(MAX_NOT_ADMITTED):
            a._engine.feed(fault)
        await until(lambda: all(ends(node) for node in (a, b)))
        # On a very busy machine, the ban may be over before this looks.
        await until(lambda: (not connections(a, b) and not connections(b, a)) or came_back())
        await until(came_back, BAN_SECONDS + 40)
        assert time.monotonic() - begin >= BAN_SECONDS
        root = await share(a, tmp_path / "film.mkv")
        b.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv")))
        await until(lambda: (tmp_path / "copy.mkv").exists())
        assert (tmp_path / "copy.mkv").read_bytes() == (tmp_path / "film.mkv").read_bytes()
        for node in (a, b):
            assert ends(node) == 1, "the link stays"
