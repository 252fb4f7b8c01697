"""Connections that die without a sign, and hosts that move: how long until bytes arrive again."""

import os
import time
from collections.abc import Callable
from pathlib import Path

from tests.support.network_lab import Cable, Lab, LabNode, Shape, until

RATE = 1_000_000.0
"""Bytes a second of the getter's link."""
FILE_BYTES = 64 << 20
FIRST_BYTES = 4 << 20
"""Bytes after which the network changes."""
PATIENCE = 240.0


class Transfer:
    """A transfer over a slow link that has begun. The bytes that the getter has are its progress."""

    def __init__(self, lab: Lab, getter: LabNode, ticket: str) -> None:
        self.getter = getter
        getter.get(ticket, lab.folder / "copy")
        until(lambda: getter.have() >= FIRST_BYTES, 60)

    def goes_on(self, seconds: float = PATIENCE) -> float:
        """Return the seconds until two more chunks have arrived."""
        before = self.getter.have()
        return until(lambda: self.getter.have() > before + (2 << 20), seconds)

    def stops(self) -> None:
        """Wait until no more bytes arrive."""
        before = -1
        while before != (before := self.getter.have()):
            time.sleep(1.5)


def a_file(lab: Lab, size: int = FILE_BYTES) -> Path:
    """Make a file of random bytes."""
    path = lab.folder / "film"
    path.write_bytes(os.urandom(size))
    return path


def two_hosts(lab: Lab, *flags: str) -> tuple[LabNode, LabNode, Cable, Cable]:
    """Return a holder and a getter on one network, and their cables; the getter's is slow."""
    lan = lab.lan("10.1.0.0/24")
    one, other = lab.host("holder"), lab.host("getter")
    cable, slow = one.plug(lan), other.plug(lan, shape=Shape(rate=RATE, delay=0.01))
    return one.node(*flags), other.node(*flags), cable, slow


def moves_in_a_transfer(lab: Lab) -> str:
    """The address of the holder changes in a transfer."""
    holder, getter, cable, _ = two_hosts(lab)
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.goes_on():.1f} s until bytes arrive again"


def moves_in_a_transfer_without_mdns(lab: Lab) -> str:
    """The address of the holder changes in a transfer, without mDNS."""
    holder, getter, cable, _ = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.goes_on():.1f} s until bytes arrive again"


def getter_moves(lab: Lab) -> str:
    """The address of the getter changes in a transfer, without mDNS."""
    holder, getter, _, cable = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    cable.readdress("10.1.0.77/24")
    return f"{transfer.goes_on():.1f} s until bytes arrive again"


def _away(
    lab: Lab, seconds: float, leave: Callable[[Cable], None], back: Callable[[Cable], None], who: int
) -> str:
    holder, getter, *cables = two_hosts(lab, "--no-mdns")
    transfer = Transfer(lab, getter, holder.add(a_file(lab)))
    leave(cables[who])
    time.sleep(seconds)
    back(cables[who])
    return f"{transfer.goes_on():.1f} s after the return until bytes arrive again"


def cable_out(lab: Lab) -> str:
    """The getter's cable is out for 90 s, without a sign of it."""
    return _away(lab, 90, Cable.cut, Cable.mend, 1)


def holder_unplugged(lab: Lab) -> str:
    """The holder's cable is pulled for 90 s."""
    return _away(lab, 90, Cable.unplug, Cable.mend, 0)


def holder_sleeps(lab: Lab) -> str:
    """The holder sleeps for 100 s."""
    return _away(lab, 100, lambda cable: cable.host.sleep(), lambda cable: cable.host.wake(), 0)


def getter_sleeps(lab: Lab) -> str:
    """The getter sleeps for 100 s."""
    return _away(lab, 100, lambda cable: cable.host.sleep(), lambda cable: cable.host.wake(), 1)


MEASUREMENTS: dict[str, Callable[[Lab], str]] = {
    "moves": moves_in_a_transfer,
    "moves-no-mdns": moves_in_a_transfer_without_mdns,
    "getter-moves": getter_moves,
    "cable-out": cable_out,
    "unplugged": holder_unplugged,
    "holder-sleeps": holder_sleeps,
    "getter-sleeps": getter_sleeps,
}
