"""A task, handler, notifee or identify that fails ends alone; in plain libp2p it ends the host."""

from typing import Any

import pytest
import trio
import trio.testing
from libp2p import new_host
from libp2p.crypto.ed25519 import create_new_key_pair
from libp2p.custom_types import TProtocol
from libp2p.exceptions import BaseLibp2pError, ParseError
from libp2p.host.basic_host import BasicHost
from libp2p.network.stream.exceptions import StreamReset
from libp2p.peer.peerinfo import PeerInfo
from libp2p.tools.anyio_service import Service, background_trio_service
from multiaddr import Multiaddr

from flux_tui.net.connections.supervisor import Supervisor
from flux_tui.net.flux.noise_and_yamux import muxers, security
from flux_tui.net.upstream.supervised_manager import is_peers_doing, supervised
from tests.support.hosts import host_of, id_of
from tests.support.networks import BOUND, Loopback, Node, connect, node, words

BROKEN = TProtocol("/broken/1.0.0")


async def broken(*_: object) -> None:
    raise KeyError("a handler with a bug")


async def open_broken(one: Node, other: Node) -> None:
    """Call a handler that raises. The stream then ends."""
    host_of(other).set_stream_handler(BROKEN, broken)
    with trio.fail_after(BOUND):
        try:
            stream = await host_of(one).new_stream(id_of(other), [BROKEN])
            await stream.read(1)
        except BaseLibp2pError:
            return


async def test_in_libp2p_a_handler_that_raises_still_ends_the_host() -> None:
    """If this fails, libp2p survives it: see whether `supervise_handlers` is still needed."""
    hosts = []
    for number in (1, 2):
        pair = create_new_key_pair(bytes([number]) * 32)
        hosts.append(new_host(key_pair=pair, sec_opt=security(pair), muxer_opt=muxers()))
    one, other = hosts
    other.set_stream_handler(BROKEN, broken)
    with pytest.raises(ExceptionGroup) as caught, trio.fail_after(BOUND):
        async with one.run(listen_addrs=[]), other.run(listen_addrs=[Multiaddr("/ip4/127.0.0.1/tcp/0")]):
            (listener,) = other.get_network().listeners.values()
            await one.connect(PeerInfo(other.get_id(), list(listener.get_addrs())))
            await one.new_stream(other.get_id(), [BROKEN])
            await trio.sleep_forever()
    assert "a handler with a bug" in repr(caught.value)


async def test_a_handler_that_raises_costs_its_stream() -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        for _ in range(3):
            await open_broken(a, b)
        await b.seen.until(lambda: b.seen.failures)
        assert len(b.seen.failures) == 1
        assert b.seen.failures[0].startswith("the handler of /broken/1.0.0 failed")
        a.network.push(b.id, words(1))
        await b.seen.until(lambda: b.seen.messages)
        assert b.seen.latest(a.id) == "up"


@pytest.mark.parametrize("what", ["muxer", "connection"])
async def test_a_connection_that_fails_is_closed_and_comes_back(what: str) -> None:
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        await connect(a, b)
        (connection,) = host_of(b).get_network().connections[id_of(a)]
        failing: Any = connection.muxed_conn if what == "muxer" else connection
        if what == "muxer":
            failing._nursery.start_soon(broken)
        else:
            failing._handle_muxed_stream = broken
            await open_broken(a, b)
        await b.seen.down(a.id)
        a.network.dial(b.addr)
        await b.seen.up(a.id)


async def test_identify_and_notifees_fail_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """libp2p runs identify in system tasks of trio, where an error would end everything."""
    monkeypatch.setattr(BasicHost, "_identify_peer", broken)
    async with node(Loopback(), 1) as a, node(Loopback(), 2) as b:
        host_of(b).get_network().notifees[-1].connected = broken
        await connect(a, b)
        await b.seen.until(lambda: any("identify" in text for text in b.seen.failures))
        await b.seen.until(lambda: any("broken" in text for text in b.seen.failures))
        a.network.push(b.id, words(1))
        await b.seen.until(lambda: b.seen.messages)


class _Ailing(Service):
    """A service with a daemon that fails twice, and with more children than libp2p allows for a task."""

    def __init__(self) -> None:
        self.begun = 0
        self.children = 0
        self.steady = trio.Event()
        self.crowded = trio.Event()

    async def run(self) -> None:
        self.manager.run_daemon_task(self._daemon)
        await self.manager.wait_finished()

    async def _daemon(self) -> None:
        self.begun += 1
        if self.begun < 3:
            raise KeyError("the daemon")
        self.steady.set()
        for _ in range(1100):
            self.manager.run_task(self._child)
        await trio.sleep_forever()

    async def _child(self) -> None:
        self.children += 1
        if self.children == 1100:
            self.crowded.set()
        await trio.sleep_forever()


async def test_a_daemon_is_restarted_and_may_have_any_number_of_tasks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    service, owner = _Ailing(), Supervisor(lambda text: None)
    async with supervised(service, owner):
        await service.crowded.wait()
    assert service.begun == 3
    assert owner.failures.total() == 2


async def test_in_libp2p_a_daemon_that_raises_still_ends_its_service() -> None:
    """If this fails, see whether `SupervisedManager` is still needed."""
    with pytest.raises(ExceptionGroup), trio.fail_after(BOUND):
        async with background_trio_service(_Ailing()):
            await trio.sleep_forever()


def test_errors_caused_by_a_peer_are_not_failures() -> None:
    assert is_peers_doing(StreamReset())
    assert is_peers_doing(ExceptionGroup("", [ParseError("x"), EOFError()]))
    assert not is_peers_doing(ExceptionGroup("", [ParseError("x"), KeyError()]))
    assert not is_peers_doing(KeyError("x"))


class Idle(Service):
    """A service without tasks."""

    async def run(self) -> None:
        await self.manager.wait_finished()


async def test_an_error_of_the_body_is_raised_though_the_context_was_cancelled() -> None:
    def caught(what: str) -> None:
        raise AssertionError(f"no task fails here: {what}")

    with pytest.raises(ExceptionGroup) as error, trio.fail_after(BOUND):
        async with trio.open_nursery() as nursery, supervised(Idle(), Supervisor(caught)):
            nursery.cancel_scope.cancel()
            raise KeyError("the body's own")
    assert error.group_contains(KeyError, depth=2) or error.group_contains(KeyError)
