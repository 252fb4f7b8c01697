"""libp2p measures time by the wall clock: here it gets one that nobody sets.

For libp2p 0.8.1. Its peerstore, Kademlia, gossipsub and resource manager take `time.time()` for spans: how long an
address, a provider or a connection is good, when a peer may be heard again. When the clock goes forward by an hour, all
of that is over. When it goes back, what was shut for a minute stays shut for an hour. Nothing of it depends on what
time it is. Where libp2p tells others a time (signed records), the time at which this process began and the seconds
since do as well.

The test that says when this is not needed any more: tests/net/test_clock.py.
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
"""In the place of the module `time`."""
STEADY_TIME.time = _clock
STEADY_TIME.time_ns = _clock.nanoseconds


def begin_after(at: float) -> None:
    """Let it be this time at least: that of a node's last entry.

    A signed record is numbered by the time, and peers refuse one that is older than what they know. The wall clock may
    have been set back since the node's last life.
    """
    if at > _clock():
        _clock.steady = SteadyClock(at)


def keep_steady() -> None:
    """Have every module of libp2p that is loaded measure time by a steady clock."""
    for name, module in list(sys.modules.items()):
        if name.startswith("libp2p.") and getattr(module, "time", None) is time:
            module.time = STEADY_TIME  # type: ignore[attr-defined]  # the module that it imported
