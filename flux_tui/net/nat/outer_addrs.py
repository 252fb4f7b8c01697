"""The outer addresses of this node: addresses of the router at which others may reach the node.

An outer address is told to other nodes once it is proved. Outer addresses come from:

- Peers tell by identify from which IP address this node is connected to them. Routers often keep the port, or a
  person had it forwarded. So this IP address together with the port on which this node listens is a guess.
- The router says which port it has mapped (`port_mapping.py`).
- A person announces an address (`--announce`), because a port is forwarded by hand. It is told at once, for the first
  peers need it too. As soon as peers find that nobody answers there, it is not told any more, and the person is told.

`OuterAddrs` asks up to PROBERS connected peers to dial each guess back (`dial_back.py`), again after a while, and when
this machine's addresses change. An address that no peer reaches any more is not told any more.
"""

import ipaddress
import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from math import inf
from typing import Any

import trio
from libp2p.abc import IHost, IMuxedConn
from libp2p.peer.id import ID
from multiaddr import Multiaddr

from flux_tui.core.limits import Backoff, BoundedSet
from flux_tui.net.addresses.own_addrs import OwnAddrs
from flux_tui.net.nat.dial_back import DialBack
from flux_tui.net.upstream.select_connection import way_of

log = logging.getLogger(__name__)

LOOK_SECONDS = 1.0
"""Seconds between two looks whether an address is to be tried."""
FRESH_SECONDS = 600.0
"""Seconds for which a proof counts."""
AGAIN = Backoff(first=15.0, most=600.0)
"""The wait after a try that failed."""
PROBERS = 3
"""Peers that are asked about one address."""
PROVE_SECONDS = 30.0
"""Seconds for all peers to answer about one address. Peers that never answer would else keep the others waiting."""
MAX_SILENT = 1024
"""Peers without an answer that are remembered."""
MOVED_SECONDS = 10.0
"""Seconds between two calls because of a new outer IP address: any peer can claim one."""
MAX_GUESSES = 8
"""Addresses that are tried."""


class Proof:
    """The result of the dials back to one outer address: whether it holds, and when to ask again."""

    def __init__(self, *, holds: bool = False) -> None:
        self.holds = holds
        self.failures = 0
        self.due = 0.0
        """When it is tried again, in trio's time."""


