"""Asks a time server how far this machine's clock is off: one packet of SNTP (RFC 4330)."""

import os
import socket
import struct
from collections.abc import Callable

PORT = 123
TIMEOUT = 2.0
"""Seconds for an answer."""
TRIES = 2
"""Addresses of a server that are asked."""
TO_1970 = 2_208_988_800
"""Seconds from 1900, where NTP begins, to 1970."""
CLIENT, SERVER = 0x23, 4
"""Version 4, as a client; and the mode of a server's answer."""


def clock_offset(server: str, now: Callable[[], float]) -> float | None:
    """Return by how many seconds the server's clock is ahead of this one; None: no server answers.

    `server`: HOST or HOST:PORT.
    """
    host, port = _parts(server)
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return None
    for family, kind, _, _, address in found[:TRIES]:
        try:
            with socket.socket(family, kind) as sock:
                sock.settimeout(TIMEOUT)
                sock.connect(address)
                offset = _ask(sock, now)
        except OSError:
            continue
        if offset is not None:
            return offset
    return None


def _parts(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    if colon and port.isdigit() and (":" not in host or host.startswith("[")):
        return host.strip("[]"), int(port)
    return server.strip("[]"), PORT


def _ask(sock: socket.socket, now: Callable[[], float]) -> float | None:
    nonce = os.urandom(8)  # stands for the time of sending, which nobody needs to know; the answer repeats it
    sent = now()
    sock.send(bytes([CLIENT]) + bytes(39) + nonce)
    while True:
        answer = sock.recv(512)
        came = now()
        if len(answer) < 48 or answer[24:32] != nonce:
            continue  # not to this question
        leap, mode, stratum = answer[0] >> 6, answer[0] & 7, answer[1]
        if leap == 3 or mode != SERVER or not 1 <= stratum <= 15:
            return None  # it does not know the time itself
        received, transmitted = _seconds(answer[32:40]), _seconds(answer[40:48])
        return ((received - sent) + (transmitted - came)) / 2


def _seconds(stamp: bytes) -> float:
    """Return a timestamp of NTP in seconds since 1970. Numbers in the lower half are those after 2036."""
    whole, part = struct.unpack("!II", stamp)
    return float(whole + (0 if whole & 0x8000_0000 else 1 << 32) - TO_1970 + part / (1 << 32))
