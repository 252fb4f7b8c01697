"""Spares the cyclic garbage collector work that finds nothing.

Each want is a handful of objects that live until its chunk is here. While one call makes fifty thousand
wants, the cyclic collector would walk all earlier objects again and again, for nothing. Measured for 50,000
wants: 0.25 s instead of 0.60 s.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def paused() -> Iterator[None]:
    """Pause the collector within this block, if it was enabled. For code that does not wait."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def exempt_all() -> None:
    """Exempt everything made so far from the collector. Call it once, when a node's process has started.

    Modules, classes and tables, a hundred thousand objects, stay until the process ends. The collector need not look
    at them. Measured for 10,000 wants: 0.13 s instead of 0.21 s to push them.
    """
    gc.collect()
    gc.freeze()
