"""The node for programs on asyncio: the same verbs as `flux_tui.FluxNode`, which is for trio.

    async with FluxNode.open("home") as node:             # asyncio
        async with asyncio.timeout(10):
            print((await node.outcome(Add(Path("film.mkv")))).root)

The node runs in this thread, on asyncio's loop: trio's guest mode takes turns with it. So the verbs that return at once
are plain calls, and functions that the node calls run where the program runs. A program that blocks the loop blocks the
node, too.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial, wraps
from typing import Any, Generic, ParamSpec, TypeVar, overload

import trio
from typing_extensions import override

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.state import ObjectState, State
from flux_tui.home import Home
from flux_tui.node import node as trio_node
from flux_tui.node.programs.explanations import Explanation
from flux_tui.node.programs.follower import Follower as TrioFollower
from flux_tui.node.programs.handlers import Handler, Subscription
from flux_tui.node.programs.object_bytes import Pieces as TrioPieces
from flux_tui.node.programs.outcomes import Freed, Waitable

E = TypeVar("E", bound=ev.EventBase)
T = TypeVar("T")
P = ParamSpec("P")


def _as_guest(
    opening: Callable[P, AbstractAsyncContextManager[trio_node.FluxNode]],
) -> "Callable[P, AbstractAsyncContextManager[FluxNode]]":
    """Return a function with the parameters of `opening`, which opens the same node for a program on asyncio."""

    @asynccontextmanager
    @wraps(opening)
    async def opened(*args: P.args, **words: P.kwargs) -> "AsyncIterator[FluxNode]":
        guest = _Guest(partial(opening, *args, **words))
        node = await guest.start()
        try:
            yield FluxNode(node, guest)
        finally:
            await guest.stop()

    return opened


class FluxNode:
    """A running node. Programs make one with `FluxNode.open` only. `flux_tui.FluxNode` describes each verb."""

    def __init__(self, node: trio_node.FluxNode, guest: "_Guest") -> None:
        self._node = node
        self._guest = guest
        self.peer_id: PeerId = node.peer_id
        self.home: Home = node.home

    open = staticmethod(_as_guest(trio_node.FluxNode.open))
    """Open a home and start its node. On leaving the context, the node stops in order.

    The arguments and errors are those of `flux_tui.FluxNode.open`.
    """

    # ── push ────────────────────────────────────────────────────────────────────────────────────

    def push_intent(self, intent: cmd.Command) -> None:
        """Push a command into the node, and return at once. Its outcome is appended to the series."""
        self._node.push_intent(intent)

    @overload
    async def outcome(self, command: cmd.Add) -> ev.ObjectAdded: ...
    @overload
    async def outcome(self, command: cmd.Get | cmd.Want) -> ev.ObjectCompleted: ...
    @overload
    async def outcome(self, command: cmd.WantMany) -> tuple[ev.ObjectCompleted, ...]: ...
    @overload
    async def outcome(self, command: cmd.Remove) -> Freed: ...
    @overload
    async def outcome(self, command: cmd.Cancel) -> tuple[ev.Cancelled | ev.ReplicaDropped, ...]: ...
    @overload
    async def outcome(self, command: cmd.Release) -> tuple[ev.Released | ev.ReplicaDropped, ...]: ...
    @overload
    async def outcome(self, command: cmd.CancelAdd) -> ev.AddCancelled: ...
    @overload
    async def outcome(self, command: cmd.Hold) -> ev.HoldRequested | ev.ReplicaHeld: ...
    @overload
    async def outcome(self, command: cmd.Join) -> ev.PeerConnected: ...
    @overload
    async def outcome(self, command: cmd.Leave) -> ev.PeerDisconnected | None: ...
    @overload
    async def outcome(self, command: cmd.Configure) -> ev.PolicyChanged: ...
    @overload
    async def outcome(self, command: cmd.Custom) -> ev.PushedCustom: ...

    async def outcome(self, command: Waitable) -> Any:
        """Push a command, and wait until the series says what came of it. A cancelled task takes the command back."""
        return await self._guest.run(partial(self._node.outcome, command))

    def get_chunk(self, cid: Cid) -> None:
        """Push a want for one chunk or object."""
        self._node.get_chunk(cid)

    def want_multiple_chunks(self, cids: Iterable[Cid]) -> None:
        """Push wants for many chunks or objects."""
        self._node.want_multiple_chunks(cids)

    def answer(self, peer: PeerId, kind: str, payload: bytes = b"") -> None:
        """Push a custom message to one peer."""
        self._node.answer(peer, kind, payload)

    def retry_pending(self) -> None:
        """Push all pending wants again now."""
        self._node.retry_pending()

    # ── derive ──────────────────────────────────────────────────────────────────────────────────

    def derive_state(self) -> State:
        """Return the state after the latest entry."""
        return self._node.derive_state()

    def derive_chunks(self) -> Mapping[Cid, bytes]:
        """Return all stored chunks by CID."""
        return self._node.derive_chunks()

    def check_if_arrived(self, cid: Cid) -> bytes | None:
        """Return the bytes of a chunk; None if it is not in the store."""
        return self._node.check_if_arrived(cid)

    async def read(self, root: Cid, path: str = "") -> bytes:
        """Return the content of a file: the object `root` itself, or the file at a path in this folder."""
        return await self._guest.run(partial(self._node.read, root, path))

    def read_pieces(self, root: Cid, path: str = "") -> "Pieces":
        """Return a stream of a file's content."""
        return Pieces(self._node.read_pieces(root, path), self._guest)

    def is_pending(self, cid: Cid) -> bool:
        """Whether this object or chunk was asked for here and is not complete yet."""
        return self._node.is_pending(cid)

    def count_pending(self) -> int:
        """Return the number of objects and chunks that were asked for and are not complete yet."""
        return self._node.count_pending()

    def why(self, cid: Cid) -> Explanation:
        """Explain why an object or chunk is not complete. Raises NotPendingError."""
        return self._node.why(cid)

    def objects(self) -> tuple[ObjectState, ...]:
        """Return the objects of this node: wanted, fetched and shared."""
        return self._node.objects()

    @property
    def addrs(self) -> tuple[str, ...]:
        """The multiaddrs at which other nodes can dial this node."""
        return self._node.addrs

    # ── data that arrives ───────────────────────────────────────────────────────────────────────

    def on_data(self, kind: str, handler: Handler) -> None:
        """Call `handler(entry)` for each entry of a kind."""
        self._node.on_data(kind, handler)

    def listen(self, kind: str) -> None:
        """Keep the payloads of custom messages of a kind in the series from now on."""
        self._node.listen(kind)

    def on(
        self, event: type[E], *, kind: str | None = None
    ) -> Callable[[Callable[[E], object]], Subscription[E]]:
        """Decorate a function that is called with each event of this class."""
        return self._node.on(event, kind=kind)

    @overload
    def follow(self, *, after: int | None = None) -> "Follower[ev.Event]": ...
    @overload
    def follow(
        self, event: type[E], *, kind: str | None = None, after: int | None = None
    ) -> "Follower[E]": ...

    def follow(
        self, event: type[Any] = ev.EventBase, *, kind: str | None = None, after: int | None = None
    ) -> "Follower[Any]":
        """Return a stream of the entries of this class: first the past, then what happens."""
        return Follower(self._node.follow(event, kind=kind, after=after), self._guest)

    async def stopping(self) -> None:
        """Wait until a stop was asked for, by a command to this home."""
        await self._guest.run(self._node.stopping.wait)


