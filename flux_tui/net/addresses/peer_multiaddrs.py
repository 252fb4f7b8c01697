"""Parses the multiaddrs of peers, and tries those of one peer until one connects."""

from collections.abc import Awaitable, Callable, Iterable
from typing import NamedTuple

from multiaddr import Multiaddr

from flux_tui.core.ids import BadIdError, PeerId, parse_peer_id


def parse_peer_addr(addr: str) -> tuple[PeerId, Multiaddr]:
    """Split a multiaddr into its peer id and the part before /p2p/. Raises ValueError with a sentence."""
    base, separator, peer = addr.rpartition("/p2p/")
    if not separator:
        raise ValueError(f"{addr} does not say whose address it is: it has to end in /p2p/PEER-ID")
    try:
        peer_id = parse_peer_id(peer)
        transport = Multiaddr(base)
        if not base or transport.value_for_protocol("tcp") is None:
            raise ValueError("no TCP port")
    except BadIdError as error:
        raise ValueError(f"{addr} is not an address of a peer: {error}") from None
    except Exception:  # the library raises kinds of its own
        raise ValueError(
            f"{addr} is not an address that can be dialled: expected /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID"
        ) from None
    return peer_id, transport


def addrs_of(peer: PeerId, addrs: Iterable[str]) -> list[tuple[str, Multiaddr]]:
    """Return the addresses that belong to this peer and can be dialled.

    Each comes with its transport part, the multiaddr without /p2p/PEER-ID.
    """
    found: list[tuple[str, Multiaddr]] = []
    for addr in addrs:
        try:
            named, transport = parse_peer_addr(addr)
        except ValueError:
            continue
        if named == peer:
            found.append((addr, transport))
    return found


class Unreached(NamedTuple):
    """The reason why a peer could not be reached at one address, in a sentence."""

    text: str
    reported: bool = False
    """Whether the reason was reported already, now or a while ago."""


async def connect_any(
    connect: Callable[[PeerId, Multiaddr, str], Awaitable[Unreached | None]],
    peer: PeerId,
    addrs: Iterable[tuple[str, Multiaddr]],
) -> list[Unreached]:
    """Try the addresses of a peer in order, until one connects.

    `connect`: connects at one address; returns None on success, else why it failed. Each address comes with its
    transport part. Returns an empty list on success, else why each address failed.
    """
    failed: list[Unreached] = []
    for addr, transport in addrs:
        why = await connect(peer, transport, addr)
        if why is None:
            return []
        failed.append(why)
    return failed


def report_of(failed: Iterable[Unreached]) -> str:
    """Return why a peer was not reached, for a report: the sentences of `failed`, joined by "; ".

    Reasons that were reported already are left out. An empty text: there is nothing to report.
    """
    return "; ".join(one.text for one in failed if not one.reported)
