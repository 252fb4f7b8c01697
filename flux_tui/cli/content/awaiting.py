"""`--wait`: follow the series of a home until what a command pushed has come about, or until its time is over."""

import contextlib
import time
from collections.abc import Callable, Iterable, Sequence
from math import inf
from types import TracebackType

from flux_tui.cli.arguments.time_limit import Patience, late
from flux_tui.cli.home_and_series import catch_up, fold, new_mark, open_series
from flux_tui.cli.output import Failure, are_words_for_programs, print_json, say
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home, HomeError
from flux_tui.petnames import PetNames
from flux_tui.store.database import StoreError

POLL_SECONDS = 0.05
SETTLE_SECONDS = 2.0
"""Seconds for the node to take what was pushed, before it is taken back."""


class Awaiting:
    """Follows the series from the moment before a command is pushed, as a context manager.

    What is pushed with the mark `mark` is taken back if the command ends early, unless `patience` says otherwise.
    """

    def __init__(self, home: Home, patience: Patience, *, as_json: bool) -> None:
        self._home = home
        self._patience = patience
        self._as_json = as_json
        self.mark = new_mark()
        self._reader = open_series(home)
        self._state = fold(self._reader)
        self._take_back: Callable[[], Sequence[cmd.Command]] = tuple
        self._taken: Callable[[], bool] = lambda: True

    def __enter__(self) -> "Awaiting":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None and not self._patience.keep:
            with contextlib.suppress(HomeError, StoreError):  # then there is nothing left to take back
                deadline = time.monotonic() + SETTLE_SECONDS
                while True:
                    catch_up(self._reader, self._state)
                    if self._taken() or time.monotonic() >= deadline or self._home.running() is None:
                        break
                    time.sleep(POLL_SECONDS)
                self._home.push(*self._take_back())
        self._reader.close()

    def wants(self, cids: Sequence[Cid]) -> None:
        """Wait until all of these objects and chunks are here. Raises Failure."""
        missing = dict.fromkeys(cids)
        errors: list[str] = []
        self._taken = lambda: bool(errors) or all(cid in self._state.pending for cid in missing)
        self._take_back = lambda: [cmd.Cancel(part, self.mark) for part in cmd.in_parts(self._mine(missing))]

        def see(entry: Entry) -> None:
            match entry.event:
                case ev.ObjectCompleted(root=cid, size=size) if cid in missing:
                    self._came(missing, cid, size)
                case ev.ChunkReceived(cid=cid, size=size) if cid in missing and is_leaf(cid):
                    self._came(missing, cid, size)
                case ev.Cancelled(cids=gone) if gone_here := [cid for cid in gone if cid in missing]:
                    errors.append(f"the want for {gone_here[0]} was cancelled")
                case ev.ErrorOccurred(by=by, cid=cid, text=text) if by is not None:
                    if by == self.mark or cid in missing:
                        errors.append(text)
                case _:
                    pass

        self._until(
            lambda: not missing,
            see,
            errors,
            lambda: late(
                self._state,
                next((cid for cid in missing if cid in self._state.pending), next(iter(missing))),
                PetNames(self._home),
                as_json=self._as_json,
            ),
        )

    def peers(self, addrs: Sequence[str]) -> None:
        """Wait until the peer at each of these addresses is connected. Several may lead to one peer.

        Raises Failure: the time is over; or there is no limit, and a peer answered at none of its addresses.
        """
        known = set(self._state.peers)
        failed: dict[str, str] = {}

        def lacking() -> list[PeerId]:
            peers = dict.fromkeys(map(cmd.peer_of, addrs))
            return [one for one in peers if (at := self._state.peers.get(one)) is None or not at.connected]

        self._take_back = lambda: [cmd.Leave(peer, self.mark) for peer in lacking() if peer not in known]

        def see(entry: Entry) -> None:
            match entry.event:
                case ev.ErrorOccurred(addr=addr, text=text) if addr is not None and addr in addrs:
                    failed[addr] = text
                case _:
                    pass

        def why() -> Failure:
            peer = lacking()[0]
            texts = [failed[addr] for addr in addrs if addr in failed and cmd.peer_of(addr) == peer]
            text = texts[0] if texts else f"{peer} has not answered in time"
            if self._as_json:
                print_json({"event": "timeout", "peer": peer, "text": text})
            return Failure(text)

        self._until(
            lambda: not lacking(),
            see,
            [],
            why,
            lambda: (
                self._endless
                and bool(lacking())
                and all(addr in failed for addr in addrs if cmd.peer_of(addr) == lacking()[0])
            ),
        )
        for peer in dict.fromkeys(map(cmd.peer_of, addrs)):
            self._tell(
                {"event": "connected", "peer": peer, "addr": self._state.peers[peer].addr},
                f"{peer} is connected",
            )

    def replicas(self, root: Cid, number: int) -> None:
        """Wait until so many replicas of an object are whole at other nodes. Raises Failure."""
        held_before = root in self._state.holds
        errors: list[str] = []
        self._taken = lambda: bool(errors) or root in self._state.holds
        self._take_back = lambda: (
            [] if held_before or root not in self._state.holds else [cmd.Release((root,), self.mark)]
        )

        def see(entry: Entry) -> None:
            match entry.event:
                case ev.ErrorOccurred(by=by, text=text) if by == self.mark:
                    errors.append(text)
                case ev.Released(cids=gone) if root in gone:
                    errors.append("it was released")
                case _:
                    pass

        def whole() -> int:
            hold = self._state.holds.get(root)
            return 0 if hold is None else hold.whole

        def why() -> Failure:
            hold = self._state.holds.get(root)
            names = StateNames(self._state, PetNames(self._home), whole=are_words_for_programs())
            said = [
                f"{names.peer(no.peer)} {no.reason}"
                for no in (hold.refused.values() if hold is not None else ())
            ]
            text = f"{whole()} of {counted(number, 'replica')} are whole" + (
                f"; refused by {', '.join(said)}" if said else "; no other peer has answered"
            )
            if self._as_json:
                print_json({"event": "timeout", "cid": root, "text": text})
            return Failure(text)

        self._until(lambda: whole() >= number, see, errors, why)
        self._tell(
            {"event": "done", "cid": root, "replicas": whole()}, f"{counted(whole(), 'replica')} whole"
        )

    def _is_explained(self) -> bool:
        """Whether the node has taken what was pushed, so that the series tells why it is not done; or is too slow."""
        return self._taken() or time.monotonic() >= self._patience.deadline + SETTLE_SECONDS

    def _mine(self, cids: Iterable[Cid]) -> list[Cid]:
        """Return those of these CIDs that are pending because of this command."""
        pending = self._state.pending
        return [cid for cid in cids if cid in pending and pending[cid].by == self.mark]

    @property
    def _endless(self) -> bool:
        return self._patience.deadline == inf

    def _came(self, missing: dict[Cid, None], cid: Cid, size: int | None) -> None:
        del missing[cid]
        self._tell({"event": "done", "cid": cid, "size": size}, f"{cid}: {human_size(size or 0)}, verified")

    def _tell(self, fields: dict[str, object], words: str) -> None:
        if self._as_json:
            print_json(fields)
        else:
            say(words)

    def _until(
        self,
        done: Callable[[], bool],
        see: Callable[[Entry], None],
        errors: Sequence[str],
        why: Callable[[], Failure],
        hopeless: Callable[[], bool] = lambda: False,
    ) -> None:
        while True:
            catch_up(self._reader, self._state, None, see)
            if errors:
                raise Failure(errors[0])
            if done():
                return
            if hopeless() or (self._patience.over and self._is_explained()):
                raise why()
            if self._home.running() is None:
                raise Failure("the node stopped before that: the same command goes on")
            time.sleep(POLL_SECONDS)
