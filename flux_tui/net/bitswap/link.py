"""The link to one Bitswap peer: its messages become those of flux, and the other way round.

The link writes on a stream that this node opens, and reads those that the peer opens: neither side answers on a stream
of the other. The stream of this node is closed when it has been idle for IDLE_SECONDS, because Helia aborts one that
is idle for ten.
"""

import logging
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from math import inf
from typing import NamedTuple, assert_never

import trio
from libp2p.abc import INetStream

from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.limits import batches
from flux_tui.core.vocabulary import Way
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.net.bitswap.message_reader import SHORT, MessageStream, Source
from flux_tui.net.bitswap.messages import (
    BitswapMessage,
    Block,
    Entry,
    Presence,
    cid_of,
    decode,
    encode_block_head,
    encode_length,
    encode_wants,
)
from flux_tui.net.bitswap.own_wants import OwnWants
from flux_tui.net.bitswap.peer_wants import Asked, PeerWants
from flux_tui.net.connections.read_pace import NOT_ADMITTED, Pace
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.port import LoadedChunk, Receiver
from flux_tui.net.upstream.guarded_yamux import GuardedYamux

log = logging.getLogger(__name__)

V120, V110, V100 = "/ipfs/bitswap/1.2.0", "/ipfs/bitswap/1.1.0", "/ipfs/bitswap/1.0.0"
VERSIONS = (V120, V110, V100)
"""The versions of the protocol, the newest first."""
CLOSED = "the connection was closed"
IDLE_SECONDS = 3.0
"""Seconds without a message, after which this node closes its stream."""
CLOSE_SECONDS = 0.5
OPEN_SECONDS = 10.0
"""Seconds for a stream to open, and for a peer to take a message."""
WRITE_SECONDS, WRITE_RATE = 60.0, 1024
"""Seconds for a peer to take one message of this node, and a second more for so many bytes of it."""
MAX_ENTRIES = 512
"""Entries and presences in one message of this node: about 25 KB."""
MAX_UNSENT = 8192
"""Entries and presences that wait for the peer to take them. Above this it is not read."""
MESSAGE_BURST, MESSAGE_RATE = 4096.0, 1024.0
"""Messages read from one peer at once, and per second in the long run; each KiB of entries counts as one more."""
BLOCK_COST = 1 / 16
"""Messages as which a block counts that was granted."""
UNASKED_BYTES = 16 * 1024
"""Bytes of unasked blocks that count as one more message."""
TTL = 60.0
"""Seconds that a block is wanted, as far as the core is told. A want of Bitswap does not end."""


class Streams(NamedTuple):
    """What the link needs of libp2p's streams. `slice_bytes`: the most bytes of one slice for `write`."""

    open: Callable[[PeerId, Sequence[str]], Awaitable[INetStream]]
    widen: Callable[[object], Awaitable[None]]
    source: Callable[[INetStream], Source]
    write: Callable[[object, Sequence[bytes | memoryview]], Awaitable[None]]
    slice_bytes: int


