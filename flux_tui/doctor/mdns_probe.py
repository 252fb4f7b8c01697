"""Finds out whether mDNS is blocked on this machine: sends a query by multicast, and waits for its own copy.

A firewall that drops UDP port 5353, in or out, drops the copy as well. What a router or an access point drops
between machines cannot be seen from one of them.
"""

import os
import select
import socket
import struct
import time

GROUP, PORT = "224.0.0.251", 5353
WAIT_SECONDS = 1.0
QUESTION = b"\x04_p2p\x04_udp\x05local\x00" + struct.pack("!HH", 12, 1)
"""Who offers `_p2p._udp.local`? (PTR, IN): what flux-tui asks itself."""


def comes_back(ip: str) -> bool:
    """Whether a query that leaves by the interface with this IPv4 address comes back to this machine.

    Raises OSError if port 5353 cannot be shared.
    """
    number = os.urandom(2)
    query = number + struct.pack("!HHHHH", 0, 1, 0, 0, 0) + QUESTION
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        sock.bind(("", PORT))
        here = socket.inet_aton(ip)
        try:
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + here)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, here)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
            sock.sendto(query, (GROUP, PORT))
        except OSError:  # a firewall refuses it at once, or the interface has no multicast
            return False
        deadline = time.monotonic() + WAIT_SECONDS
        while (left := deadline - time.monotonic()) > 0:
            if not select.select([sock], [], [], left)[0]:
                return False
            data, (sender, _) = sock.recvfrom(9000)
            if data == query and sender == ip:
                return True
    return False
