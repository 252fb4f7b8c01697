"""The names of objects, peers and addresses in sentences. Pure.

Every description takes the names as an argument. So descriptions need no change for names that become known later,
or for masked names.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

from flux_tui.core.ids import BadIdError, Cid, PeerId, parse_peer_id, short
from flux_tui.core.series.state import State
from flux_tui.core.text.plain import Plain, plain

WHO_WIDTH = 9
"""Columns of the short form of a peer id."""
TAILS = (8, 12, 16, 24, 32)
"""Characters of the end of an id that are shown, one after the other, until no two look the same."""
MAX_ID = 1000
"""More characters than an id has."""
NOBODY: Mapping[PeerId, str] = {}
MAX_NAME = 24
"""Characters of a name that a person gives to a peer."""


def checked_name(text: str) -> str:
    """Check a name that a person typed for a peer, and return it without extra spaces.

    Raises ValueError with one sentence if the name cannot be used.
    """
    name = " ".join(text.split())
    if not name:
        raise ValueError("the name is empty")
    if len(name) > MAX_NAME:
        raise ValueError(f"{plain(name[:MAX_NAME])}… is too long: a name has at most {MAX_NAME} characters")
    if plain(name) != name:
        raise ValueError(f"{plain(name)} has characters that cannot be seen: choose another name")
    if "…" in name or is_peer_id(name) or name.startswith("-"):
        raise ValueError(f"{name} looks like an id or an option: choose another name")
    return name


def is_peer_id(text: str) -> bool:
    """Whether a text is a complete peer id."""
    try:
        parse_peer_id(text)
    except BadIdError:
        return False
    return True


class Names(Protocol):
    """Looks up the names of objects and peers for a description."""

    def name(self, cid: Cid) -> Plain:
        """Return an object's name, or the short form of its CID."""

    def peer(self, peer: PeerId) -> Plain:
        """Return a peer's name, or the short form of its id."""

    def cid(self, cid: Cid) -> Plain:
        """Return the short form of a CID, whatever it is called."""

    def text(self, text: str) -> Plain:
        """Make a path, an address, or a text from another node safe to show."""

    def suggested(self, name: str) -> Plain:
        """Make a name that a peer suggests for itself safe to show."""


def _whole(text: Plain, width: int) -> Plain:
    """Return the text unchanged: the default for `cut`, where names may have any length."""
    return text


def names_in(state: State, called: Mapping[PeerId, str] = NOBODY) -> dict[PeerId, str]:
    """Return the names of peers: those that a person gave (`called`), and of gateways their hosts, such as `ipfs.io`.

    A gateway's id is made from its address, and says nothing to a person. A person gave the address.
    """
    gateways = ((peer, found.addr) for peer, found in state.peers.items() if found.speaks == "http")
    return {peer: host for peer, addr in gateways if (host := _host_of(addr))} | dict(called)


def _host_of(url: str) -> str:
    """Return the host of a URL, with its port if the URL names one; empty if there is none."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]


def distinct_names(
    peers: Iterable[PeerId],
    called: Mapping[PeerId, str] = NOBODY,
    cut: Callable[[Plain, int], Plain] = _whole,
) -> dict[PeerId, Plain]:
    """Return a label for each of these peers, by peer. No two labels are equal.

    A label is the peer's name; without a name, the short form of its id. Where labels would be equal, they show the
    ends of the ids, with more and more characters. `called`: the known names of peers. `cut(name, columns)`
    shortens a name to a number of columns.
    """
    todo = list(dict.fromkeys(peers))
    forms: dict[PeerId, Plain] = {}
    taken: set[Plain] = set()
    for length in (0, *TAILS, MAX_ID):
        made = {peer: _form(peer, called.get(peer), length, cut) for peer in todo}
        count = Counter(made.values())
        last = length == MAX_ID
        fitting = {
            peer: form for peer, form in made.items() if last or (count[form] == 1 and form not in taken)
        }
        forms |= fitting
        taken.update(made.values())
        todo = [peer for peer in todo if peer not in fitting]
        if not todo:
            break
    return forms


def _form(peer: PeerId, name: str | None, length: int, cut: Callable[[Plain, int], Plain]) -> Plain:
    """Return a possible label of a peer: "…" and the last `length` characters of its id.

    Some lengths are special. 0: the name, shortened by `cut`; without a name, the short form of the id. TAILS[0], if
    there is a name: the beginning of the name and the last 4 characters of the id. MAX_ID or more: the whole id.
    """
    if length >= MAX_ID:
        return plain(peer)
    if name is None:
        return plain(f"…{peer[-length:]}" if length else short(peer))
    if not length:
        return cut(plain(name), WHO_WIDTH)
    if length == TAILS[0]:  # as much of the name as there is room for, and an end of the id that differs
        return plain(f"{cut(plain(name[: WHO_WIDTH - 5]), WHO_WIDTH - 5)}…{peer[-4:]}")
    return plain(f"…{peer[-length:]}")


class StateNames(Names):
    """The names of objects in a state, and those of peers (`names_in`).

    `whole`: ids are not shortened. That is for what a program may read.
    """

    def __init__(
        self, state: State | None = None, called: Mapping[PeerId, str] = NOBODY, *, whole: bool = False
    ) -> None:
        self.whole = whole
        self._named: tuple[Mapping[Cid, object], ...] = ()
        self._peers: Mapping[PeerId, Plain] = {}
        if state is not None:
            self._named = (state.objects, state.holds, state.kept)
            names = names_in(state, called)
            if whole:
                self._peers = {peer: plain(name) for peer, name in names.items()}
            else:
                self._peers = distinct_names((*state.peers, *names), names)

    def name(self, cid: Cid) -> Plain:
        """Return an object's name, or the short form of its CID."""
        for named in self._named:
            name: str | None = getattr(named.get(cid), "name", None)
            if name:
                return plain(name)
        return self.cid(cid)

    def peer(self, peer: PeerId) -> Plain:
        """Return a peer's name, or the short form of its id."""
        return self._peers.get(peer) or plain(peer if self.whole else short(peer))

    def cid(self, cid: Cid) -> Plain:
        """Return the short form of a CID."""
        return plain(cid if self.whole else short(cid))

    def text(self, text: str) -> Plain:
        """Make a text from another node safe to show."""
        return plain(text)

    def suggested(self, name: str) -> Plain:
        """Make a name that a peer suggests for itself safe to show."""
        return plain(name)


NO_NAMES = StateNames()


def short_addr(addr: str) -> str:
    """Shorten a TCP multiaddr to the usual form, such as `192.0.2.7:4001`. Other kinds only lose their peer id."""
    match addr.rpartition("/p2p/")[0].split("/") if "/p2p/" in addr else addr.split("/"):
        case ["", "ip6", host, "tcp", port]:
            return f"[{host}]:{port}"
        case ["", "ip4" | "dns" | "dns4" | "dns6", host, "tcp", port]:
            return f"{host}:{port}"
        case _:
            return addr.rpartition("/p2p/")[0] or addr
