"""Each failure has its sentence, wherever in a chain of exceptions it stands, and no text of an exception is read."""

import errno
import socket

import pytest
import trio
from libp2p.crypto.exceptions import MissingDeserializerError
from libp2p.network.exceptions import SwarmException
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Status
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.transport.exceptions import OpenConnectionError
from libp2p.transport.tcp.tcp import TCP
from multiaddr import Multiaddr

from flux_tui.net import dial_errors
from flux_tui.net.dial_errors import (
    HandshakeError,
    NoRelayError,
    RelayRefusedError,
    SilentError,
    probe_address,
    relay_answer,
    sentence_of,
)
from tests.support.hosts import silent_port

MISLEADING = "connection refused, mismatch, in use, permission, unreachable"


def caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (OSError(errno.ECONNREFUSED, "x"), "nobody listens there (connection refused)"),
        (OSError(errno.EADDRINUSE, "x"), "the port is in use"),
        (OSError(errno.EADDRNOTAVAIL, "x"), "the address is not this machine's"),
        (OSError(errno.EACCES, "x"), "that needs rights that this user does not have"),
        (OSError(errno.EHOSTUNREACH, "x"), "there is no way to it from this network"),
        (OSError(errno.ECONNRESET, MISLEADING), dial_errors.OTHER),
        (OSError(MISLEADING), dial_errors.OTHER),
        (TimeoutError(), dial_errors.NO_ANSWER),
        (SilentError(), dial_errors.NO_ANSWER),
        (PeerIDMismatchesPubkey("x"), dial_errors.WRONG_PEER),
        (MissingDeserializerError("x"), dial_errors.UNKNOWN_KEY),
        (HandshakeError("x"), dial_errors.NO_HANDSHAKE),
        (NoRelayError(), dial_errors.NO_RELAY),
        (
            RelayRefusedError(Status.NO_RESERVATION),
            "the relay says: that peer is not there (it has no reservation)",
        ),
        (RelayRefusedError(12_345), "the relay says: no"),
        (SwarmException(MISLEADING), dial_errors.OTHER),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_each_failure_has_its_sentence_wherever_it_stands_in_a_chain(
    error: BaseException, sentence: str
) -> None:
    assert sentence_of(error) == sentence
    assert sentence_of(caused(SwarmException(MISLEADING), error)) == sentence
    group = BaseExceptionGroup("several", [SwarmException(MISLEADING), error])
    assert sentence_of(caused(OpenConnectionError(MISLEADING), group)) == sentence


def test_the_most_telling_failure_of_several_is_told() -> None:
    refused, other = OSError(errno.ECONNREFUSED, "x"), PeerIDMismatchesPubkey("x")
    assert sentence_of(ExceptionGroup("two", [refused, other])) == dial_errors.WRONG_PEER
    assert sentence_of(caused(HandshakeError("x"), other)) == dial_errors.WRONG_PEER
    assert (
        sentence_of(caused(HandshakeError("x"), OSError(errno.ECONNRESET, "x"))) == dial_errors.NO_HANDSHAKE
    )
    assert sentence_of(ExceptionGroup("two", [SilentError(), refused])) == sentence_of(refused)


def test_a_chain_without_end_is_looked_at_for_a_while() -> None:
    error = SwarmException("it caused itself")
    error.__cause__ = error
    assert sentence_of(error) == dial_errors.OTHER


def test_the_answer_of_a_relay_is_data() -> None:
    refused = RelayRefusedError(Status.RESERVATION_REFUSED)
    assert relay_answer(caused(SwarmException("x"), refused)) == "it takes no more reservations"
    assert relay_answer(SwarmException("the relay says: nothing of the kind")) is None


async def test_libp2p_keeps_the_number_of_the_operating_systems_error() -> None:
    """On the installed version. Otherwise a refused connection could not be told from others."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        dead = Multiaddr(f"/ip4/127.0.0.1/tcp/{bound.getsockname()[1]}")
        with pytest.raises(OpenConnectionError) as caught:
            await TCP().dial(dead)
        assert sentence_of(caught.value) == dial_errors.SYSTEM_ERRORS[errno.ECONNREFUSED]
        probed = await probe_address(dead)
        assert probed is not None
        assert sentence_of(probed) == dial_errors.SYSTEM_ERRORS[errno.ECONNREFUSED]


async def test_an_address_that_is_probed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with silent_port() as port:
        assert isinstance(await probe_address(Multiaddr(f"/ip4/127.0.0.1/tcp/{port}")), HandshakeError)
    assert await probe_address(Multiaddr("/dns4/localhost/tcp/1")) is None

    async def hang(*_: object) -> None:
        await trio.sleep_forever()

    monkeypatch.setattr(trio, "open_tcp_stream", hang)
    monkeypatch.setattr(dial_errors, "PROBE_SECONDS", 0.01)
    assert isinstance(await probe_address(Multiaddr("/ip4/127.0.0.1/tcp/1")), SilentError)
