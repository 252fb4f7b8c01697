"""The names of objects, peers and addresses in a sentence. Pure.

Names are an argument of all descriptions: names that become known later, and masked names, need nothing there.
"""

from collections.abc import Mapping
from typing import Protocol

from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import Plain, plain

WHO_WIDTH = 9
"""Columns of the short form of a peer id."""


class Names(Protocol):
    """The names of objects and peers."""

    def name(self, cid: Cid) -> Plain:
        """Return an object's name, or the short form of its CID."""

    def peer(self, peer: PeerId) -> Plain:
        """Return a peer's short form."""

    def text(self, text: str) -> Plain:
        """Return a path, an address or a sentence from elsewhere, made safe to show."""


class StateNames(Names):
    """The names that a state knows."""

    def __init__(self, state: State | None = None) -> None:
        self._named: tuple[Mapping[Cid, object], ...] = ()
        if state is not None:
            self._named = (state.objects, state.holds, state.kept)

    def name(self, cid: Cid) -> Plain:
        """Return an object's name, or the short form of its CID."""
        for named in self._named:
            name: str | None = getattr(named.get(cid), "name", None)
            if name:
                return plain(name)
        return plain(short(cid))

    def peer(self, peer: PeerId) -> Plain:
        """Return a peer's short form."""
        return plain(short(peer))

    def text(self, text: str) -> Plain:
        """Return a text from elsewhere, made safe to show."""
        return plain(text)


NO_NAMES = StateNames()


def short_addr(addr: str) -> str:
    """Write a multiaddr as people write it: `192.0.2.7:4001`. Other kinds stay as they are."""
    match addr.rpartition("/p2p/")[0].split("/") if "/p2p/" in addr else addr.split("/"):
        case ["", "ip6", host, "tcp", port]:
            return f"[{host}]:{port}"
        case ["", "ip4" | "dns" | "dns4" | "dns6", host, "tcp", port]:
            return f"{host}:{port}"
        case _:
            return addr.rpartition("/p2p/")[0] or addr
