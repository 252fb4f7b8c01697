"""Why a peer could not be reached: exceptions with fields, and the sentences that people read about them.

Each reason has its own class of exception, with the facts as fields. Failures of the operating system are told
apart by `errno`, and failures of libp2p by their class. The text of an exception is never parsed. Only
`sentence_of` makes sentences.

An exception of libp2p is often the cause of another one, or part of a group. So `sentence_of` looks at the whole
chain of causes, and uses the exception that says most about the reason (`_RANKING`).
"""

import errno
from collections.abc import Iterator
from typing import TypeVar

import trio
from libp2p.crypto.exceptions import MissingDeserializerError
from libp2p.network.exceptions import SwarmException
from libp2p.relay.circuit_v2.pb.circuit_pb2 import Status
from libp2p.security.noise.exceptions import PeerIDMismatchesPubkey
from libp2p.transport.exceptions import OpenConnectionError
from multiaddr import Multiaddr

MAX_CAUSES = 32
"""Exceptions of a chain that are looked at."""
PROBE_SECONDS = 2.0
"""Seconds for a TCP connection to open, where an address is probed."""


class RelayRefusedError(OpenConnectionError):
    """Raised if a relay refused a request. `status`: the relay's answer, a `Status` of circuit v2."""

    def __init__(self, status: int) -> None:
        super().__init__(f"status {status}")
        self.status = status


class NoRelayError(OpenConnectionError):
    """Raised if the relay does not answer, or if the peer at its address is not a relay."""


class AlreadyConnectedError(OpenConnectionError):
    """Raised if a dial is not needed any more: the peer has connected to this node meanwhile."""


class HandshakeError(SwarmException):
    """Raised if a connection was opened, but its encryption could not be set up."""


class SilentError(SwarmException):
    """Raised if an address neither accepts nor refuses a connection."""


RELAY_ANSWERS: dict[int, str] = {
    Status.RESERVATION_REFUSED: "it takes no more reservations",
    Status.RESOURCE_LIMIT_EXCEEDED: "it carries as much as it can",
    Status.PERMISSION_DENIED: "this is not allowed",
    Status.CONNECTION_FAILED: "that peer does not take the connection",
    Status.NO_RESERVATION: "that peer is not there (it has no reservation)",
}
"""The meaning of each status of a relay. There is no entry for a status that a correct relay never sends here."""

OTHER_STATUS = "no"

SYSTEM_ERRORS: dict[int, str] = {
    errno.ECONNREFUSED: "nobody listens there (connection refused)",
    errno.EADDRINUSE: "the port is in use",
    errno.EADDRNOTAVAIL: "the address is not this machine's",
    errno.EACCES: "that needs rights that this user does not have",
    errno.EPERM: "that needs rights that this user does not have",
    errno.ENETUNREACH: "there is no way to it from this network",
    errno.EHOSTUNREACH: "there is no way to it from this network",
    errno.ENETDOWN: "there is no way to it from this network",
    errno.ETIMEDOUT: "nothing answers there",
}
"""Failures of the operating system that have a sentence, by their number."""

WRONG_PEER = "another peer answers there (its peer id is a different one)"
NO_RELAY = "the relay does not answer, or is not a relay"
NO_ANSWER = "nothing answers there"
UNKNOWN_KEY = "its identity is an ECDSA key, and this node verifies Ed25519, secp256k1 and RSA keys only"
NO_HANDSHAKE = (
    "something listens there, but it is another peer, in another private swarm (--swarm-key), or hangs; or this network"
    " wants you to log in first, on its web page"
)
OTHER = "the connection could not be made"

_E = TypeVar("_E", bound=BaseException)

_RANKING: tuple[type[BaseException], ...] = (
    MissingDeserializerError,
    RelayRefusedError,
    NoRelayError,
    PeerIDMismatchesPubkey,
    OSError,
    SilentError,
    HandshakeError,
)
"""Classes of exceptions with a sentence of their own, the most telling first."""


def sentence_of(error: BaseException) -> str:
    """Return why a connection or a listener could not be opened, in words. The address is not named."""
    chain = list(_chain(error))
    for kind in _RANKING:
        for one in chain:
            if isinstance(one, kind) and (text := _sentence(one)) is not None:
                return text
    return OTHER


def relay_answer(error: BaseException) -> str | None:
    """Return the relay's answer if a relay refused something, in words; None if no relay did."""
    refused = _first(error, RelayRefusedError)
    return None if refused is None else RELAY_ANSWERS.get(refused.status, OTHER_STATUS)


def _sentence(error: BaseException) -> str | None:
    match error:
        case MissingDeserializerError():
            return UNKNOWN_KEY
        case RelayRefusedError(status=status):
            return f"the relay says: {RELAY_ANSWERS.get(status, OTHER_STATUS)}"
        case NoRelayError():
            return NO_RELAY
        case PeerIDMismatchesPubkey():
            return WRONG_PEER
        case OSError(errno=int(number)):
            return SYSTEM_ERRORS.get(number)
        case TimeoutError() | SilentError():
            return NO_ANSWER
        case HandshakeError():
            return NO_HANDSHAKE
        case _:
            return None


async def probe_address(transport: Multiaddr) -> BaseException | None:
    """Open a TCP connection to an address, and close it. Returns an exception that says why a dial failed.

    This is for a dial that was cancelled because it took too long: it has no exception that says how far it came.
    The result is HandshakeError if the connection opens, SilentError without an answer, else the OSError. None: the
    address is of a kind that cannot be probed.
    """
    try:
        host = str(transport.value_for_protocol("ip6" if str(transport).startswith("/ip6/") else "ip4"))
        port = int(transport.value_for_protocol("tcp") or 0)
    except Exception:  # the library raises kinds of its own
        return None
    try:
        with trio.fail_after(PROBE_SECONDS):
            stream = await trio.open_tcp_stream(host, port)
            await stream.aclose()
    except trio.TooSlowError:
        return SilentError()
    except OSError as error:
        return error
    return HandshakeError()


def _first(error: BaseException, kind: type[_E]) -> _E | None:
    return next((one for one in _chain(error) if isinstance(one, kind)), None)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an exception and its causes, the outermost first; at most MAX_CAUSES."""
    waiting: list[BaseException] = [error]
    for _ in range(MAX_CAUSES):
        if not waiting:
            return
        seen = waiting.pop()
        yield seen
        if (cause := seen.__cause__ or seen.__context__) is not None:
            waiting.append(cause)
        if isinstance(seen, BaseExceptionGroup):
            waiting += reversed(seen.exceptions)
