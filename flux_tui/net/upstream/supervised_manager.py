"""Runs libp2p's services (swarm, pubsub, gossipsub) so that a failed task ends alone.

Replaces `TrioManager`. For libp2p 0.8.x.

What libp2p 0.8.1 does: in its `TrioManager`, an exception in any task cancels the whole service, and the end of
the service cancels the program. Each connection is a task of the swarm, and the connection's handlers run in its
nursery. So one handler that raises ends the process: for example identify, when the peerstore has lost the host's own
key. Besides, identify runs in trio's system tasks, where an exception ends trio itself.

Here a `Supervisor` runs each task. A connection that fails is closed, a stream whose handler fails is reset, and a
daemon is restarted. No task is the child of another: libp2p treats a task's 1,001st child as an error.

Upstream: #1120 is one case of it (an exception of one peer's stream ends all of pubsub), which #1117 mended by
catching that exception; no issue about the manager is known. Test: tests/net/upstream/test_supervised_manager.py;
two of its tests show what libp2p does, and fail when upstream changes.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio
from libp2p.abc import INetStream
from libp2p.exceptions import BaseLibp2pError
from libp2p.tools.anyio_service.trio_manager import TrioManager
from libp2p.utils.connection_shutdown import is_expected_connection_shutdown

from flux_tui.net.addresses.dial_guard import told_by
from flux_tui.net.connections.streams import try_to_close
from flux_tui.net.connections.supervisor import Supervisor, name_of

log = logging.getLogger(__name__)

CLOSE_SECONDS = 1.0
"""Seconds for a connection or a stream that failed to close."""


class SupervisedManager(TrioManager):
    """Replaces the manager of a libp2p service. A task that fails cannot end the service."""

    def __init__(self, service: Any, supervisor: Supervisor) -> None:
        super().__init__(service)
        self._supervisor = supervisor

    def run_task(
        self,
        async_fn: Any,
        *args: Any,
        daemon: bool = False,
        name: str | None = None,
        _internal: bool = False,
    ) -> None:
        """Run a task of the service under the supervisor: a `daemon` that fails is restarted, any other task ends.

        The service's own `run` (`_internal`) only starts the other tasks, and is run as in libp2p.
        """
        if _internal:
            super().run_task(async_fn, *args, daemon=daemon, name=name, _internal=True)
            return
        title = name or name_of(async_fn)

        async def daemon_task() -> None:
            await self._supervisor.restart(title, async_fn, *args)

        async def task() -> None:
            await self._supervisor.drop(title, self._run_once, async_fn, *args)

        # libp2p takes a daemon that returns for a failure, and would end the service.
        super().run_task(daemon_task if daemon else task, name=title)

    def _find_parent_task(self, trio_task: trio.lowlevel.Task) -> None:
        return None

    async def _run_once(self, async_fn: Any, *args: Any) -> None:
        try:
            await async_fn(*args)
        except Exception as error:
            await _close(getattr(async_fn, "__self__", None))
            if not is_peers_doing(error):
                raise
            log.debug("%s ended: %r", name_of(async_fn), error)


@asynccontextmanager
async def supervised(service: Any, supervisor: Supervisor) -> AsyncIterator[None]:
    """Run a libp2p service while the context lasts, with its tasks under the supervisor.

    It replaces libp2p's `background_trio_service`.
    """
    async with trio.open_nursery() as nursery:
        manager = SupervisedManager(service, supervisor)
        service._manager = manager
        nursery.start_soon(manager.run)
        await manager.wait_started()
        try:
            yield
        finally:
            # A cancelled `stop` would raise Cancelled in place of the exception that ended the body.
            with trio.CancelScope(shield=True):
                await manager.stop()


def supervise_handlers(host: Any, supervisor: Supervisor) -> None:
    """Change a host so that a stream handler, notifee or identify that fails ends only itself."""
    swarm: Any = host.get_network()
    handle_stream = swarm.common_stream_handler
    identify = host._identify_task_entry

    async def stream_handler(stream: INetStream) -> None:
        name = "a stream's handler"
        try:
            with told_by(stream.muxed_conn.peer_id):
                await handle_stream(stream)
            return
        except Exception as error:
            if is_peers_doing(error):
                log.debug("a stream of %s ended: %r", stream.muxed_conn.peer_id, error)
            else:
                protocol = stream.get_protocol()
                supervisor.failed(f"the handler of {protocol}" if protocol else name, error)
        await _reset(stream)

    async def identify_task(*args: Any) -> None:
        await supervisor.drop("identify", identify, *args)

    async def notify(method: str, *args: Any) -> None:
        async with trio.open_nursery() as nursery:
            for notifee in swarm.notifees:
                task = getattr(notifee, method)
                nursery.start_soon(supervisor.drop, name_of(task), task, swarm, *args)

    swarm.common_stream_handler = stream_handler
    swarm._notify = notify
    host._identify_task_entry = identify_task


def is_peers_doing(error: BaseException) -> bool:
    """Whether an exception only says that a peer went away or sent garbage, which is no fault of this program."""
    if isinstance(error, BaseExceptionGroup):
        return all(is_peers_doing(one) for one in error.exceptions)
    expected = (BaseLibp2pError, EOFError, trio.BrokenResourceError, trio.ClosedResourceError)
    return isinstance(error, expected) or is_expected_connection_shutdown(error)


async def _close(owner: Any) -> None:
    """Close the connection whose task failed; do nothing if `owner` is not a connection."""
    if hasattr(owner, "muxed_conn") or hasattr(owner, "streams"):
        with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
            await try_to_close(owner.close)


async def _reset(stream: INetStream) -> None:
    with trio.move_on_after(CLOSE_SECONDS, shield=True):  # type: ignore[call-arg]  # stubs of an older trio
        await try_to_close(stream.reset)
