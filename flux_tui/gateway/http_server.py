"""HTTP/1.1 connections, by h11 on trio: bounded in number, time and memory, one request after the other.

- At most `max_connections` at once; one more is answered 503.
- The head of a request has HEAD_SECONDS and MAX_HEAD bytes. A client that does not read what it asked for is
  disconnected after STALL_SECONDS.
- A request's body is not read: after such a request the connection is closed.
- Bytes of a file that its stat proves unchanged go from the page cache to the socket (`sendfile`), without passing
  through this process. The stat is looked at before and after each run: if the file was changed meanwhile, the
  connection is broken off, and the client knows that the body is not whole.
"""

import errno
import logging
import os
from collections.abc import Awaitable, Callable
from contextlib import aclosing, suppress
from email.utils import formatdate
from http import HTTPStatus

import h11
import trio

from flux_tui.gateway.http_answers import Answer, Body, BrokenOffError, FileRun, HttpError
from flux_tui.gateway.pages import POLICY, error_page
from flux_tui.regular_files import open_regular

log = logging.getLogger(__name__)

MAX_HEAD = 16 * 1024
"""Bytes of a request's head."""
HEAD_SECONDS = 20.0
"""Seconds for the head of a request to come, and between two requests."""
STALL_SECONDS = 60.0
"""Seconds in which a client has to take something of the answer, or WRITE_BYTES of it."""
READ_BYTES = 16 * 1024
LINGER_SECONDS, LINGER_BYTES = 2.0, 1024 * 1024
"""How long, and how much, is read from a client after the last answer."""
RUN_BYTES = 16 * 1024 * 1024
"""Bytes that are sent from a file before its stat is looked at again."""
WRITE_BYTES = 256 * 1024
"""Bytes that a client has to take within STALL_SECONDS, where they pass through this process."""
COPY_BYTES = 1024 * 1024
"""Bytes that are read at a time where the system has no `sendfile` for sockets as Linux has it."""
BUSY = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 5\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"

Handler = Callable[[h11.Request], Awaitable[Answer]]
"""Answers one request. Raises HttpError to refuse it."""
SENDFILE = getattr(os, "sendfile", None)


class HttpServer:
    """Serves the connections of one gateway."""

    def __init__(self, handler: Handler, max_connections: int) -> None:
        self._handler = handler
        self._max = max_connections
        self.open = 0
        """The number of connections that are open."""

    async def serve(self, stream: trio.SocketStream) -> None:
        """Answer the requests of one connection. Never raises: a client cannot end the server."""
        if self.open >= self._max:
            with trio.move_on_after(1):
                await _quietly(stream.send_all(BUSY))
            await trio.aclose_forcefully(stream)
            return
        self.open += 1
        try:
            await _Connection(stream, self._handler).run()
        except (
            trio.BrokenResourceError,
            trio.ClosedResourceError,
            h11.LocalProtocolError,
            BrokenOffError,
            OSError,
        ):
            pass  # the client is gone, or it has to notice that the body is not whole
        except Exception:
            log.exception("a request could not be answered")
        finally:
            self.open -= 1
            await trio.aclose_forcefully(stream)


async def _quietly(sending: Awaitable[None]) -> None:
    with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
        await sending


