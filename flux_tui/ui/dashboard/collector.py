"""When the garbage collector has its turns: not while a key waits for its frame.

At its own pace it takes a tenth of the time that is spent on keys and frames while a node moves data at full speed, up
to 19 ms at once. So it is off until the first frame was seen, and then has its turns after a tick of the clock.
"""

import gc

NET = (50_000, 20, 50)
"""New objects after which it has a turn at any place all the same; turns after which it looks at older ones."""
YOUNG = 3_000
"""New objects after which a turn is due."""


def settle() -> None:
    """What was made at the start stays: modules, classes and styles. The collector would keep the first frame
    waiting to look at them all (a tenth of the time until then), and later a key."""
    gc.set_threshold(*NET)
    gc.enable()
    gc.freeze()


def take_turn(*, quiet: bool) -> None:
    """Collect, if that is due. `quiet`: nobody has pressed a key for a while, so older ones may be looked at, too,
    which takes a tenth of a second in a long series."""
    if not gc.isenabled():
        return
    young, middle, old = gc.get_count()
    if quiet and old > NET[2]:
        gc.collect()
    elif quiet and middle > NET[1]:
        gc.collect(1)
    elif young > YOUNG:
        gc.collect(0)
