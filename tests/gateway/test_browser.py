"""A real browser at the gateway: it follows an index page, plays from the middle, and runs no script of content."""

import wave
from collections.abc import Iterator

import pytest

from flux_tui.home import Home
from flux_tui.node.offline import add_offline
from tests.bench.gateway import serving
from tests.pictures.browser import Page, installed, opened
from tests.ui.conftest import on_asyncio

SECONDS, RATE = 180, 48_000
EVIL = """<!doctype html><title>before</title><p id=end>text</p><script>document.title = 'ran'</script>
<img src=x onerror="document.title = 'ran'"><iframe srcdoc="<script>parent.document.title = 'ran'</script>"></iframe>
<a id=go href="javascript:document.title = 'ran'">go</a>"""
EVIL_SVG = (
    """<svg xmlns="http://www.w3.org/2000/svg"><script>document.documentElement.id = 'ran'</script></svg>"""
)
PLAYER = "document.querySelector('video')"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Serve a folder. Yields its address."""
    if installed() is None:
        pytest.skip("there is no browser")
    place = tmp_path_factory.mktemp("browser")
    (place / "tree" / "sub").mkdir(parents=True)
    with wave.open(
        str(place / "tree" / "sub" / "sound.wav"), "wb"
    ) as sound:  # 33 MiB, more than a browser reads ahead
        sound.setnchannels(2)
        sound.setsampwidth(2)
        sound.setframerate(RATE)
        sound.writeframes(bytes(4 * RATE * SECONDS))
    (place / "tree" / "evil.html").write_text(EVIL)
    (place / "tree" / "evil.svg").write_text(EVIL_SVG)
    home = Home(place / "home")
    root = add_offline(home, place / "tree", "t", lambda *_: None, lambda _: None).root
    with serving("-m", "flux_tui", "gateway", "--port", "0", "--home", str(home.path)) as (url, _):
        yield f"{url}/ipfs/{root}"


async def _follow(page: Page, name: str) -> None:
    """Click on a name of the index page."""
    link = f"document.querySelector('a[href=\"./{name}\"]')"
    await page.until(f"{link} !== null")
    await page.evaluate(f"{link}.click()")


@on_asyncio
async def test_a_browser_follows_the_index_and_plays_from_the_middle(folder: str) -> None:
    browser = installed()
    assert browser is not None
    async with opened(browser) as page:
        await page.call("Page.navigate", url=f"{folder}/")
        await _follow(page, "sub")
        await page.until("location.pathname.endsWith('/sub/')")
        await _follow(page, "sound.wav")
        await page.until(f"{PLAYER} !== null && {PLAYER}.readyState >= 2")
        assert await page.evaluate(f"Math.round({PLAYER}.duration)") == SECONDS
        page.answers.clear()
        await page.evaluate(f"{PLAYER}.muted = true; {PLAYER}.currentTime = 120; {PLAYER}.play(); 1")
        await page.until(f"{PLAYER}.currentTime > 120.2")
        starts = [
            int(part.removeprefix("bytes ").partition("-")[0])
            for url, status, part in page.answers
            if url == f"{folder}/sub/sound.wav" and status == 206
        ]
        assert starts
        assert min(starts) > 100 * 4 * RATE, "only what is played is fetched"


@on_asyncio
async def test_no_script_of_content_runs_in_a_browser(folder: str) -> None:
    browser = installed()
    assert browser is not None
    async with opened(browser) as page:
        await page.call("Page.navigate", url=f"{folder}/evil.html")
        await page.until("document.readyState === 'complete' && document.querySelector('#end') !== null")
        await page.evaluate("document.querySelector('#go').click()")
        await page.until("performance.now() > 100")
        assert await page.evaluate("[self.origin, document.title].join()") == "null,before"
        await page.call("Page.navigate", url=f"{folder}/evil.svg")
        await page.until("document.documentElement.tagName === 'svg'")
        assert await page.evaluate("[self.origin, document.documentElement.id].join()") == "null,"
