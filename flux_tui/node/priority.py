"""A node's place in the queue for the processor: behind whoever sits in front of the machine.

A node moves data as fast as it can, on as many cores as there are, and nobody looks at it; somebody looks at the
dashboard. Measured with six nodes at full speed on two cores: of a hundred keys the slowest but one was
answered after some 150 ms, and after 50 ms with the nodes at this priority. Alone on a
machine a node is as fast as ever.
"""

import contextlib
import os
from pathlib import Path

NICE = 9
"""A ninth of what an equal would get of a processor that both want."""
_AUTOGROUP = Path("/proc/self/autogroup")
"""Linux weighs sessions against each other, and then a process within its session only."""


def step_back() -> None:
    """From now on this process, and what it starts, has a low priority. For a program's own start-up: before it
    has threads, which on Linux have priorities of their own."""
    with contextlib.suppress(OSError):  # already lower than that
        os.setpriority(os.PRIO_PROCESS, 0, max(NICE, os.getpriority(os.PRIO_PROCESS, 0)))
    if os.getsid(0) == os.getpid():  # nobody else's session
        with contextlib.suppress(OSError):  # another system, or not to be had
            _AUTOGROUP.write_text(str(NICE))
