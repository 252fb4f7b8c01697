"""Raises the limit of open files, so that a node with all its connections has enough.

Some systems (macOS) allow a process 256 open files unless it asks for more. A node under attack has up to 500
sockets. Without free descriptors it could open neither its files nor its series.
"""

import logging
import resource

from flux_tui.net.upstream.upgrade import MAX_CONNECTIONS, MAX_HANDSHAKES

log = logging.getLogger(__name__)

NEEDED = 2 * (MAX_CONNECTIONS + 2 * MAX_HANDSHAKES)
"""Twice the sockets: the rest is for files, the series, and dials under way."""


def allow_enough() -> int:
    """Raise this process's limit of open files to NEEDED, as far as the system allows. Returns the new limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= NEEDED:
        return soft
    wanted = NEEDED if hard == resource.RLIM_INFINITY else min(NEEDED, hard)
    try:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    except (OSError, ValueError) as error:
        log.warning("this process may have %d open files only: %s", soft, error)
        return soft
    return wanted
