"""The dashboard in a browser: it is shown, guarded, and ends with its page."""

import asyncio
import re
from collections.abc import Iterator
from urllib.parse import urlsplit

import aiohttp
import pytest

from tests.pictures.browser import WAIT_SECONDS, installed, opened, served
from tests.ui.conftest import RECORDING, on_asyncio


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with served(str(RECORDING)) as found:
        yield found


def base(address: str) -> str:
    return address.partition("/?")[0]


async def until(socket: aiohttp.ClientWebSocketResponse, text: str) -> None:
    """Read the socket until a text came."""
    received = b""
    while text.encode() not in received:
        message = await asyncio.wait_for(socket.receive(), WAIT_SECONDS)
        assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), message
        received += message.data if isinstance(message.data, bytes) else message.data.encode()


@on_asyncio
async def test_the_page_is_a_dashboard_that_takes_keys(address: str) -> None:
    """Through the web socket alone, as a page would."""
    jar = aiohttp.CookieJar(unsafe=True)
    async with aiohttp.ClientSession(cookie_jar=jar) as session:
        async with session.get(address) as answer:
            assert answer.status == 200
            assert "secret" not in str(answer.url), "out of the address, into a cookie"
            policy = answer.headers["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            text = await answer.text()
            assert "data-session-websocket-url" in text
            assert f"<title>{RECORDING.name} · flux-tui</title>" in text
            assert '<meta name="viewport" content="width=device-width, initial-scale=1' in text
            assert 'lang="en"' in text
            assert re.findall(r"""(?:src|href)="(?!data:)(?!http://127\.0\.0\.1:)[^"]+""", text) == [], (
                "from here alone"
            )
        async with session.ws_connect(f"{base(address)}/ws?width=100&height=30") as socket:
            await until(socket, "recording")
            await socket.send_json(["stdin", "?"])
            await until(socket, "Push a want")
            await socket.send_json(["resize", {"width": 60, "height": 20}])
            await socket.send_json(["stdin", "q"])
            await until(socket, "6 Rate")


@pytest.mark.parametrize(
    ("headers", "cookie"),
    [
        ({}, ""),
        ({}, "wrong"),
        ({"Origin": "http://elsewhere.example"}, "right"),
        ({"Host": "elsewhere.example"}, "right"),
    ],
)
@on_asyncio
async def test_a_request_without_the_secret_or_from_another_site_is_refused(
    address: str, headers: dict[str, str], cookie: str
) -> None:
    secret = address.partition("secret=")[2]
    port = urlsplit(address).port
    value = secret if cookie == "right" else cookie
    headers = {**headers, "Cookie": f"flux_tui_{port}={value}"}
    async with aiohttp.ClientSession() as session:
        for path in ("/", "/ws", "/static/js/textual.js"):
            async with session.get(base(address) + path, headers=headers) as answer:
                assert answer.status == 403
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(f"{base(address)}/ws", headers=headers)
        async with session.get(f"{base(address)}/?secret=\u00e9") as answer:
            assert answer.status == 403


@on_asyncio
async def test_a_real_browser_shows_the_dashboard(address: str) -> None:
    browser = installed()
    if browser is None:
        # Then what the page of another site could do, with the script of that page. The test before this
        # covers the rest.
        await _page_by_hand(address)
        return
    async with opened(browser) as page:
        await page.call("Page.navigate", url=address)
        await page.until_received("recording")
        await page.key("?")  # without a click
        await page.until_received("Push a want")
        assert (await page.picture()).startswith(b"\x89PNG")
        found = await page.call("Runtime.evaluate", expression="document.body.className + location.href")
        assert "-first-byte" in found["result"]["value"]
        assert "secret" not in found["result"]["value"]


@on_asyncio
async def test_keys_reach_the_dashboard_again_after_a_click_elsewhere(address: str) -> None:
    """Keys still arrive after a click beside the terminal, and after the end of a session."""
    browser = installed()
    if browser is None:
        pytest.skip("there is no browser")
    async with opened(browser) as page:
        await page.call("Page.navigate", url=address)
        await page.until_received("recording")
        await page.evaluate("document.activeElement.blur()")
        await page.key("?")
        await page.until_received("Push a want")
        page.received = b""
        await page.key("q")
        await page.until_received("Retries")
        await page.key("q")
        await page.until("document.activeElement.id === 'again'")
        page.received = b""
        await page.call(
            "Input.dispatchKeyEvent", type="keyDown", key="Enter", text="\r", windowsVirtualKeyCode=13
        )
        await page.until_received("recording")
        await page.key("?")
        await page.until_received("Push a want")


@on_asyncio
async def test_on_a_phone_the_page_fits_and_has_sixty_columns(address: str) -> None:
    browser = installed()
    if browser is None:
        pytest.skip("there is no browser")
    async with opened(browser) as page:
        await page.call(
            "Emulation.setDeviceMetricsOverride", width=390, height=844, deviceScaleFactor=1, mobile=True
        )
        await page.call("Page.navigate", url=address)
        await page.until_received("recording")
        assert await page.evaluate("window.innerWidth") == 390
        assert await page.evaluate("document.title") == f"{RECORDING.name} · flux-tui"
        wide = "Math.round(document.querySelector('.xterm-screen').clientWidth)"
        assert 300 < await page.evaluate(wide) <= 390
        await page.key("?")
        await page.until_received("Push a want")
        columns = re.search(r"width=(\d+)", page.sockets[0])
        assert columns is not None
        assert int(columns[1]) >= 60


async def _page_by_hand(address: str) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        async with session.get(address) as answer:
            text = await answer.text()
        script = text.partition('<script src="')[2].partition('"')[0]
        async with session.get(script) as answer:
            assert "WebSocket" in await answer.text()
