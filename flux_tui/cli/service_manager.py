"""Tells systemd, or another service manager with its protocol, that the node is ready (sd_notify(3))."""

import os
import socket

READY = "READY=1"
EXTENDED_SECONDS = 60


def still_starting(done: int, total: int) -> str:
    """Return the state of a node that has read so many entries of its series, and may go on starting for a while."""
    return (
        f"EXTEND_TIMEOUT_USEC={EXTENDED_SECONDS * 1_000_000}\n"
        f"STATUS=reading the series: {done:,} of {total:,} entries"
    )


def tell_service_manager(state: str) -> None:
    """Send one state to the socket that `NOTIFY_SOCKET` names. Without one, or if nobody is there, do nothing."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return
    where = "\0" + address[1:] if address.startswith("@") else address
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sock:
            sock.connect(where)
            sock.sendall(state.encode())
    except OSError:
        pass
