"""Runs the machine's effects: passes each one to the network or to the disk, and never waits for it."""

from pathlib import Path
from typing import assert_never

import trio

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.effects import Effect
from flux_tui.core.ids import PeerId
from flux_tui.core.peers.address_dial_policy import Reach
from flux_tui.core.wire.messages import Message, Route, SealedIntent
from flux_tui.net.port import Network
from flux_tui.node.disk.add_task import AddTasks
from flux_tui.node.disk.chunk_reader import ChunkReader
from flux_tui.node.disk.object_work_queue import ObjectFiles
from flux_tui.node.disk.series_keeper import SeriesKeeper
from flux_tui.node.engine import Engine
from flux_tui.node.exchange import OwnRecord
from flux_tui.node.signed_intents import broadcast


class EffectRunner:
    """Passes the effects of one node's machine to the network or to the disk, without waiting for them."""

    def __init__(
        self,
        engine: Engine,
        network: Network,
        reader: ChunkReader,
        files: ObjectFiles,
        adds: AddTasks,
        stopping: trio.Event,
        keeper: SeriesKeeper,
    ) -> None:
        """Set the parts that carry out effects, and `stopping`, the event that is set when the node has to stop."""
        self._engine = engine
        self._network = network
        self._reader = reader
        self._files = files
        self._adds = adds
        self._stopping = stopping
        self._keeper = keeper
        self._own_record = OwnRecord(network, engine.clock.wall)

    def run(self, effect: Effect) -> None:  # noqa: C901 - a flat match: one line a case
        """Begin an effect, whose entries are durable already. Does not block: the result comes back as an input."""
        match effect:
            case fx.Push():
                if not self._network.push(effect.peer, effect.message):
                    self._dropped(effect.peer, effect.message)
            case fx.Serve():
                self._reader.serve(effect.peer, effect.through)
            case fx.Broadcast():
                broadcast(self._network, effect, self._engine.clock.wall(), self._dropped)
            case fx.Forward():
                self._network.forward(effect.roots, Route(intent=effect.intent, hops=effect.hops))
            case fx.TellRecords():
                self._own_record.tell(effect)
            case fx.Introduce():
                self._own_record.introduce(effect)
            case fx.Provide():
                self._network.provide(effect.roots, wanted=effect.wanted)
            case fx.Withdraw():
                self._network.withdraw(effect.roots)
            case (
                fx.OpenTree()
                | fx.Place()
                | fx.FinishTree()
                | fx.DropTree()
                | fx.ReadNode()
                | fx.Evict()
                | fx.Discard()
                | fx.Claim()
                | fx.Free()
                | fx.EndAdd()
            ):
                self._files.queue(effect)
            case fx.Dial():
                if effect.teller is not None:
                    told = (effect.addr, *effect.more)
                    self._network.note_addrs(effect.teller, told, Reach(effect.reach))
                self._network.dial(
                    effect.addr, keep=effect.keep, more=effect.more, from_peers=effect.from_peers
                )
            case fx.Disconnect():
                self._network.disconnect(
                    effect.peer, effect.why, seconds=effect.seconds, forget=effect.forget
                )
            case fx.AddPath():
                self._adds.add(Path(effect.path), effect.by, verify=effect.verify, car=effect.car)
            case fx.StopAdd():
                self._adds.stop(Path(effect.path), effect.mark)
            case fx.PruneSeries():
                self._keeper.ask(effect)
            case fx.StopNode():
                self._stopping.set()
            case _:
                assert_never(effect)

    def _dropped(self, peer: PeerId, message: Message | SealedIntent) -> None:
        self._engine.feed(inp.PushDropped(peer=peer, message=message))
