"""Connections of the gateway: clients that read slowly, or hardly at all. On a clock that does not wait."""

import h11
import pytest
import trio
import trio.testing

from flux_tui.gateway.http_answers import Answer
from flux_tui.gateway.http_server import STALL_SECONDS, WRITE_BYTES, HttpServer

BODY = bytes(range(256)) * 8192  # 2 MiB, as the largest block
LEAST = WRITE_BYTES / STALL_SECONDS
REQUEST = b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


class Client:
    """The stream of a client that asks once, and takes `rate` bytes a second."""

    def __init__(self, rate: float) -> None:
        self.rate = rate
        self.got = b""
        self._says = [REQUEST]

    async def send_all(self, data: memoryview) -> None:
        await trio.sleep(len(data) / self.rate)
        self.got += data

    async def receive_some(self, _: int) -> bytes:
        await trio.lowlevel.checkpoint()
        return self._says.pop() if self._says else b""

    async def send_eof(self) -> None:
        await trio.lowlevel.checkpoint()

    async def aclose(self) -> None:
        await trio.lowlevel.checkpoint()


@pytest.mark.parametrize(("rate", "whole"), [(LEAST * 1.1, True), (LEAST * 0.9, False)])
async def test_a_client_gets_all_if_it_goes_on_reading(
    autojump_clock: trio.testing.MockClock, rate: float, whole: bool
) -> None:
    async def handle(_: h11.Request) -> Answer:
        return Answer(200, [], BODY)

    client = Client(rate)
    await HttpServer(handle, 1).serve(client)  # type: ignore[arg-type]
    body = client.got.partition(b"\r\n\r\n")[2]
    assert BODY.startswith(body)
    assert (body == BODY) is whole