class Follower(AsyncIterator[Entry[E]], Generic[E]):
    """An async stream of a series' entries. `seq`: the number of the entry up to which it has read."""

    def __init__(self, follower: TrioFollower[Any], guest: "_Guest") -> None:
        self._follower = follower
        self._guest = guest

    @property
    def seq(self) -> int:
        """The number of the entry up to which it has read."""
        return self._follower.seq

    @override
    async def __anext__(self) -> Entry[E]:
        found = await self._guest.run(partial(anext, self._follower, None))
        if found is None:
            raise StopAsyncIteration
        entry: Entry[E] = found
        return entry


class Pieces(AsyncIterator[bytes]):
    """A stream of a file's content."""

    def __init__(self, pieces: TrioPieces, guest: "_Guest") -> None:
        self._pieces = pieces
        self._guest = guest

    @override
    async def __anext__(self) -> bytes:
        found: bytes | None = await self._guest.run(partial(anext, self._pieces, None))
        if found is None:
            raise StopAsyncIteration
        return found


class _Guest:
    """A trio run as a guest of asyncio's loop: it opens a node, and runs functions beside it."""

    def __init__(self, opening: Callable[[], Any]) -> None:
        self._opening = opening
        self._loop = asyncio.get_running_loop()
        self._node: asyncio.Future[trio_node.FluxNode] = self._loop.create_future()
        self._ended: asyncio.Future[None] = self._loop.create_future()
        self._nursery: trio.Nursery | None = None
        self._stop = trio.Event()

    async def start(self) -> trio_node.FluxNode:
        """Open the node. Raises what `FluxNode.open` raises."""
        trio.lowlevel.start_guest_run(
            self._main,
            run_sync_soon_threadsafe=self._soon,
            done_callback=self._done,
            host_uses_signal_set_wakeup_fd=True,
        )
        try:
            return await asyncio.shield(self._node)
        except asyncio.CancelledError:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Stop the node in order, and wait for that. Raises what ended the node before, if something did."""
        self._stop.set()
        cancelled = False
        while not self._ended.done():
            try:
                await asyncio.shield(self._ended)
            except asyncio.CancelledError:
                cancelled = True  # the node is stopped in order all the same; that takes some seconds at most
        if cancelled:
            raise asyncio.CancelledError
        self._ended.result()

    async def run(self, function: Callable[[], Awaitable[T]]) -> T:
        """Run an async function of trio, and return its result. A cancelled task cancels it, and waits for its end."""
        if self._nursery is None or self._ended.done():
            raise RuntimeError("the node has stopped")
        result: asyncio.Future[T] = self._loop.create_future()
        scope = trio.CancelScope()
        self._nursery.start_soon(self._run, function, scope, result)
        try:
            return await asyncio.shield(result)
        except asyncio.CancelledError:
            scope.cancel()
            await asyncio.wait([result])
            result.exception()  # it is told, if there is one, by the series
            raise

    @staticmethod
    async def _run(
        function: Callable[[], Awaitable[T]], scope: trio.CancelScope, result: "asyncio.Future[T]"
    ) -> None:
        try:
            with scope:
                result.set_result(await function())
        except Exception as error:
            result.set_exception(error)
        finally:
            if not result.done():
                result.set_exception(RuntimeError("the node has stopped"))

    async def _main(self) -> None:
        try:
            async with self._opening() as node, trio.open_nursery() as nursery:
                self._nursery = nursery
                self._node.set_result(node)
                await self._stop.wait()
                nursery.cancel_scope.cancel()
        except Exception as error:
            if self._node.done():
                raise
            self._node.set_exception(error)

    def _soon(self, step: Callable[[], None]) -> None:
        self._loop.call_soon_threadsafe(step)

    def _done(self, outcome: Any) -> None:
        if self._ended.done():
            return
        error: BaseException | None = getattr(outcome, "error", None)
        if error is not None:
            self._ended.set_exception(error)
        else:
            self._ended.set_result(None)
