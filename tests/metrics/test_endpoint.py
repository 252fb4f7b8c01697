"""The endpoint of the metrics: whom it answers, what, and that nobody can hold it up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import h11
import pytest
import trio
from prometheus_client.parser import text_string_to_metric_families

from flux_tui.core.series.state import State
from flux_tui.metrics import endpoint as endpoint_module
from flux_tui.metrics.endpoint import MAX_CONNECTIONS, MetricsEndpoint
from flux_tui.metrics.exposition import MetricsError
from flux_tui.metrics.families import Family, state_families
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK


def families() -> list[Family]:
    return state_families(State(), 0.0, running=True)


@asynccontextmanager
async def serving(*hosts: str, at: str = "127.0.0.1:0") -> AsyncIterator[tuple[str, int]]:
    served = await MetricsEndpoint.open(at, hosts)
    (url,) = served.urls
    parts = urlsplit(url)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(served.serve, families)
        assert parts.hostname is not None
        assert parts.port is not None
        with trio.fail_after(60):
            yield parts.hostname, parts.port
        nursery.cancel_scope.cancel()


async def ask(where: tuple[str, int], raw: bytes) -> tuple[int, str]:
    """Send bytes. Return the status and the body of the answer; status 0: there was none."""
    stream = await trio.open_tcp_stream(*where)
    client = h11.Connection(h11.CLIENT)
    method = "HEAD" if raw.startswith(b"HEAD") else "GET"
    client.send(h11.Request(method=method, target="/", headers=[("Host", "x")]))
    status, body = 0, b""
    async with stream:
        await stream.send_all(raw)
        while True:
            try:
                event = client.next_event()
            except h11.RemoteProtocolError:  # closed without an answer
                return status, body.decode()
            if event is h11.NEED_DATA:
                try:
                    client.receive_data(await stream.receive_some(4096))
                except trio.BrokenResourceError:
                    return status, body.decode()
            elif isinstance(event, h11.Response):
                status = event.status_code
            elif isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                return status, body.decode()


def request(host: str, path: str = "/metrics", method: str = "GET") -> bytes:
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()


async def test_it_serves_what_the_parser_takes() -> None:
    async with serving() as where:
        status, body = await ask(where, request(f"127.0.0.1:{where[1]}"))
        assert status == 200
        names = {one.name for family in text_string_to_metric_families(body) for one in family.samples}
        assert {"flux_tui_up", "flux_tui_received_bytes_total", "process_cpu_seconds_total"} <= names
        assert await ask(where, request("localhost", method="HEAD")) == (200, "")


@pytest.mark.parametrize(
    ("host", "answer"),
    [
        ("127.0.0.1:9464", 200),
        ("localhost", 200),
        ("LOCALHOST.:1", 200),
        ("[::1]:9464", 200),
        ("[::1]", 200),
        ("192.0.2.7", 200),
        ("node.example:9464", 200),
        ("evil.example", 403),
        ("evil.example:9464", 403),
        ("localhost.evil.example", 403),
        ("", 403),
        ("127.0.0.1.evil.example", 403),
        ("[::1].evil.example", 403),
        ("localhost:x", 403),
    ],
)
async def test_only_this_machines_names_are_answered(host: str, answer: int) -> None:
    async with serving("node.example") as where:
        assert (await ask(where, request(host)))[0] == answer


async def test_only_the_metrics_are_there() -> None:
    async with serving() as where:
        assert (await ask(where, request("localhost", "/")))[0] == 404
        assert (await ask(where, request("localhost", "/metrics/../x")))[0] == 404
        assert (await ask(where, request("localhost", "/metrics?x=1")))[0] == 200
        assert (await ask(where, request("localhost", method="POST")))[0] == 405
        assert (await ask(where, b"\x16\x03\x01 this is TLS\r\n\r\n"))[0] == 400
        assert (await ask(where, b"GET /metrics HTTP/1.1\r\n\r\n"))[0] == 400, "no host"
        assert (await ask(where, b"GET /metrics HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"))[0] == 400
        assert (await ask(where, b"GET / HTTP/1.1\r\nX: " + b"x" * 40_000))[0] == 431
        assert (await ask(where, request("localhost")))[0] == 200, "and it goes on"


async def test_clients_that_say_nothing_do_not_hold_it_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoint_module, "REQUEST_SECONDS", 0.2)
    async with serving() as where:
        silent = [await trio.open_tcp_stream(*where) for _ in range(MAX_CONNECTIONS)]
        while (await ask(where, request("localhost")))[0] != 200:  # noqa: ASYNC110 - the limit is the fixture's
            await trio.sleep(0.05)
        for stream in silent:
            await stream.aclose()


async def test_a_port_that_is_taken_is_named() -> None:
    async with serving() as (host, port):
        with pytest.raises(MetricsError, match=rf"cannot serve metrics at {host}:{port}: .*in use"):
            await MetricsEndpoint.open(f"{host}:{port}", ())


async def test_a_node_tells_what_only_it_knows(tmp_path: Path) -> None:
    async with FluxNode.open(tmp_path / "home", LOOPBACK) as node:
        found = {family.name: family.samples for family in node.metrics(0.25)}
    assert found["flux_tui_loop_lag_seconds"][0].value == 0.25
    assert found["flux_tui_upload_queue_bytes"][0].value == 0
    assert found["flux_tui_up"][0].value == 1
    assert found["flux_tui_disk_free_bytes"][0].value > 0
