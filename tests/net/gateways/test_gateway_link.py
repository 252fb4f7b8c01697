"""The link to one gateway, whose answers a test makes."""

import os

import httpx
import trio
import trio.testing

from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from flux_tui.net.gateways.gateway_link import GatewayLink
from flux_tui.net.gateways.with_gateways import gateway_peer_id
from tests.support.networks import Seen

LEAF, OTHER_LEAF = raw_cid(b"leaf"), raw_cid(b"another leaf")
URL = "http://gateway.example"


def want(*cids: Cid) -> msg.SealedIntent:
    body = msg.Want(cids=cids)
    intent = msg.Intent(origin=gateway_peer_id(URL), nonce=os.urandom(12), expires=60, body=body)
    return msg.SealedIntent(signed=codec.encode_intent(intent), signature=bytes(64))


async def test_a_cancel_ends_a_request_also_if_the_block_was_asked_for_and_granted_again() -> None:
    asked: list[str] = []
    ended = 0

    async def answer(request: httpx.Request) -> httpx.Response:
        nonlocal ended
        asked.append(request.method)
        if request.method == "GET":
            try:
                await trio.sleep_forever()
            finally:
                ended += 1
        return httpx.Response(200)

    seen = Seen()
    async with (
        httpx.AsyncClient(transport=httpx.MockTransport(answer)) as client,
        trio.open_nursery() as nursery,
    ):
        link = GatewayLink(gateway_peer_id(URL), URL, seen, client)
        nursery.start_soon(link.run)
        for message in (msg.Grant(cids=(LEAF,), ttl=60.0), want(LEAF), msg.Grant(cids=(LEAF,), ttl=60.0)):
            assert link.push(message)
            await trio.testing.wait_all_tasks_blocked()
        assert asked == ["GET", "HEAD"], "it is not fetched twice at a time"
        assert link.push(msg.Cancel(cids=(LEAF, OTHER_LEAF), confirm=True))
        await trio.testing.wait_all_tasks_blocked()
        assert ended == 1
        assert seen.messages[-1] == msg.Cancelled(cids=(LEAF,)), "the other one was not granted"
        nursery.cancel_scope.cancel()
