"""Waits for the outcome of a command: the entry of the series that tells what came of it.

Nothing new is sent for that, and the node asks nobody: the outcome is found in the entries that the node appends, by
the mark of the command (`by`) and by what it is about. A program that stops waiting takes the command back, if it can
be taken back: its own want is cancelled, its add is ended.
"""

import os
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, assert_never

import msgspec
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.errors import FluxError
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.state import State
from flux_tui.core.vocabulary import ErrorCode
from flux_tui.node.programs.handlers import Handlers

Waitable: TypeAlias = (
    cmd.Want
    | cmd.WantMany
    | cmd.Get
    | cmd.Custom
    | cmd.Cancel
    | cmd.Add
    | cmd.CancelAdd
    | cmd.Remove
    | cmd.Hold
    | cmd.Release
    | cmd.Join
    | cmd.Leave
    | cmd.Configure
)
"""The commands that have an outcome."""


class OutcomeError(FluxError):
    """A command failed. The text is a sentence for a person; `code`, `cid`, `path` and `event` are for the program."""

    def __init__(self, text: str, code: "ErrorCode | Literal['cancelled', 'stopped']", event: Event) -> None:
        super().__init__(text)
        self.code = code
        """What failed. `cancelled`: somebody else took the command back. `stopped`: the node stopped before."""
        self.event = event
        """The event of the series that says so: mostly an `ErrorOccurred`."""
        self.cid: Cid | None = getattr(event, "cid", None)
        self.path: str | None = getattr(event, "path", None)


class Freed(NamedTuple):
    """The outcome of a `Remove`: what the store forgot. Blocks that other objects contain stay."""

    roots: tuple[Cid, ...]
    chunks: int
    size: int
    """Bytes of the blocks together."""


class _Watched:
    """A command that somebody waits for: what is still open, and the events that settled it so far."""

    def __init__(self, command: Waitable, open_items: Iterable[Any]) -> None:
        self.command = command
        self.open = dict.fromkeys(open_items)
        """What has no outcome yet: CIDs, or a single item."""
        self.events: list[Event] = []
        self.error: OutcomeError | None = None
        self.done = trio.Event()

    def settle(self, item: Any, event: Event) -> None:
        """Note that an event settles an item. After the last one, the command is done."""
        if item in self.open:
            del self.open[item]
            self.events.append(event)
        if not self.open:
            self.done.set()

    def fail(self, text: str, code: "ErrorCode | Literal['cancelled', 'stopped']", event: Event) -> None:
        """Note that the command failed."""
        if not self.done.is_set():
            self.error = OutcomeError(text, code, event)
            self.done.set()


class Outcomes:
    """Waits for the outcomes of one node's commands. `push` pushes a command; `state` returns the present state."""

    def __init__(
        self, handlers: Handlers, push: Callable[[Command], None], state: Callable[[], State]
    ) -> None:
        self._handlers = handlers
        self._push = push
        self._state = state

    async def of(self, command: Waitable) -> Any:
        """Push a command, and wait for its outcome. Raises OutcomeError, BadCommandError."""
        if not isinstance(command, Waitable):
            raise cmd.BadCommandError(f"{type(command).__name__} has no outcome: push it with push_intent")
        if command.by is None:
            command = msgspec.structs.replace(command, by=f"p{secrets.token_hex(6)}")
        cmd.check_command(command)
        settled = _settled(command, self._state())
        if settled is not None:
            if isinstance(command, cmd.Join):
                self._push(command)  # from now on the node stays connected
            await trio.lowlevel.checkpoint()
            return settled
        watched = _Watched(command, _items(command))
        held_before = isinstance(command, cmd.Hold) and command.root in self._state().holds

        def watch(entries: Sequence[Entry]) -> None:
            for entry in entries:
                if not watched.done.is_set():
                    _judge(watched, entry.event, self._state())

        unwatch = self._handlers.watch(watch)
        try:
            if isinstance(command, cmd.Leave) and not _is_connected(self._state(), command.peer):
                self._push(command)
                await trio.lowlevel.checkpoint()
                return None
            self._push(command)
            if watched.open:
                await watched.done.wait()
            else:
                await trio.lowlevel.checkpoint()
        except BaseException:
            self._take_back(watched, held_before=held_before)
            raise
        finally:
            unwatch()
        if watched.error is not None:
            self._take_back(watched, held_before=held_before)
            raise watched.error
        return _result(watched)

    def _take_back(self, watched: _Watched, *, held_before: bool) -> None:
        """Take back what this command alone asked for, because nobody waits for it any more."""
        command, state = watched.command, self._state()
        match command:
            case cmd.Want() | cmd.WantMany() | cmd.Get():
                pending = (state.pending.get(cid) for cid in watched.open)
                mine = tuple(one.cid for one in pending if one is not None and one.by == command.by)
                if mine:
                    self._push(cmd.Cancel(mine, command.by))
            case cmd.Add():
                if watched.error is None:
                    self._push(cmd.CancelAdd(command.path, command.by))
            case cmd.Hold():
                if not held_before and command.root in state.holds:
                    self._push(cmd.Release((command.root,), command.by))
            case _:
                pass  # it is done at once, or it cannot be taken back


