"""The gateway of one home: it listens, checks what each request names, and answers out of the home.

A request has to name this machine: by an IP address, `localhost`, its host name, or a name of `hosts`. So a page in a
browser cannot reach a gateway on loopback by a name of its own that it lets point there (DNS rebinding).
"""

import logging
import socket
from collections.abc import AsyncGenerator, Callable, Collection, Sequence
from contextlib import aclosing

import h11
import trio

from flux_tui.core.content.path_walk import NoSuchNameError
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.gateway.http_answers import Answer, BrokenOffError, HttpError, Piece
from flux_tui.gateway.http_requests import Wanted, read_target
from flux_tui.gateway.http_server import HttpServer
from flux_tui.gateway.object_answers import ObjectAnswers
from flux_tui.home import Home, HomeError
from flux_tui.host_header import is_named
from flux_tui.reading.blocks import NotHereError, ReadError
from flux_tui.reading.home_blocks import HomeBlocks
from flux_tui.store.index.block_reader import BlockReader

log = logging.getLogger(__name__)

MAX_CONNECTIONS = 128
FETCH_SECONDS = 60.0
"""Seconds until an answer that waits for blocks from others is given up."""
WELCOME = (
    b"This is a gateway of flux-tui. Objects are at /ipfs/CID and /ipfs/CID/path; one block at /ipfs/CID?format=raw,"
    b" all blocks at /ipfs/CID?format=car.\n"
)


class GatewayError(Exception):
    """The gateway cannot listen. The message is one sentence for a person."""


class Gateway:
    """Serves the objects of one home over HTTP.

    `begin`: makes sure that a node runs, so that blocks that are not here are fetched; None: only what is here is
    served. `hosts`: further names by which it may be asked.
    """

    def __init__(
        self,
        home: Home,
        *,
        hosts: Collection[str] = (),
        begin: Callable[[], None] | None = None,
        by: str | None = None,
        max_connections: int = MAX_CONNECTIONS,
        fetch_seconds: float = FETCH_SECONDS,
    ) -> None:
        self._home = home
        self._names = {"localhost", socket.gethostname().lower(), *(name.lower() for name in hosts)}
        self._begin = begin
        self._by = by
        self._fetch_seconds = fetch_seconds
        self._reader: BlockReader | None = None
        self.http = HttpServer(self.handle, max_connections)

    async def run(
        self, host: str, port: int, started: Callable[[Sequence[str]], None] = lambda urls: None
    ) -> None:
        """Serve at `host` and `port` (0: any that is free) until cancelled.

        `started` is called with the addresses. Raises GatewayError, StoreError.
        """
        self._reader = BlockReader.open(self._home.path)
        try:
            try:
                listeners = await trio.open_tcp_listeners(port, host=host)
            except OSError as error:
                words = (error.strerror or str(error)).lower()
                raise GatewayError(f"cannot serve at {host} port {port}: {words}") from None
            started([_url(listener.socket.getsockname()) for listener in listeners])
            await trio.serve_listeners(self.http.serve, listeners)
        finally:
            self._reader.close()

    async def handle(self, request: h11.Request) -> Answer:
        """Answer one request. Raises HttpError."""
        headers = {name.decode("ascii"): value.decode("latin-1") for name, value in request.headers}
        if not is_named(headers.get("host", ""), self._names):
            raise HttpError(403, "this name is not one of this machine's: --host-name adds names")
        if request.method not in (b"GET", b"HEAD"):
            raise HttpError(405, "only GET and HEAD are answered", [("Allow", "GET, HEAD")])
        if "service-worker" in headers:
            raise HttpError(403, "content cannot install a service worker here")
        target = request.target.decode("ascii", "replace")
        if target.partition("?")[0] == "/":
            return Answer(200, [("Content-Type", "text/plain; charset=utf-8")], WELCOME)
        wanted = read_target(target, headers.get("accept", ""))
        cached = "only-if-cached" in headers.get("cache-control", "").lower()
        begin = None if cached else self._begin
        blocks = HomeBlocks(self._home, begin, by=self._by, reader=self._reader)
        try:
            answers = ObjectAnswers(blocks, headers)
            return await self._answer(answers, blocks, wanted, head_only=request.method == b"HEAD")
        except NotHereError as error:
            raise HttpError(412 if cached else 404, f"it is not here: {error}") from None
        except NoSuchNameError as error:
            raise HttpError(404, str(error)) from None
        except BadBlockError as error:
            raise HttpError(500, f"that object is not valid: {error}") from None
        except (ReadError, HomeError) as error:
            raise HttpError(502, str(error)) from None

    async def _answer(
        self, answers: ObjectAnswers, blocks: HomeBlocks, wanted: Wanted, *, head_only: bool
    ) -> Answer:
        try:
            with trio.fail_after(self._fetch_seconds):
                answer = await answers.answer(wanted)
        except trio.TooSlowError:
            await _close(blocks)
            seconds = f"{self._fetch_seconds:g} s"
            raise HttpError(504, f"nobody sent it within {seconds}", [("Retry-After", "30")]) from None
        except BaseException:
            await _close(blocks)
            raise
        if isinstance(answer.body, bytes) or head_only:
            await _close(blocks)
            return answer
        return answer._replace(body=_closing(answer.body, blocks, self._fetch_seconds))


async def _closing(
    body: AsyncGenerator[Piece, None], blocks: HomeBlocks, seconds: float
) -> AsyncGenerator[Piece, None]:
    """Yield a body, and end its wants when it has been sent, or the client is gone.

    Raises BrokenOffError if the next piece does not come within `seconds`, or cannot be read.
    """
    try:
        async with aclosing(body):
            while True:
                with trio.fail_after(seconds):
                    piece = await anext(body, None)
                if piece is None:
                    return
                yield piece
    except (ReadError, BadBlockError, HomeError, trio.TooSlowError) as error:
        raise BrokenOffError(str(error)) from None
    finally:
        await _close(blocks)


async def _close(blocks: HomeBlocks) -> None:
    """End the wants of an answer. A thread tells the node, which may be busy: other clients do not wait for it."""
    with trio.CancelScope(shield=True):
        await trio.to_thread.run_sync(blocks.close)


def _url(address: tuple[str, int]) -> str:
    host = f"[{address[0]}]" if ":" in address[0] else address[0]
    return f"http://{host}:{address[1]}"
