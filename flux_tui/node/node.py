"""FluxNode: a node as a program uses it. It pushes, appends and derives; nothing waits for a peer.

    async with FluxNode.open("my-home") as node:          # trio
        node.push_intent(Want(cid))                         # returns at once
        node.on(ChunkReceived)(lambda event: print(event.cid))
        state = node.derive_state()                         # at any time
        whole = await node.outcome(Get(cid, Path("film")))  # waits for the series, never for a peer

The node is the only writer of its home's series: a second one gets a HomeBusyError.
"""

import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, overload

import trio

from flux_tui import __version__
from flux_tui.clock import SteadyClock
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.machine import Machine
from flux_tui.core.machine_recording import Recorder
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import copy
from flux_tui.core.series.state import ObjectState, State
from flux_tui.home import Home
from flux_tui.metrics.families import Family, state_families
from flux_tui.metrics.machine_figures import LiveFigures, disk_families, live_families
from flux_tui.net.port import Network, OpenNetwork
from flux_tui.node import process_memory
from flux_tui.node.command_socket import serve_inbox
from flux_tui.node.disk.add_task import AddTasks
from flux_tui.node.disk.chunk_reader import ChunkReader, chunks_gone
from flux_tui.node.disk.chunk_writer import ChunkWriter
from flux_tui.node.disk.object_work_queue import ObjectFiles
from flux_tui.node.disk.series_keeper import SeriesKeeper
from flux_tui.node.disk.stored_state import Told, load_for_node
from flux_tui.node.effect_runner import EffectRunner
from flux_tui.node.engine import Engine
from flux_tui.node.libp2p_of_settings import libp2p_network
from flux_tui.node.programs.explanations import Explanation, Explanations
from flux_tui.node.programs.follower import Follower, SeriesPages
from flux_tui.node.programs.handlers import Handler, Handlers, Subscription
from flux_tui.node.programs.hooks import ShouldAnswer
from flux_tui.node.programs.object_bytes import Pieces
from flux_tui.node.programs.outcomes import Freed, Outcomes, Waitable
from flux_tui.node.programs.stored_chunks import StoredChunks
from flux_tui.node.receiver import NodeParts, NodeReceiver
from flux_tui.store.store import Store

log = logging.getLogger(__name__)

E = TypeVar("E", bound=ev.EventBase)


CHECKPOINT_AT_START = 1_000
"""A node that has to fold more entries than this when it opens saves a checkpoint at once, so that nodes that live
shortly have checkpoints, too."""
CLOCK_SECONDS = 1.0
"""Seconds between two looks at the wall clock."""
STOP_SECONDS = 5.0
"""Seconds for the last entries to become durable."""
LINGER_SECONDS = 0.1
"""Seconds for peers to read what was written: closing at once would discard it."""
GOODBYE_SECONDS = 0.3
"""Seconds to tell peers that this node is leaving. Slower peers notice it by themselves."""


