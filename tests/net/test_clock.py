"""libp2p's own timers, while the clock is set."""

import sys
import time

import pytest
from libp2p.kad_dht.provider_store import ProviderRecord
from libp2p.peer.id import ID
from libp2p.peer.peerdata import PeerData
from libp2p.peer.peerinfo import PeerInfo
from libp2p.rcmgr.circuit_breaker import CircuitBreaker

from flux_tui.net.upstream.clock import STEADY_TIME, keep_steady

HOUR = 3600.0


def test_every_module_of_libp2p_that_measures_time_has_a_steady_clock() -> None:
    import flux_tui.net.host  # noqa: F401 - all that a node loads

    keep_steady()
    plain = [name for name, module in sys.modules.items() if getattr(module, "time", None) is time]
    assert not [name for name in plain if name.startswith("libp2p.")]
    assert sys.modules["libp2p.peer.peerdata"].time is STEADY_TIME
    assert abs(STEADY_TIME.time() - time.time()) < HOUR


@pytest.mark.parametrize("step", [HOUR, -HOUR, 1e8, -1e8])
def test_nothing_ends_or_stays_because_the_clock_was_set(
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
