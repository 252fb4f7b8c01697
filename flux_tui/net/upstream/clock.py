"""A clock for libp2p that never jumps: replaces the module `time` in all of libp2p's modules. For libp2p 0.8.x.

What libp2p 0.8.1 does: its peerstore, Kademlia, gossipsub and resource manager measure spans with `time.time()`: how
long an address, a provider or a connection is valid, and when a peer may be contacted again.

Why that is not enough: if somebody sets the clock forward by an hour, all of these spans end at once. If somebody sets
it back, a pause of a minute lasts an hour. None of these spans depends on the time of day. For the times that libp2p
sends to peers (in signed records), this clock counts on from the time at which the process began.

Upstream: no issue is known. Test: tests/net/upstream/test_clock.py sets the wall clock. One test does so with an
unpatched copy of libp2p's module, and fails when upstream changes.
"""

import sys
import time
from types import SimpleNamespace

from flux_tui.clock import SteadyClock


class _Clock:
    def __init__(self) -> None:
        self.steady = SteadyClock()

    def __call__(self) -> float:
        return self.steady()

    def nanoseconds(self) -> int:
        return int(self.steady() * 1e9)


_clock = _Clock()
STEADY_TIME = SimpleNamespace(**vars(time))
"""Takes the place of the module `time`."""
STEADY_TIME.time = _clock
STEADY_TIME.time_ns = _clock.nanoseconds


def begin_after(at: float) -> None:
    """Start libp2p's clock at `at` or later. `at`: the time of the node's last entry, in seconds since 1970.

    Each signed record has the time as its number. Peers refuse a record that is older than the record they have.
    The wall clock may have been set back since the node last ran.
    """
    if at > _clock():
        _clock.steady = SteadyClock(at)


def keep_steady() -> None:
    """Make every loaded module of libp2p measure time by a clock that never jumps."""
    for name, module in list(sys.modules.items()):
        if name.startswith("libp2p.") and getattr(module, "time", None) is time:
            module.time = STEADY_TIME  # type: ignore[attr-defined]  # the module that it imported