class FluxNode:
    """A running node. Programs make one with `FluxNode.open` only."""

    def __init__(
        self,
        home: Home,
        engine: Engine,
        network: Network,
        effects: EffectRunner,
        handlers: Handlers,
        stopping: trio.Event,
    ) -> None:
        self.home = home
        self.store = engine.store
        self.peer_id = network.peer_id
        self.stopping = stopping
        """Set when a stop was asked for. The program that opened the node then leaves its context."""
        self.clock = engine.clock
        """Timers use its steady time. Entries carry the time of the wall clock."""
        self._engine = engine
        self._machine = engine.machine
        self._network = network
        self._effects = effects
        self._handlers = handlers
        self._snapshot: State | None = None
        self._explanations = Explanations()
        self._pages = SeriesPages(self.store, handlers)
        self._outcomes = Outcomes(handlers, self.push_intent, lambda: self._machine.state)

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        home: Home | Path | str,
        settings: Settings | None = None,
        *,
        network: OpenNetwork | None = None,
        recorder: Recorder | None = None,
        commands: bool = False,
        listens: Iterable[str] = (),
        should_answer: ShouldAnswer | None = None,
        told: Told | None = None,
    ) -> AsyncIterator["FluxNode"]:
        """Open a home and start its node. On leaving the context, the node stops in order.

        `settings`: None: read them from the home's file. `network`: None: libp2p. `recorder`: records all
        inputs of the node's machine (core/machine_recording.py); None: they are not recorded.

        - `commands`: also take the commands that the command line and the dashboard push to this home. After a `stop`,
          `stopping` is set, and the program leaves the context when it likes.
        - `listens`: kinds of custom messages whose payloads the series keeps, from the first one on.
        - `should_answer(intent, peer)`: decides for each want or hold of a peer: True: it is answered as the policy
          says; False: it is not answered; a `Refusal`: it is answered NO, with the program's reason. It must not
          block. A peer is then sent only what was offered to it.
        - `told(done, total)`: is called in a thread, now and then, while a long series is read.

        Raises HomeError (busy, not writable), SettingsError (in the home's file), StoreError (damaged, from a
        newer version), NetworkError (port in use).
        """
        place = home if isinstance(home, Home) else Home(Path(home))
        failed: BaseException | None = None
        try:
            async with AsyncExitStack() as stack:
                node = await cls._bring_up(
                    stack,
                    place,
                    settings,
                    network,
                    recorder,
                    told,
                    listens=tuple(listens),
                    hook=should_answer,
                )
                if commands:
                    await stack.enter_async_context(node._serve_commands())
                try:
                    yield node
                except BaseException as error:
                    failed = error
                    raise
        except BaseExceptionGroup as group:
            # An exception of the context's body comes through many nurseries: raise it bare. A body that was
            # cancelled because something else failed says nothing: then raise the failure.
            if failed is None or isinstance(failed, trio.Cancelled):
                failed = _sole(group)
                raise failed from failed.__cause__
            raise failed from None

    @classmethod
    async def _bring_up(
        cls,
        stack: AsyncExitStack,
        home: Home,
        settings: Settings | None,
        network: OpenNetwork | None,
        recorder: Recorder | None,
        told: Told | None,
        *,
        listens: tuple[str, ...] = (),
        hook: ShouldAnswer | None = None,
    ) -> "FluxNode":
        stack.enter_context(home.lock())
        settings = settings or Settings.load(home)
        opening_store = partial(Store.open, home.path, keep_free=settings.keep_free)
        store = await trio.to_thread.run_sync(opening_store)
        stack.callback(store.close)
        state, folded = await trio.to_thread.run_sync(load_for_node, home, store, told)
        opening = network or libp2p_network(home, settings, __version__, state.at)
        # The network's first calls may come before the node is complete: the receiver keeps them. The machine
        # is made after the network, which knows this node's id and addresses once it is open.
        receiver = NodeReceiver()
        running = await stack.enter_async_context(opening(receiver))
        clock = SteadyClock(state.at)
        make = Machine if recorder is None else recorder.machine
        machine = make(
            running.peer_id,
            state,
            store.chunks,
            random.Random().random,  # noqa: S311 - jitter, no secret
            max_pending=settings.max_pending,
            policy=settings.policy,
        )
        engine = Engine(machine, store, clock)
        if folded > CHECKPOINT_AT_START:
            engine.save_state()
        nursery = await stack.enter_async_context(trio.open_nursery())
        reader, writer = ChunkReader(engine, running), ChunkWriter(engine)
        files, adds = ObjectFiles(engine, home.path), AddTasks(engine, nursery)
        stopping = trio.Event()
        keeper = SeriesKeeper(engine, settings.keep_rule, settings.archive_folder(home))
        effects = EffectRunner(engine, running, reader, files, adds, stopping, keeper)
        handlers = Handlers(engine)
        node = cls(home, engine, running, effects, handlers, stopping)
        engine.feed(inp.NodeStarting(running.addrs, __version__, clock.wall(), settings.min_peers))
        nursery.start_soon(writer.run)
        near = [addr for addr in running.addrs if "/p2p-circuit/" not in addr]
        if not settings.listen and near:
            home.remember_port(int(near[0].split("/")[4]))
        for lost in store.lost_at_open:
            engine.feed(chunks_gone(lost), lost=lost.cids)
        for kind in listens:
            node.listen(kind)
        if hook is not None:
            receiver.decide_by(hook)
        receiver.attach(NodeParts(engine, running, writer, reader))
        nursery.start_soon(engine.run, effects.run, handlers.tell)
        nursery.start_soon(_look_every_second, engine, clock, keeper)
        nursery.start_soon(files.run)
        nursery.start_soon(keeper.run)
        for addr in settings.join:
            node.push_intent(cmd.Join(addr))
        stack.push_async_callback(node._stop, nursery)
        return node

    # ── push ────────────────────────────────────────────────────────────────────────────────────

    def push_intent(self, intent: cmd.Command) -> None:
        """Push a command into the node, and return at once. Its outcome is appended to the series.

        A `Path` in a command may be relative to the working folder. Raises BadCommandError for a command that can never
        be done, such as a want with an invalid CID.
        """
        self._take(intent)

    def _take(self, intent: cmd.Command) -> None:
        """Feed a command to the machine, from a program or from the command socket."""
        cmd.check_command(intent)
        if isinstance(intent, cmd.Cancel):
            self._explanations.remember(self._machine.state, intent.cids, self.clock.wall())
        with process_memory.paused() if isinstance(intent, cmd.WantMany) else nullcontext():
            self._engine.feed(inp.Commanded(intent))

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
        """Push a command, and wait until the series says what came of it. Returns the event that says so.

        It has no deadline of its own: put it into `trio.fail_after`. Leaving it early takes the command back: a want
        that was not there before is cancelled, an add is ended. `Hold` waits until all its replicas are whole, `Leave`
        returns None if the peer was not connected. Raises OutcomeError (a FluxError) if the command failed, and
        BadCommandError.
        """
        return await self._outcomes.of(command)

    def get_chunk(self, cid: Cid) -> None:
        """Push a want for one chunk or object. The bytes arrive later; see `check_if_arrived`."""
        self.push_intent(cmd.Want(cid))

    def want_multiple_chunks(self, cids: Iterable[Cid]) -> None:
        """Push wants for many chunks or objects. The bytes arrive later; see `check_if_arrived`."""
        self.push_intent(cmd.WantMany(tuple(cids)))

    def answer(self, peer: PeerId, kind: str, payload: bytes = b"") -> None:
        """Push a custom message to one peer. The peer must be connected, or this node must have got an intent from it.

        `kind`: the program's own name for such messages.
        """
        self.push_intent(cmd.Custom(kind, payload, peer))

    def retry_pending(self) -> None:
        """Push all pending wants again now, even if their next push is not due."""
        self.push_intent(cmd.Retry())

    # ── derive ──────────────────────────────────────────────────────────────────────────────────

    def derive_state(self) -> State:
        """Return the state after the latest entry. The caller may keep it: the node does not change it.

        A new copy is made only if something has happened since the last one. A copy takes some 0.7 µs for each
        pending want, object and peer: 35 ms with 50,000 pending. For frequent questions use `count_pending`,
        `is_pending` and `check_if_arrived`, which copy nothing.
        """
        if self._snapshot is None or self._snapshot.seq != self._machine.state.seq:
            self._snapshot = copy(self._machine.state)
            self._snapshot.__dict__["held"] = self.derive_chunks()
        return self._snapshot

    def derive_chunks(self) -> Mapping[Cid, bytes]:
        """Return all stored chunks by CID. The bytes of a chunk are read from disk when it is looked up."""
        return StoredChunks(self.store)

    def check_if_arrived(self, cid: Cid) -> bytes | None:
        """Return the bytes of a chunk; None if it is not in the store."""
        return self.derive_chunks().get(cid)

    async def read(self, root: Cid, path: str = "") -> bytes:
        """Return the content of a file: the object `root` itself, or the file at a path in this folder.

        All of it is in memory at once: `read_pieces` is for large files. Nothing is fetched. Raises ReadError; if a
        block is missing, the NotHereError with its CID.
        """
        return await self.read_pieces(root, path).whole()

    def read_pieces(self, root: Cid, path: str = "") -> Pieces:
        """Return a stream of a file's content: `async for piece in node.read_pieces(root)`.

        A piece is at most one block. Raises ReadError while it is read, as `read` does.
        """
        return Pieces(self.store.chunks, root, path)

    def is_pending(self, cid: Cid) -> bool:
        """Whether this object or chunk was asked for by this node's user and is not complete yet."""
        return cid in self._machine.state.pending

    def metrics(self, loop_lag: float = 0.0) -> list[Family]:
        """Return this node's metrics as they are now. Nothing is copied.

        `loop_lag`: seconds by which the loop of the node's tasks was late, where that is measured.
        """
        state, uploads = self._machine.state, self._machine.responder.uploads
        live = LiveFigures(
            uploads=len(uploads),
            upload_queue_bytes=uploads.size,
            uncommitted_entries=state.seq - self.store.last_seq,
            stalled=self._engine.stalled,
        )
        return [
            *state_families(state, self.clock.wall(), running=True),
            *disk_families(self.home, self.store.disk_space.keep_free),
            *live_families(live, loop_lag),
        ]

    def why(self, cid: Cid) -> Explanation:
        """Explain why an object or chunk is not complete: what each peer has and said, and this node's next step.

        A want that was cancelled is explained as it was just before. As text, it is a sentence for a person. Raises
        NotPendingError if it is not pending. Nothing but the result is copied.
        """
        return self._explanations.of(self._machine.state, cid, self.clock.wall())

    def objects(self) -> tuple[ObjectState, ...]:
        """Return the objects of this node: wanted, fetched and shared. They are copies; `derive_state` has all else."""
        return tuple(self.derive_state().objects.values())

    def count_pending(self) -> int:
        """Return the number of objects and chunks that were asked for and are not complete yet."""
        state = self._machine.state
        held = sum(1 for root in state.kept if (found := state.pending.get(root)) is not None and found.held)
        return len(state.pending) - held

    @property
    def addrs(self) -> tuple[str, ...]:
        """The multiaddrs at which other nodes can dial this node."""
        return self._network.addrs

    # ── data that arrives ───────────────────────────────────────────────────────────────────────

    def on_data(self, kind: str, handler: Handler) -> None:
        """Call `handler(entry)` for each entry of a kind, once the entry is durable.

        `on` is the same with types.

        `kind` is `chunk`, `status`, `error`, any event's tag, or a kind of custom messages (their entries are
        `custom_received`). The handler must not block. If it raises, an error entry is appended, and nothing more
        happens. Raises BadCommandError for an invalid kind.
        """
        if kind not in cmd.DATA_KINDS and kind not in ev.EVENT_KINDS:
            self.listen(kind)
            self._handlers.add_custom(kind, handler)
            return
        for tag in cmd.DATA_KINDS.get(kind, (kind,)):
            self._handlers.add(tag, handler)

    def listen(self, kind: str) -> None:
        """Keep the payloads of custom messages of a kind in the series from now on. Raises BadCommandError."""
        cmd.check_kind(kind)
        self._engine.feed(inp.ListenerAdded(kind=kind))

    def on(
        self, event: type[E], *, kind: str | None = None
    ) -> Callable[[Callable[[E], object]], Subscription[E]]:
        """Decorate a function that is called with each event of this class, once its entry is durable.

            @node.on(StatusNo)
            def refused(event: StatusNo) -> None: ...

            refused.unsubscribe()

        `event` may be a base class, such as `EventBase`: all events. `kind`: only custom messages of this kind. The
        function must not block. If it raises, an error entry is appended, and nothing more happens. Raises
        BadCommandError for an invalid kind.
        """
        chosen = self._chosen(event, kind)
        return lambda function: self._handlers.subscribe(event, chosen, function)

    @overload
    def follow(self, *, after: int | None = None) -> Follower[ev.Event]: ...
    @overload
    def follow(self, event: type[E], *, kind: str | None = None, after: int | None = None) -> Follower[E]: ...

    def follow(
        self, event: type[Any] = ev.EventBase, *, kind: str | None = None, after: int | None = None
    ) -> Follower[Any]:
        """Return a stream of the entries of this class: `async for entry in node.follow(StatusNo)`.

        `after`: begin after the entry of this number; 0: with the first one of the series. None: with the next that
        comes. The past comes first, then what happens; nothing is left out, however slow the program is. `kind`: only
        custom messages of this kind. Raises BadCommandError for an invalid kind.
        """
        seq = self._pages.durable if after is None else after
        return Follower(self._pages, seq, self._chosen(event, kind))

    def _chosen(self, event: type[Any], kind: str | None) -> Callable[[Any], bool]:
        """Return whether an event is of this class and kind, as a function. Listen for the kind."""
        if kind is None:
            return lambda one: isinstance(one, event)
        if event is ev.CustomReceived:
            self.listen(kind)
        return lambda one: isinstance(one, event) and getattr(one, "kind", None) == kind

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    async def _stop(self, nursery: trio.Nursery) -> None:
        """Stop in order: end the node's tasks, make the last entries durable, and start their effects.

        Then give the network some seconds to send what is queued.
        """
        nursery.cancel_scope.cancel()
        self._pages.close()
        with trio.move_on_after(STOP_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
            self._engine.feed(inp.NodeStopping(reason="stopped"))
            self._engine.save_state()
            await self._engine.flush(self._effects.run, self._handlers.tell)
            await self._network.drain(GOODBYE_SECONDS)
            if self._network.peers():
                await trio.sleep(LINGER_SECONDS)
        with trio.CancelScope(shield=True):
            await self._pages.close_reader()

    @asynccontextmanager
    async def _serve_commands(self) -> AsyncIterator[None]:
        """Take commands from the home's socket while the context lasts."""
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_inbox, self.home, self._take)
            yield
            nursery.cancel_scope.cancel()


def _sole(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """Return the only exception in nested groups of one; if there are several, return the group."""
    found: BaseException = group
    while isinstance(found, BaseExceptionGroup) and len(found.exceptions) == 1:
        found = found.exceptions[0]
    return found


async def _look_every_second(engine: Engine, clock: SteadyClock, keeper: SeriesKeeper) -> None:
    """Every second, feed the engine an input for each of these that has happened. Never returns.

    - Somebody set the wall clock.
    - A timer of the machine is due, perhaps since the computer slept.
    - The database was found to be damaged.
    """
    while True:
        await trio.sleep(CLOCK_SECONDS)
        if step := clock.look():
            engine.feed(inp.ClockStepped(seconds=step))
            keeper.clock_was_set()
        engine.tick()
        for damage in engine.store.chunks.take_damages():
            engine.feed(inp.Failed(text=str(damage)))
