"""The timers of libp2p while the clock is set."""

import importlib.util
import sys
import time

import pytest
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.kad_dht.provider_store import ProviderRecord
from libp2p.peer import peer_record, peerdata
from libp2p.peer.envelope import Envelope, seal_record
from libp2p.peer.id import ID
from libp2p.peer.peer_record import PeerRecord
from libp2p.peer.peerdata import PeerData
from libp2p.peer.peerinfo import PeerInfo
from libp2p.rcmgr.circuit_breaker import CircuitBreaker
from multiaddr import Multiaddr

from flux_tui.net.upstream import clock
from flux_tui.net.upstream.clock import STEADY_TIME, begin_after, keep_steady
from flux_tui.net.upstream.peerstore import BoundedPeerstore

HOUR = 3600.0


def test_every_module_of_libp2p_that_measures_time_has_a_steady_clock() -> None:
    import flux_tui.net.flux.libp2p_network  # noqa: F401 - all that a node loads

    keep_steady()
    plain = [name for name, module in sys.modules.items() if getattr(module, "time", None) is time]
    assert not [name for name in plain if name.startswith("libp2p.")]
    assert sys.modules["libp2p.peer.peerdata"].time is STEADY_TIME
    assert abs(STEADY_TIME.time() - time.time()) < HOUR


def test_libp2p_still_measures_spans_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """On a copy of its module that nobody patched. If this fails, see whether `keep_steady` is still needed."""
    spec = importlib.util.spec_from_file_location("unpatched_peerdata", peerdata.__file__)
    assert spec is not None
    assert spec.loader is not None
    unpatched = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(unpatched)
    known = unpatched.PeerData()
    known.set_ttl(120)
    known.update_last_identified()
    assert not known.is_expired()
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + HOUR)
    assert known.is_expired()


@pytest.mark.parametrize("step", [HOUR, -HOUR, 1e8, -1e8])
def test_setting_the_clock_neither_ends_nor_prolongs_anything(
    step: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep_steady()
    real = time.time
    known, shut = PeerData(), CircuitBreaker(failure_threshold=1, timeout=60.0)
    known.set_ttl(120)
    known.update_last_identified()
    record = ProviderRecord(PeerInfo(ID(b"somebody"), []))
    shut._on_failure()
    monkeypatch.setattr(time, "time", lambda: real() + step)
    assert not known.is_expired()
    assert not record.is_expired()
    assert 0 <= STEADY_TIME.time() - (shut.last_failure_time or 0.0) < 60
    later = STEADY_TIME.time
    monkeypatch.setattr(STEADY_TIME, "time", lambda: later() + 61)
    assert shut._should_attempt_reset()


def test_a_new_record_is_newer_although_the_clock_was_set_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its peers remember the record of its last run, and refuse older ones."""
    import flux_tui.net.flux.libp2p_network  # noqa: F401 - all that a node loads

    keep_steady()
    monkeypatch.setattr(clock, "_clock", clock._clock)
    monkeypatch.setattr(clock._clock, "steady", clock._clock.steady)
    last = time.time() + 1e8
    begin_after(last)
    assert STEADY_TIME.time() >= last
    assert peer_record.timestamp_seq() >= last * 1e9
    begin_after(0.0)
    assert STEADY_TIME.time() >= last


def test_an_older_record_is_ignored_and_is_not_a_fault() -> None:
    """Such a record comes from a peer of another version, or from one with a new home whose clock was ahead
    before.
    """
    peers = BoundedPeerstore(lambda peer: False, lambda peer, addrs: list(addrs))
    key = create_new_key_pair(bytes([7]) * 32)
    peer = ID.from_pubkey(key.public_key)

    def record(seq: int, addr: str) -> Envelope:
        return seal_record(PeerRecord(peer, [Multiaddr(addr)], seq), key.private_key)

    assert peers.consume_peer_record(record(2, "/ip4/192.0.2.2/tcp/1"), 60)
    assert peers.consume_peer_record(record(1, "/ip4/192.0.2.1/tcp/1"), 60)
    assert [str(addr) for addr in peers.addrs(peer)] == ["/ip4/192.0.2.2/tcp/1"]
    ahead = int((time.time() + 1e8) * 1e9)
    assert peers.consume_peer_record(record(ahead, "/ip4/192.0.2.4/tcp/1"), 60)
    assert peers.consume_peer_record(record(4, "/ip4/192.0.2.5/tcp/1"), 60), "what comes next is newer"
    assert [str(addr) for addr in peers.addrs(peer)] == ["/ip4/192.0.2.5/tcp/1"]
    other = create_new_key_pair(bytes([8]) * 32)
    forged = seal_record(PeerRecord(peer, [Multiaddr("/ip4/192.0.2.3/tcp/1")], 3), other.private_key)
    assert not peers.consume_peer_record(forged, 60)
    assert not peers.consume_peer_record(seal_record(PeerRecord(peer, [], 1), other.private_key), 60)