class BitswapLink:
    """The link to one peer that speaks Bitswap."""

    def __init__(self, peer: PeerId, receiver: Receiver, streams: Streams, way: Way) -> None:
        self.peer = peer
        self.way = way
        self.since = trio.current_time()
        self.up = trio.Event()
        self.done = trio.Event()
        """Set when the link is over and the receiver was told."""
        self.scope = trio.CancelScope()
        self.why = CLOSED
        self.useful = False
        """Whether a granted block came, or one was sent."""
        self._receiver = receiver
        self._streams = streams
        self._own = OwnWants()
        self._theirs = PeerWants()
        self._entries: dict[bytes, Entry] = {}
        """What there is to say of this node's wants."""
        self._early: list[tuple[Cid, bytes]] = []
        """Blocks that came early and are granted now."""
        self._has_chunks = False
        self._wake = trio.Event()
        self._empty = trio.Event()
        self._empty.set()
        self._sent = trio.Event()
        self._body = trio.Lock()
        """Held while a long message is read."""
        self._pace = Pace(MESSAGE_BURST, MESSAGE_RATE)
        self._stream: INetStream | None = None
        self._readers: trio.Nursery | None = None
        self._ready = trio.Event()
        """Set when `_readers` is open, or will not be."""

    # ── what the core pushes ────────────────────────────────────────────────────────────────────

    def push(self, message: msg.Message) -> bool:
        """Say to the peer what this message says. Returns False if Bitswap has no words for it."""
        match message:
            case msg.SealedIntent():
                return self._intent(codec.decode_intent(message.signed).body)
            case msg.Grant():
                entries, early = self._own.grant(message.cids)
                self._early += early
                self._say(entries)
            case msg.Cancel():
                self._say(self._own.cancel(message.cids))
            case msg.StatusYesButLater():
                self._theirs.yes(message.cids)
                self._work()
            case msg.StatusNo():
                if message.about == "want":
                    self._theirs.no(message, trio.current_time())
                    self._work()
            case msg.Error() | msg.Cancelled() | msg.CanHold() | msg.Held() | msg.Release():
                pass  # these are only news to a peer that speaks flux
            case msg.Keep() | msg.Custom() | msg.Route():
                return False
            case msg.Chunk():
                raise AssertionError("chunks are served")
            case _:
                assert_never(message)
        return True

    def _intent(self, body: msg.IntentBody) -> bool:
        match body:
            case msg.Want():
                entries, early = self._own.want(body.cids)
                self._say(entries)
                for cid in early:
                    self._says_yes(cid)
            case msg.Have():
                for announced in body.objects:
                    self._ask(self._theirs.is_here(announced.root))
            case msg.Hold():
                pass  # nobody answers, as of every peer that has no room
            case msg.Custom():
                return False
            case _:
                assert_never(body)
        return True

    def _say(self, entries: Sequence[Entry]) -> None:
        for entry in entries:
            self._entries.pop(entry.cid, None)
            self._entries[entry.cid] = entry
        self._work()

    def serve(self) -> None:
        """Begin to send the peer's blocks, taken from the receiver until it has no more."""
        self._has_chunks = True
        self._work()

    def _work(self) -> None:
        if self._empty.is_set():
            self._empty = trio.Event()
        self._wake.set()

    async def drained(self) -> None:
        """Wait until everything is sent."""
        await self._empty.wait()

    def end(self, why: str) -> None:
        """End the link soon. `why`: the reason, in a sentence. The first one stays."""
        if not self.scope.cancel_called:
            self.why = why
        self.scope.cancel()

    async def take(self, read: Callable[[], Awaitable[None]]) -> None:
        """Run `read`, which reads a stream, and return when it has ended. It is cancelled when the link ends."""
        ended = trio.Event()

        async def reading() -> None:
            try:
                await read()
            finally:
                ended.set()

        await self._ready.wait()
        if self._readers is not None and not self.scope.cancel_called:
            self._readers.start_soon(reading)
            await ended.wait()

    # ── what the peer says ──────────────────────────────────────────────────────────────────────

    async def read(self, stream: INetStream) -> None:
        """Read the messages of a stream that the peer opened, until it ends.

        Raises BadMessageError, StalledError, EOFError within a message, or the stream's error.
        """
        messages = MessageStream(self._streams.source(stream), partial(self._streams.widen, stream))
        while (length := await messages.length()) is not None:
            if length <= SHORT:
                useful = await self._came(decode(await messages.body(length, self._progress)), length)
            else:
                async with self._body:
                    useful = await self._came(decode(await messages.body(length, self._progress)), length)
            if useful:
                _allow_streams(stream, 1)

    def _progress(self, received: int, seconds: float) -> None:
        """Tell that a long message is coming. Its first block is probably the one that was granted first."""
        if (cid := self._own.next) is not None:
            self._receiver.on_progress(self.peer, msg.Chunk(cid=cid), received, seconds)

    async def _came(self, message: BitswapMessage, length: int) -> bool:
        """Handle a message of `length` bytes. Returns whether a block came with it that was granted."""
        size = sum(len(block.data) for block in message.blocks)
        cost = 1 if self._receiver.admits(self.peer) else NOT_ADMITTED
        self._pace.owe(cost + max(0, length - size) / 1024)
        for presence in message.presences:
            self._presence(presence)
        self._ask(self._theirs.came(message.entries, full=message.full))
        useful = 0
        for block in message.blocks:
            useful += await self._block(block)
        await self._pace.settle()
        while len(self._entries) + len(self._theirs.presences) > MAX_UNSENT:
            if self._sent.is_set():  # else messages of other streams wait for the same event
                self._sent = trio.Event()
            await self._sent.wait()
        return useful > 0

    def _presence(self, presence: Presence) -> None:
        cid = cid_of(presence.cid)
        if cid is None:
            return
        match self._own.answered(cid, have=presence.have):
            case "yes":
                self._says_yes(cid)
            case "no":
                no = msg.StatusNo(cids=(cid,), reason="not_held", has_it=False)
                self._receiver.on_message(self.peer, no)
            case None:
                pass

    def _says_yes(self, cid: Cid) -> None:
        yes = msg.StatusYesButLater(cids=(cid,), eta=0.0, queue_bytes=0)
        self._receiver.on_message(self.peer, yes)

    def _ask(self, asked: Asked) -> None:
        """Put the peer's wants to the core."""
        for cids in batches(asked.cancels, msg.MAX_CIDS_DIRECT):
            self._receiver.on_message(self.peer, msg.Cancel(cids=cids))
        for cids in batches(asked.haves, msg.MAX_CIDS_WANT):
            self._receiver.on_want(self.peer, msg.Want(cids=cids))
        for cids in batches(asked.blocks, msg.MAX_CIDS_DIRECT):
            self._receiver.on_message(self.peer, msg.Grant(cids=cids, ttl=TTL))
        self._work()

    async def _block(self, block: Block) -> bool:
        """Take a block that was granted, keep one that came early, and pass over every other.

        Returns whether it was granted.
        """
        size = len(block.data)
        cid = self._name(block)
        arrival = self._own.arrived(cid, block.data) if block.supported else "unasked"
        if arrival == "early":
            self._says_yes(cid)
        elif self._receiver.wants_payload(self.peer, msg.Chunk(cid=cid), size):
            self.useful = True
            self._pace.owe(BLOCK_COST)
            await self._receiver.on_payload(self.peer, msg.Chunk(cid=cid), (block.data,))
            return True
        else:
            self._pace.owe(1 + size / UNASKED_BYTES)
        return False

    def _name(self, block: Block) -> Cid:
        """Return the CID of a block. 1.0.0 does not say the codec: it is the one that is wanted."""
        if block.raw:
            return raw_cid(block.data)
        cid = dag_cid(bytes(block.data))
        if block.raw is None and not self._own.wants(cid) and self._own.wants(raw := raw_cid(block.data)):
            return raw
        return cid

    # ── writing ─────────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Write, and read the streams that `take` was given, until the link ends or this node's stream breaks."""
        try:
            with self.scope:
                async with trio.open_nursery() as nursery:
                    self._readers = nursery
                    self._ready.set()
                    try:
                        while True:
                            await self._once()
                    except Exception as error:  # the end of the stream, in any wording of libp2p
                        log.debug("writing Bitswap to %s ended: %r", self.peer, error)
                    nursery.cancel_scope.cancel()
        finally:
            self._ready.set()
            with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
                if self._stream is not None:
                    await try_to_close(self._stream.reset)

    async def _once(self) -> None:
        """Do what there is to do next, or wait for it."""
        now = trio.current_time()
        if self._theirs.next_deadline() <= now:
            self._ask(self._theirs.due(now))
        if self._early:
            cid, data = self._early.pop(0)
            if self._receiver.wants_payload(self.peer, msg.Chunk(cid=cid), len(data)):
                await self._receiver.on_payload(self.peer, msg.Chunk(cid=cid), (data,))
        elif self._entries or self._theirs.presences:
            await self._write_words()
        elif self._has_chunks:
            await self._write_chunks()
        else:
            await self._rest(now)

    async def _rest(self, now: float) -> None:
        """Wait for work. A stream that is idle for IDLE_SECONDS is closed."""
        self._wake = trio.Event()
        self._empty.set()
        until = min(self._theirs.next_deadline(), now + IDLE_SECONDS if self._stream is not None else inf)
        with trio.move_on_at(until) as waiting:
            await self._wake.wait()
        if (
            waiting.cancelled_caught
            and self._stream is not None
            and trio.current_time() >= now + IDLE_SECONDS
        ):
            stream, self._stream = self._stream, None
            with trio.move_on_after(CLOSE_SECONDS):
                await try_to_close(stream.close)

    async def open(self) -> INetStream:
        """Return this node's stream, which is opened if it is not open. Raises libp2p's errors."""
        if self._stream is None:
            with trio.fail_after(OPEN_SECONDS):
                self._stream = await self._streams.open(self.peer, VERSIONS)
        return self._stream

    async def _write_words(self) -> None:
        """Write entries and presences, as many as one message has."""
        version = str((await self.open()).get_protocol())
        entries = [self._entries.pop(form) for form in list(self._entries)[:MAX_ENTRIES]]
        room = MAX_ENTRIES - len(entries)
        presences, self._theirs.presences = self._theirs.presences[:room], self._theirs.presences[room:]
        if version != V120:  # there is no HAVE: the block itself is wanted, and comes early
            entries = [Entry(one.cid, one.priority, cancel=one.cancel) for one in entries]
            presences = []
        if entries or presences:
            await self._write([encode_wants(entries, presences)])
        self._sent.set()

    async def _write_chunks(self) -> None:
        """Write the next portion of blocks, about 1 MiB, as one message."""
        self._has_chunks = False
        loaded = await self._receiver.next_chunks(self.peer)
        if not loaded:
            return
        self._has_chunks = True  # there may be more after them
        stream = await self.open()
        chunks = self._receiver.still_granted(self.peer, loaded)
        if not chunks:
            return
        await self._write(self._message_of(chunks, old=str(stream.get_protocol()) == V100))
        self.useful = True
        _allow_streams(stream, len(chunks))
        cids = tuple(chunk.cid for chunk in chunks)
        self._theirs.sent(cids)
        self._receiver.on_sent(self.peer, cids, sum(len(chunk.data) for chunk in chunks))

    def _message_of(self, chunks: Sequence[LoadedChunk], *, old: bool) -> list[bytes | memoryview]:
        """Return a message with these blocks, in slices."""
        parts: list[bytes | memoryview] = []
        for cid, data in chunks:
            parts += (encode_block_head(self._theirs.form(cid), len(data), old=old), memoryview(data))
        return [encode_length(sum(map(len, parts))), *parts]

    async def _write(self, parts: Sequence[bytes | memoryview]) -> None:
        stream = await self.open()
        with trio.fail_after(WRITE_SECONDS + sum(map(len, parts)) / WRITE_RATE):
            await self._streams.write(stream, list(sliced(parts, self._streams.slice_bytes)))


def _allow_streams(stream: INetStream, count: int) -> None:
    """Let the peer of this stream open more streams on its connection: Helia opens one for each message."""
    if isinstance(stream.muxed_conn, GuardedYamux):
        stream.muxed_conn.allow_streams(count)


def sliced(parts: Sequence[bytes | memoryview], most: int) -> list[bytes | memoryview]:
    """Return the same bytes in slices of `most` bytes; only the last one is shorter."""
    slices: list[bytes | memoryview] = []
    pending = bytearray()
    for part in parts:
        view = memoryview(part)
        if pending or len(view) < most:
            room = most - len(pending)
            pending += view[:room]
            view = view[room:]
            if len(pending) == most:
                slices.append(bytes(pending))
                pending.clear()
        while len(view) >= most:
            slices.append(view[:most])
            view = view[most:]
        pending += view
    if pending:
        slices.append(bytes(pending))
    return slices