class OuterAddrs:
    """Collects the outer addresses of one node, and proves them. `own`: gets the proved ones (`OwnAddrs.has_outer`)."""

    def __init__(self, host: IHost, own: OwnAddrs, dial_back: DialBack) -> None:
        self._host: Any = host
        self._own = own
        self._dial_back = dial_back
        self._proofs: dict[str, Proof] = {}
        self._claims: dict[str, tuple[str, ...]] = {}
        self._announced: tuple[str, ...] = ()
        self._report: Callable[[str], None] = log.warning
        self._silent: BoundedSet[ID] = BoundedSet(MAX_SILENT, refresh=True)
        """Peers that gave no answer when they were asked last. They are asked after the others."""
        self._observed: set[Any] = set()
        """The IP addresses that peers observed last. They stay when the peers are gone."""

    def claim(self, who: str, addrs: Iterable[str]) -> None:
        """Note the outer addresses that `who` says this node has, as multiaddrs without a peer id.

        They replace those that `who` named before. `run` proves them. `who`: the router, or a person.
        """
        self._claims[who] = tuple(addrs)

    def announce(self, addrs: Sequence[str], report: Callable[[str], None]) -> None:
        """Note the outer addresses that a person announces, as multiaddrs without a peer id. They count as proved.

        `report`: called with a sentence about each address at which no peer reaches this node.
        """
        self._announced, self._report = tuple(addrs), report
        self._proofs |= {addr: Proof(holds=True) for addr in addrs}
        self.claim("a person", addrs)
        self._tell()

    def guesses(self) -> list[str]:
        """Return the outer addresses that this node may have, at most MAX_GUESSES. Claimed ones come first.

        The addresses of this machine itself are left out.
        """
        here = {str(Multiaddr(addr)).rpartition("/p2p/")[0] for addr in self._own.direct}
        claimed = [addr for addrs in self._claims.values() for addr in addrs]
        found = dict.fromkeys([*claimed, *self._predicted()])
        return [addr for addr in found if addr not in here][:MAX_GUESSES]

    def _predicted(self) -> Iterator[str]:
        """Yield guesses: each IP address from which peers see this node connected, with each of its listening ports."""
        ports = {(ip.version, port) for ip, port in map(_ip_and_port, self._own.listening)}
        for ip in self._look():
            for version, port in sorted(ports):
                if version == ip.version and not ip.is_loopback:
                    yield f"/ip{version}/{ip}/tcp/{port}"

    def _look(self) -> set[Any]:
        """Return the IP addresses at which peers see this node; those of the last look if there are no peers."""
        observed = self._host._observed_addr_manager.addrs(min_observers=1)
        self._observed = {_ip_and_port(addr)[0] for addr in observed} or self._observed
        return self._observed

    async def watch(self, moved: Callable[[], None]) -> None:
        """Watch at which IP addresses peers see this node, until cancelled.

        `moved`: called when that is one at which none saw it before. The router may have got another address. Then all
        connections that went through it are dead, without a sign of it. It is called at most once in MOVED_SECONDS.
        """
        seen: set[Any] = set()
        told_at = -inf
        while True:
            observed, now = self._look(), trio.current_time()
            if seen and not observed <= seen and now - told_at >= MOVED_SECONDS:
                told_at = now
                moved()
            seen = set(observed)
            await trio.sleep(LOOK_SECONDS)

    async def run(self) -> None:
        """Ask peers to dial each guess back, again and again, until cancelled."""
        changed = self._own.changed
        while True:
            if self._own.changed is not changed:
                changed = self._own.changed
                for proof in self._proofs.values():
                    proof.due = 0.0
            guesses = self.guesses()
            for addr in guesses:
                await self._prove(addr)
            self._forget(guesses)
            with trio.move_on_after(LOOK_SECONDS):
                await changed.wait()

    async def _prove(self, addr: str) -> None:
        proof = self._proofs.setdefault(addr, Proof())
        now = trio.current_time()
        if proof.due > now:
            return
        answers: list[bool] = []
        with trio.move_on_after(PROVE_SECONDS):
            await self._ask(addr, answers)
        if not answers:
            proof.due = now + AGAIN.first
            return
        if proof.holds and addr in self._announced and not any(answers):
            self._report(
                f"{addr} is announced, and no peer reaches this node there: check the port that the router forwards"
            )
        proof.holds = any(answers)
        proof.failures = 0 if proof.holds else proof.failures + 1
        proof.due = now + (FRESH_SECONDS if proof.holds else AGAIN.wait(proof.failures))
        log.info("others %s this node at %s", "reach" if proof.holds else "do not reach", addr)
        self._tell()

    async def _ask(self, addr: str, answers: list[bool]) -> None:
        """Ask peers whether this node answers at an address, and append their answers, PROBERS at most."""
        for peer, prober in sorted(self._probers(), key=lambda one: one[0] in self._silent):
            self._silent.add(peer)  # until it has answered
            answer = await self._dial_back.ask(prober, addr)
            if answer is None:
                continue
            self._silent.discard(peer)
            answers.append(answer)
            if answer or len(answers) == PROBERS:
                return

    def _probers(self) -> list[tuple[ID, IMuxedConn]]:
        """Return the peers that can be asked to dial back, each with its newest connection. It is not relayed."""
        connections = self._host.get_network().connections
        newest = [(peer, conns[-1].muxed_conn) for peer, conns in connections.items() if conns]
        return [(peer, one) for peer, one in newest if way_of(one) != "relayed"]

    def _forget(self, guesses: Collection[str]) -> None:
        """Forget the results for addresses that are not among these guesses any more."""
        for addr in [addr for addr in self._proofs if addr not in guesses]:
            del self._proofs[addr]
        self._tell()

    def _tell(self) -> None:
        self._own.has_outer([addr for addr, proof in self._proofs.items() if proof.holds])


def _ip_and_port(addr: Multiaddr) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """Return the IP address and the port of a TCP multiaddr."""
    parts = str(addr).split("/")
    return ipaddress.ip_address(parts[2]), int(parts[4])
