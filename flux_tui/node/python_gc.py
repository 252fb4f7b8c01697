"""Keeps Python's cyclic garbage collector from work that would find nothing to free.

Each want consists of a few objects that live until its chunk is here. While one call makes 50,000 wants, the
collector would look at all earlier objects again and again, and free nothing. Measured for 50,000 wants: 0.25
s instead of 0.60 s.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

YOUNG = 10_000
"""New objects after which the collector looks for garbage among them: about 1 MB. Python's own number is 700."""


@contextmanager
def paused() -> Iterator[None]:
    """Pause Python's garbage collector inside the `with` block, if it was enabled.

    The block must not wait for anything.
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def exempt_all() -> None:
    """Exempt all objects made so far from Python's garbage collector.

    Call it once, when the node's process has started. Modules, classes and tables, about 100,000 objects,
    stay until the process ends, so the collector need not look at them. Measured for pushing 10,000 wants:
    0.13 s instead of 0.21 s.

    From then on the collector runs after YOUNG new objects. Measured for a node that gets 10,000 files: 0.02 s
    instead of 0.06 s.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG)
