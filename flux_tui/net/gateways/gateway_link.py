"""One gateway as a peer: it is asked whether it has what is wanted, and sends what it was granted, block by block.

- A want is answered by HEAD requests for the first blocks of it. A yes is an offer, a NO has the gateway's reason.
- A grant becomes GET requests, CONNECTIONS at a time, in its order. A cancel ends those that have begun, too.
- A body is read only if the machine wants it, as it comes (it is never unpacked), and never further than a block can
  be long.
- A redirect is followed only to the same host or a name below it: a gateway cannot make this node ask others.
"""

import logging
import time
from collections import OrderedDict

import httpx
import trio

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import codec
from flux_tui.core.wire.codec import MAX_PAYLOAD
from flux_tui.core.wire.messages import (
    Cancel,
    Cancelled,
    Chunk,
    Grant,
    Message,
    SealedIntent,
    StatusNo,
    StatusYesButLater,
    Want,
)
from flux_tui.net.gateways.gateway_answers import CONNECTIONS, Answered, GatewayGoneError, refusal
from flux_tui.net.port import Receiver

log = logging.getLogger(__name__)

ASKED = 8
"""Blocks of one want that the gateway is asked for. It is taken to have the others, if it has one of these."""
MAX_QUEUED = 4096
"""Blocks that are granted or asked for and wait. Further ones are answered `busy`."""
PROGRESS_SECONDS = 1.0
MAX_REDIRECTS = 3
MAX_FAILURES = 3
"""Failed requests in a row after which the gateway counts as gone."""
HEADERS = {"Accept": "application/vnd.ipld.raw", "Accept-Encoding": "identity"}
PROBE = "bafkqaaa"
"""A CID of no bytes: every gateway can answer for it."""