def _items(command: Waitable) -> Iterable[Any]:
    match command:
        case cmd.Want():
            return (command.cid,)
        case cmd.WantMany() | cmd.Cancel() | cmd.Remove() | cmd.Release():
            return command.cids
        case cmd.Get() | cmd.Hold():
            return (command.root,)
        case _:
            return (None,)


def _settled(command: Waitable, state: State) -> Event | None:
    """Return the outcome of a command whose aim is reached already; None: it is not."""
    match command:
        case cmd.Join():
            peer = state.peers.get(cmd.peer_of(command.addr))
            if peer is not None and peer.connected:
                return ev.PeerConnected(peer=peer.peer, addr=peer.addr, way=peer.way, speaks=peer.speaks)
        case cmd.Get():
            known = state.objects.get(command.root)
            is_here = known is not None and known.completed_at is not None and not known.broken
            if known is not None and is_here and known.path == command.path and os.path.lexists(command.path):
                return ev.ObjectCompleted(root=command.root, size=known.size or 0, path=known.path)
        case _:
            pass
    return None


def _is_connected(state: State, addr: str) -> bool:
    peer = state.peers.get(cmd.peer_of(addr))
    return peer is not None and peer.connected


def _judge(watched: _Watched, event: Event, state: State) -> None:
    """Look at one entry. Note it if it settles the command, or tells that it failed."""
    command = watched.command
    match event:
        case ev.NodeStopped():
            watched.fail("the node stopped before", "stopped", event)
        case ev.ErrorOccurred(by=by, cid=cid) if (by is not None and by == command.by) or (
            by is not None and _is_want(command) and cid in watched.open
        ):
            watched.fail(event.text, event.code, event)
        case ev.ErrorOccurred(addr=addr) if isinstance(command, cmd.Join) and addr == command.addr:
            watched.fail(event.text, event.code, event)
        case ev.Cancelled(cids=cids) if _is_want(command):
            if any(cid in watched.open for cid in cids):
                watched.fail("it was cancelled", "cancelled", event)
        case ev.ObjectCompleted() if _is_want(command):
            if not isinstance(command, cmd.Get) or event.path == command.path:
                watched.settle(event.root, event)
        case ev.ChunkReceived(cid=cid) if isinstance(command, cmd.Want | cmd.WantMany) and is_leaf(cid):
            # A chunk that is wanted by itself is complete with that: no further entry says so.
            watched.settle(cid, ev.ObjectCompleted(root=cid, size=event.size, path=None, by=command.by))
        case ev.AddCancelled() if isinstance(command, cmd.Add) and event.by == command.by:
            watched.fail(f"adding {event.path} was cancelled", "cancelled", event)
        case _:
            _judge_others(watched, event, state)


def _judge_others(watched: _Watched, event: Event, state: State) -> None:  # noqa: C901 - a flat match
    command = watched.command
    mine = getattr(event, "by", None) == command.by
    match command, event:
        case cmd.Add(), ev.ObjectAdded() if mine:
            watched.settle(None, event)
        case cmd.CancelAdd(), ev.AddCancelled() if event.path == command.path:
            watched.settle(None, event)
        case cmd.Remove(), ev.ObjectFreed() if mine:
            watched.settle(event.root, event)
        case cmd.Cancel() | cmd.Release(), ev.Cancelled() | ev.Released() if mine:
            for cid in event.cids:
                watched.settle(cid, event)
        case cmd.Cancel() | cmd.Release(), ev.ReplicaDropped() if mine:
            watched.settle(event.root, event)
        case cmd.Hold(), ev.HoldRequested() | ev.ReplicaHeld() if event.root == command.root:
            hold = state.holds.get(command.root)
            if hold is not None and hold.whole >= command.replicas:
                watched.settle(event.root, event)
        case cmd.Hold(), ev.Released() if command.root in event.cids:
            watched.fail("it was released", "cancelled", event)
        case cmd.Join(), ev.PeerConnected() if event.peer == cmd.peer_of(command.addr):
            watched.settle(None, event)
        case cmd.Leave(), ev.PeerDisconnected() if event.peer == cmd.peer_of(command.peer):
            watched.settle(None, event)
        case cmd.Configure(), ev.PolicyChanged() if mine:
            watched.settle(None, event)
        case cmd.Custom(), ev.PushedCustom() if mine:
            watched.settle(None, event)
        case _:
            pass


def _is_want(command: Waitable) -> bool:
    return isinstance(command, cmd.Want | cmd.WantMany | cmd.Get)


def _result(watched: _Watched) -> Any:
    """Return the outcome of a command that succeeded, in the form that `FluxNode.outcome` promises."""
    command, events = watched.command, watched.events
    match command:
        case cmd.WantMany() | cmd.Cancel() | cmd.Release():
            return tuple(events)
        case cmd.Remove():
            freed = [event for event in events if isinstance(event, ev.ObjectFreed)]
            return Freed(command.cids, sum(one.chunks for one in freed), sum(one.size for one in freed))
        case (
            cmd.Want() | cmd.Get() | cmd.Hold() | cmd.Custom() | cmd.Add() | cmd.CancelAdd() | cmd.Join() | cmd.Leave()
            | cmd.Configure()
        ):  # fmt: skip
            return events[0]
        case _:
            assert_never(command)
