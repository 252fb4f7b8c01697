"""Chooses when Python's garbage collector runs: not while a pressed key waits for its frame.

If Python chose the moments, the collector would take a tenth of the time for keys and frames while a node
moves data at full speed, up to 19 ms at once. So it is off until the first frame was drawn. Then it runs
after a tick.
"""

import gc

NET = (50_000, 20, 50)
"""The thresholds of Python's own collector: new objects before it runs in any case, and runs before it looks
at older objects.
"""
YOUNG = 3_000
"""New objects after which a run is due."""


def settle() -> None:
    """Exempt the objects made at the start from garbage collection, and turn the collector on.

    Modules, classes and styles stay until the end. Looking at them all would take a tenth of the time until
    the first frame, and later delay a key.
    """
    gc.set_threshold(*NET)
    gc.enable()
    gc.freeze()


def collect_if_due(*, quiet: bool) -> None:
    """Run Python's garbage collector, if enough objects were made since its last run.

    Nothing happens before `settle`. `quiet`: no key was pressed for a while. Then older objects are checked,
    too, which takes a tenth of a second in a long series.
    """
    if not gc.isenabled():
        return
    young, middle, old = gc.get_count()
    if quiet and old > NET[2]:
        gc.collect()
    elif quiet and middle > NET[1]:
        gc.collect(1)
    elif young > YOUNG:
        gc.collect(0)
