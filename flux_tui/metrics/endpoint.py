"""The HTTP endpoint from which Prometheus reads a running node's metrics.

It answers GET and HEAD of /metrics, and nothing else. A connection carries one request. The number of
connections, the bytes and the time of a request are bounded. A request must name this machine by an IP address, by
`localhost`, by its own host name, or by a name of the setting `metrics_hosts`. So a page in a browser cannot read the
metrics by a name of its own that it lets point here (DNS rebinding).
"""

import logging
import socket
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import h11
import trio

from flux_tui.host_header import is_named
from flux_tui.metrics.exposition import MetricsError, for_scrape, needed
from flux_tui.metrics.families import Family

log = logging.getLogger(__name__)

PATH = "/metrics"
MAX_CONNECTIONS = 8
"""Connections at once. One more is closed unread."""
MAX_REQUEST = 16 * 1024
"""Bytes of a request's head."""
REQUEST_SECONDS = 10.0
"""Seconds for a request to come and its answer to leave."""
READ_BYTES = 4096

Collect = Callable[[], Sequence[Family]]
"""Returns the metrics as they are now. It must not block."""


class _Answer(NamedTuple):
    status: int
    body: bytes
    content_type: str = "text/plain; charset=utf-8"


class MetricsEndpoint:
    """The endpoint of one node. It listens once it is opened, and answers while `serve` runs."""

    def __init__(self, listeners: Sequence[trio.SocketListener], names: Collection[str]) -> None:
        self._listeners = list(listeners)
        self._names = frozenset(names)
        self.urls = tuple(_url(listener.socket.getsockname()) for listener in listeners)
        """Where the metrics can be read."""

    @classmethod
    async def open(cls, endpoint: str, hosts: Collection[str]) -> "MetricsEndpoint":
        """Listen at `endpoint` (HOST:PORT, as `config.parse_endpoint` returns it).

        `hosts`: further names by which it may be asked. Raises MetricsError if it cannot listen there, or if the extra
        is not installed.
        """
        needed()
        host, _, port = endpoint.rpartition(":")
        host = host.strip("[]")
        try:
            listeners = await trio.open_tcp_listeners(int(port), host=host)
        except OSError as error:
            why = (error.strerror or str(error)).lower()
            raise MetricsError(f"cannot serve metrics at {endpoint}: {why}") from None
        return cls(listeners, {"localhost", host.lower(), socket.gethostname().lower(), *hosts})

    async def serve(self, collect: Collect) -> None:
        """Answer requests until cancelled."""
        await trio.serve_listeners(_Server(self._names, collect).handle, self._listeners)


def _url(address: tuple[str, int]) -> str:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}{PATH}"


class _Server:
    def __init__(self, names: frozenset[str], collect: Collect) -> None:
        self._names = names
        self._collect = collect
        self._open = 0

    async def handle(self, stream: trio.SocketStream) -> None:
        """Answer the one request of a connection, and close it. Never raises: a client cannot end the server."""
        if self._open >= MAX_CONNECTIONS:
            await trio.aclose_forcefully(stream)
            return
        self._open += 1
        try:
            with trio.move_on_after(REQUEST_SECONDS):
                await self._answer_one(stream)
        except (trio.BrokenResourceError, h11.LocalProtocolError):
            pass  # the client is gone
        except Exception:
            log.exception("metrics could not be served")
        finally:
            self._open -= 1
            await trio.aclose_forcefully(stream)

    async def _answer_one(self, stream: trio.SocketStream) -> None:
        connection = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_REQUEST)
        has_body = True
        try:
            request = await _read_request(connection, stream)
            if request is None:
                return
            has_body = request.method != b"HEAD"
            answer = self._answer(request)
        except h11.RemoteProtocolError as error:
            answer = _Answer(error.error_status_hint, b"this is not a request of HTTP/1.1\n")
        if connection.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        headers = [
            ("Content-Type", answer.content_type),
            ("Content-Length", str(len(answer.body))),
            ("X-Content-Type-Options", "nosniff"),
            ("Cache-Control", "no-store"),
            ("Connection", "close"),
        ]
        sent = connection.send(h11.Response(status_code=answer.status, headers=headers)) or b""
        if has_body:
            sent += connection.send(h11.Data(data=answer.body))
        sent += connection.send(h11.EndOfMessage())
        await stream.send_all(sent)
        await stream.send_eof()
        while await stream.receive_some(READ_BYTES):  # closing with unread bytes would discard the answer
            pass

    def _answer(self, request: h11.Request) -> _Answer:
        headers = dict(request.headers)
        if not is_named(headers.get(b"host", b"").decode("ascii", "replace"), self._names):
            return _Answer(
                403, b"this name is not one of this machine's; the setting metrics_hosts adds names\n"
            )
        if request.method not in (b"GET", b"HEAD"):
            return _Answer(405, b"only GET and HEAD are answered\n")
        if request.target.partition(b"?")[0].decode("ascii", "replace") != PATH:
            return _Answer(404, b"the metrics are at /metrics\n")
        accept = headers.get(b"accept", b"").decode("ascii", "replace")
        return _Answer(200, *for_scrape(self._collect(), accept))


async def _read_request(connection: h11.Connection, stream: trio.SocketStream) -> h11.Request | None:
    """Return the request's head; None if the client ended the connection. Raises h11.RemoteProtocolError."""
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await stream.receive_some(READ_BYTES))
        elif isinstance(event, h11.Request):
            return event
        else:
            return None