class _Connection:
    def __init__(self, stream: trio.SocketStream, handler: Handler) -> None:
        self._stream = stream
        self._handler = handler
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=MAX_HEAD)

    async def run(self) -> None:
        """Answer one request after the other, until either side closes."""
        while True:
            try:
                request = await self._request()
                if request is None:
                    return
                await self._answer(request)
            except h11.RemoteProtocolError as error:
                if self._http.our_state in (h11.IDLE, h11.SEND_RESPONSE):
                    await self._send(
                        _error(HttpError(error.error_status_hint, "that is not a request of HTTP/1.1"))
                    )
                await self._linger()
                return
            if self._http.our_state is not h11.DONE or self._http.their_state is not h11.DONE:
                await self._linger()
                return
            self._http.start_next_cycle()

    async def _linger(self) -> None:
        """Read what the client still sends, within limits: closing with unread bytes would discard the answer."""
        await self._stream.send_eof()
        left = LINGER_BYTES
        with trio.move_on_after(LINGER_SECONDS):
            while left > 0 and (data := await self._stream.receive_some(READ_BYTES)):
                left -= len(data)

    async def _request(self) -> h11.Request | None:
        """Return the next request's head; None if the client is gone or says nothing."""
        request = None
        with trio.move_on_after(HEAD_SECONDS) as scope:
            request = await self._head()
        return None if scope.cancelled_caught else request

    async def _head(self) -> h11.Request | None:
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                self._http.receive_data(await self._stream.receive_some(READ_BYTES))
            elif isinstance(event, h11.Request):
                self._http.next_event()  # the end of a request without a body
                return event
            else:
                return None

    async def _answer(self, request: h11.Request) -> None:
        try:
            answer = await self._handler(request)
        except HttpError as error:
            answer = _error(error)
        await self._send(answer, head_only=request.method == b"HEAD")

    async def _send(self, answer: Answer, *, head_only: bool = False) -> None:
        """Send an answer. Raises BrokenOffError if its body is not as long as was said."""
        headers = [*answer.headers, ("Date", formatdate(usegmt=True)), ("Server", "flux-tui")]
        bodiless = answer.status in (204, 304)
        if not bodiless:
            size = len(answer.body) if isinstance(answer.body, bytes) else answer.size
            headers.append(
                ("Transfer-Encoding", "chunked") if size is None else ("Content-Length", str(size))
            )
        if self._http.their_state is not h11.DONE:
            headers.append(("Connection", "close"))
        reason = _reason(answer.status)
        head = h11.Response(status_code=answer.status, headers=headers, reason=reason)
        await self._write(self._http.send(head))
        if not head_only and not bodiless:
            await self._send_body(answer.body)
        elif not isinstance(answer.body, bytes):
            await answer.body.aclose()
        try:
            await self._write(self._http.send(h11.EndOfMessage()))
        except h11.LocalProtocolError:
            raise BrokenOffError from None

    async def _send_body(self, body: Body) -> None:
        if isinstance(body, bytes):
            await self._write(self._http.send(h11.Data(data=body)))
            return
        async with aclosing(body):
            async for piece in body:
                if isinstance(piece, FileRun):
                    await self._send_run(piece)
                    continue
                for part in self._http.send_with_data_passthrough(h11.Data(data=piece)) or ():  # type: ignore[arg-type]
                    await self._write(part)

    async def _send_run(self, run: FileRun) -> None:
        for part in self._http.send_with_data_passthrough(h11.Data(data=_Sized(run.size))) or ():  # type: ignore[arg-type]
            if isinstance(part, _Sized):
                await self._send_file(run)
            else:
                await self._write(part)

    async def _send_file(self, run: FileRun) -> None:
        """Send bytes of a file. Raises BrokenOffError if it is not the file any more that it was."""
        try:
            opened = await trio.to_thread.run_sync(open_regular, run.path)
        except OSError:
            raise BrokenOffError from None
        try:
            at, end = run.offset, run.offset + run.size
            while at < end:
                if not run.stat.proves(os.fstat(opened)):
                    raise BrokenOffError
                stop = min(end, at + RUN_BYTES)
                while at < stop:
                    with trio.fail_after(STALL_SECONDS):
                        at += await self._send_some(opened, at, stop - at)
            if not run.stat.proves(os.fstat(opened)):
                raise BrokenOffError
        except trio.TooSlowError:
            raise BrokenOffError from None
        finally:
            os.close(opened)

    async def _send_some(self, descriptor: int, at: int, size: int) -> int:
        """Send the first of `size` bytes of a file, as many as the socket takes. Return how many; 0: none now."""
        if SENDFILE is None:
            data = await trio.to_thread.run_sync(os.pread, descriptor, min(size, COPY_BYTES), at)
            if not data:
                raise BrokenOffError("the file is shorter now")
            await self._stream.send_all(data)
            return len(data)
        # In the loop: a thread would cost more than it saves where the bytes are in memory, as they mostly are.
        sent = _sendfile(self._stream.socket.fileno(), descriptor, at, size)
        if sent is None:
            await trio.lowlevel.wait_writable(self._stream.socket.fileno())
            return 0
        if not sent:
            raise BrokenOffError("the file is shorter now")
        await trio.lowlevel.checkpoint()
        return sent

    async def _write(self, data: bytes | memoryview | None) -> None:
        view = memoryview(data or b"")
        for at in range(0, len(view), WRITE_BYTES):
            with trio.move_on_after(STALL_SECONDS) as scope:
                await self._stream.send_all(view[at : at + WRITE_BYTES])
            if scope.cancelled_caught:
                raise BrokenOffError


class _Sized:
    """Stands for bytes that do not pass through h11, which only counts them."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __len__(self) -> int:
        return self._size


def _sendfile(socket: int, descriptor: int, at: int, size: int) -> int | None:
    """Send bytes of a file to a socket. Return how many; None: the socket takes none now. Raises BrokenOffError."""
    assert SENDFILE is not None
    try:
        sent: int = SENDFILE(socket, descriptor, at, size)
    except OSError as error:
        if error.errno in (errno.EAGAIN, errno.EWOULDBLOCK):
            return None
        raise BrokenOffError from None
    return sent


def _reason(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _error(error: HttpError) -> Answer:
    headers = [
        ("Content-Type", "text/html; charset=utf-8"),
        ("Content-Security-Policy", POLICY),
        ("X-Content-Type-Options", "nosniff"),
        ("Cache-Control", "no-store"),
        *error.headers,
    ]
    return Answer(error.status, headers, error_page(error.status, str(error)))