class GatewayLink:
    """The link to one gateway. `base`: its address without a path, such as `https://ipfs.io`."""

    def __init__(self, peer: PeerId, base: str, receiver: Receiver, client: httpx.AsyncClient) -> None:
        self.peer = peer
        self.base = base
        self._receiver = receiver
        self._client = client
        self._grants: OrderedDict[Cid, None] = OrderedDict()
        """Blocks to fetch, in order."""
        self._asks: OrderedDict[Cid, tuple[Cid, ...]] = OrderedDict()
        """Blocks to ask for, each with those of the same want that follow from its answer."""
        self._active: dict[Cid, trio.CancelScope] = {}
        self._news = trio.Event()
        self._failures = 0

    # ── what the node pushes ────────────────────────────────────────────────────────────────────

    def push(self, message: Message) -> bool:
        """Take a message of this node. Returns False if it was dropped. Does not block."""
        match message:
            case SealedIntent():
                return self._intent(message)
            case Grant():
                return self._granted(message)
            case Cancel():
                return self._cancelled(message)
            case _:
                return True  # a gateway keeps nothing for others, and knows no other messages

    def _intent(self, sealed: SealedIntent) -> bool:
        body = codec.decode_intent(sealed.signed).body
        if not isinstance(body, Want):
            return True
        if len(self._asks) + ASKED > MAX_QUEUED:
            return False
        asked, rest = body.cids[:ASKED], body.cids[ASKED:]
        for cid in asked:
            self._asks[cid] = rest if cid == asked[0] else ()
        self._news.set()
        return True

    def _cancelled(self, cancel: Cancel) -> bool:
        ended: list[Cid] = []
        for cid in cancel.cids:
            scope = self._active.pop(cid, None)
            if scope is not None:
                scope.cancel()
            if scope is not None or cid in self._grants:
                self._grants.pop(cid, None)
                ended.append(cid)
        if cancel.confirm and ended:
            self._receiver.on_message(self.peer, Cancelled(cids=tuple(ended)))
        return True

    def _granted(self, grant: Grant) -> bool:
        room = MAX_QUEUED - len(self._grants)
        taken, refused = grant.cids[: max(room, 0)], grant.cids[max(room, 0) :]
        self._grants.update(dict.fromkeys(taken))
        if refused:
            self._no(refused, Answered("busy", True, 1.0, "too much is granted to one gateway"))
        self._news.set()
        return True

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    async def probe(self) -> None:
        """Find out whether somebody answers there. Raises GatewayGoneError."""
        try:
            async with self._request("GET", PROBE) as answer:
                log.debug("%s answers %s", self.base, answer.status_code)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GatewayGoneError(_words(error)) from None

    async def run(self) -> None:
        """Answer and fetch until the gateway is gone. Raises GatewayGoneError."""
        async with trio.open_nursery() as nursery:
            limiter = trio.CapacityLimiter(CONNECTIONS)
            while True:
                await limiter.acquire_on_behalf_of(token := object())
                work = await self._next()
                nursery.start_soon(self._do, work, limiter, token)

    async def _next(self) -> tuple[Cid, tuple[Cid, ...] | None]:
        """Return the next block: to ask for, with those that follow from the answer; or, with None, to fetch."""
        while True:
            if self._asks:
                return self._asks.popitem(last=False)
            if self._grants:
                return self._grants.popitem(last=False)[0], None
            self._news = trio.Event()
            await self._news.wait()

    async def _do(
        self, work: tuple[Cid, tuple[Cid, ...] | None], limiter: trio.CapacityLimiter, token: object
    ) -> None:
        cid, rest = work
        try:
            if rest is not None:
                await self._ask(cid, rest)
            else:
                await self._fetch_until_cancelled(cid)
            self._failures = 0
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            self._failures += 1
            if self._failures >= MAX_FAILURES:
                raise GatewayGoneError(_words(error)) from None
            self._no((cid,), Answered("busy", False, 5.0, _words(error)))
        finally:
            limiter.release_on_behalf_of(token)

    # ── requests ────────────────────────────────────────────────────────────────────────────────

    async def _ask(self, cid: Cid, rest: tuple[Cid, ...]) -> None:
        async with self._request("HEAD", cid) as answer:
            no = refusal(answer.status_code, _lower(answer.headers), time.time())
        if no is None:
            offer = StatusYesButLater(cids=(cid, *rest), eta=0.0, queue_bytes=0)
            self._receiver.on_message(self.peer, offer)
        else:
            self._no((cid, *rest) if no.retry_after is not None or no.reason == "denied" else (cid,), no)

    async def _fetch_until_cancelled(self, cid: Cid) -> None:
        """Fetch a block, unless it is being fetched. A cancel ends it."""
        if cid in self._active:
            return
        scope = self._active[cid] = trio.CancelScope()
        try:
            with scope:
                await self._fetch(cid)
        finally:
            if self._active.get(cid) is scope:  # else it was cancelled, and may be granted again already
                del self._active[cid]

    async def _fetch(self, cid: Cid) -> None:
        chunk = Chunk(cid=cid)
        async with self._request("GET", cid) as answer:
            no = refusal(answer.status_code, _lower(answer.headers), time.time())
            if no is not None:
                self._no((cid,), no)
                return
            size = _length(answer.headers.get("content-length"))
            if size is not None and size > MAX_PAYLOAD:
                self._fault(cid, f"{self.base} sends {size:,} bytes for one block")
                return
            if answer.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
                self._fault(cid, f"{self.base} sends a block packed, though it was asked not to")
                return
            if not self._receiver.wants_payload(self.peer, chunk, size or 0):
                return
            pieces = await self._read(answer, chunk)
            if pieces is None:
                return
        await self._receiver.on_payload(self.peer, chunk, [b"".join(pieces)])

    async def _read(self, answer: httpx.Response, chunk: Chunk) -> list[bytes] | None:
        """Return the body of an answer; None: it is longer than any block, which is a fault."""
        pieces: list[bytes] = []
        received, told = 0, trio.current_time()
        begun = told
        # Leaving the loop would leave the client's generators open: the cancelled next read ends them.
        with trio.CancelScope() as scope:
            async for piece in answer.aiter_raw():
                received += len(piece)
                if received > MAX_PAYLOAD:
                    pieces.clear()
                    scope.cancel()
                    continue
                pieces.append(piece)
                if (now := trio.current_time()) - told >= PROGRESS_SECONDS:
                    told = now
                    self._receiver.on_progress(self.peer, chunk, received, now - begun)
        if received <= MAX_PAYLOAD:
            return pieces
        self._fault(chunk.cid, f"{self.base} sends more than {MAX_PAYLOAD:,} bytes for one block")
        return None

    def _request(self, method: str, cid: str) -> "_Following":
        return _Following(self._client, method, f"{self.base}/ipfs/{cid}?format=raw")

    def _no(self, cids: tuple[Cid, ...], no: Answered) -> None:
        answer = StatusNo(
            cids=cids, reason=no.reason, has_it=no.has_it, retry_after=no.retry_after, text=no.text[:200]
        )
        self._receiver.on_message(self.peer, answer)

    def _fault(self, cid: Cid, text: str) -> None:
        """Report a fault of the gateway, and that the block does not come: others may be granted it now."""
        self._receiver.on_fault(self.peer, "garbage", text)
        self._no((cid,), Answered("not_held", False, None, text))


class _Following:
    """A request whose redirects are followed on the same host only. A context manager: the last answer."""

    def __init__(self, client: httpx.AsyncClient, method: str, url: str) -> None:
        self._client = client
        self._method = method
        self._url = httpx.URL(url)
        self._answer: httpx.Response | None = None

    async def __aenter__(self) -> httpx.Response:
        url = self._url
        for _ in range(MAX_REDIRECTS + 1):
            request = self._client.build_request(self._method, url, headers=HEADERS)
            try:
                answer = self._answer = await self._client.send(request, stream=True)
            except UnicodeError:  # httpx looks at the host of a redirect, also if it is not IDNA
                raise httpx.RemoteProtocolError("it redirects to a host that is none") from None
            if not answer.has_redirect_location:
                return answer
            to = url.join(answer.headers["location"])
            if not _is_below(to, self._url):
                return answer
            await answer.aclose()
            url = to
        raise httpx.TooManyRedirects("it redirects without end")

    async def __aexit__(self, *_: object) -> None:
        if self._answer is not None:
            with trio.CancelScope(shield=True):
                await self._answer.aclose()


def _is_below(url: httpx.URL, base: httpx.URL) -> bool:
    """Whether a redirect leads to the host of the base, or a name below it, by no less secure way."""
    if url.scheme != base.scheme and (base.scheme, url.scheme) != ("http", "https"):
        return False
    return url.host == base.host or url.host.endswith(f".{base.host}")


def _lower(headers: httpx.Headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def _length(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() and len(text) < 19 else None


def _words(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0][:200]
