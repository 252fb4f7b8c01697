"""Runs a node as a process: opens and announces it, takes commands from its socket, and stops it at a signal."""

import logging
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

from flux_tui.config import Settings
from flux_tui.core.ids import PeerId
from flux_tui.home import Home
from flux_tui.metrics.exposition import needed
from flux_tui.metrics.machine_figures import LoopLag
from flux_tui.node.disk.stored_state import Told
from flux_tui.node.node import FluxNode

if TYPE_CHECKING:
    from flux_tui.metrics.endpoint import MetricsEndpoint

log = logging.getLogger(__name__)

Announce = Callable[[PeerId, tuple[str, ...], tuple[str, ...]], None]


async def serve(
    home: Home,
    settings: Settings,
    announce: Announce,
    flags: Sequence[str] = (),
    noted: Sequence[int] = (),
    told: Told | None = None,
) -> None:
    """Run this home's node until SIGINT, SIGTERM, SIGHUP or a Stop command; then stop it in order.

    `announce(peer_id, addrs, urls)` is called once, when the node listens on both the network and the command
    socket. `urls`: where its metrics can be read, if the settings say so. `flags`: the flags with which the node was
    started, for programs that start it again. `noted`: gets the signals that come before the node is open; they stop
    it, too. `told`: see `FluxNode.open`. Raises HomeError, StoreError, NetworkError, MetricsError, each with one
    sentence for a person.
    """

    def read(done: int, total: int) -> None:
        if noted:
            raise _EndedEarlyError
        if told is not None:
            told(done, total)

    if noted:
        return
    endpoint = await _open_endpoint(settings)
    with suppress(_EndedEarlyError):
        async with FluxNode.open(home, settings, commands=True, told=read) as node:
            # A SIGHUP that is ignored (nohup) stays ignored.
            hang_up = () if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN else (signal.SIGHUP,)
            with trio.open_signal_receiver(signal.SIGINT, signal.SIGTERM, *hang_up) as signals:
                if noted:
                    return
                async with trio.open_nursery() as nursery:
                    home.remember_flags(flags)
                    if endpoint is not None:
                        lag = LoopLag()
                        nursery.start_soon(lag.measure)
                        nursery.start_soon(endpoint.serve, lambda: node.metrics(lag.worst))
                        log.info("metrics are at %s", ", ".join(endpoint.urls))
                    announce(node.peer_id, node.addrs, () if endpoint is None else endpoint.urls)
                    nursery.start_soon(_stop_on_signal, signals, node)
                    await node.stopping.wait()
                    nursery.cancel_scope.cancel()


class _EndedEarlyError(Exception):
    """A signal came while a long series was read."""


async def _open_endpoint(settings: Settings) -> "MetricsEndpoint | None":
    if not settings.metrics:
        return None
    needed()
    from flux_tui.metrics.endpoint import MetricsEndpoint  # imports what is an extra

    return await MetricsEndpoint.open(settings.metrics, settings.metrics_hosts)


async def _stop_on_signal(signals: AsyncIterator[int], node: FluxNode) -> None:
    async for _ in signals:
        node.stopping.set()
        return
