"""Many objects made at once, none of which is garbage.

Each want is a handful of objects that live until its chunk is here. While fifty thousand are made in one
call, the cyclic collector would walk all those before again and again, for nothing. Measured for 50,000
wants: 0.25 s instead of 0.60 s.
"""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def nothing_is_garbage() -> Iterator[None]:
    """No cyclic collection within this block, if there was any before. For code that does not wait."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def settled() -> None:
    """A process that is a node, and not much else, is up: what it has made so far stays until it ends.

    For a program's own start-up, once. The cyclic collector does not look at any of that again: modules,
    classes and tables, a hundred thousand objects. Measured for 10,000 wants: 0.13 s instead of 0.21 s to push them.
    """
    gc.collect()
    gc.freeze()
