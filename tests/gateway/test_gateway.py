"""The gateway over loopback: every form, conformant headers, and requests that are refused."""

import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing

from flux_tui.core.api import commands as cmd
from flux_tui.core.content import unixfs_trees
from flux_tui.core.content.car import decode_header, decode_section, read_varint
from flux_tui.core.ids import Cid, is_leaf, matches
from flux_tui.core.series import events as ev
from flux_tui.gateway import http_server, object_answers
from flux_tui.gateway.content_types import UNKNOWN, content_type
from flux_tui.gateway.gateway import Gateway
from flux_tui.gateway.pages import content_policy
from flux_tui.home import Home
from flux_tui.node.node import FluxNode
from flux_tui.node.offline import add_offline
from flux_tui.testing.memory_network import Switchboard
from tests.support.nodes_here import LOOPBACK, series_of, share, until

MIB = 1 << 20
FILM = random.Random(9).randbytes(3 * MIB + 77)
NASTY = "<b>\"&'é"


class Shared:
    """A home with a folder."""

    def __init__(self, place: Path) -> None:
        self.home = Home(place / "home")
        self.tree = place / "tree"
        (self.tree / "site").mkdir(parents=True)
        (self.tree / "a" / "b").mkdir(parents=True)
        (self.tree / "a" / "b" / "film.webm").write_bytes(FILM)
        (self.tree / "a" / "empty.txt").write_bytes(b"")
        (self.tree / NASTY).write_bytes(b"<script>alert(1)</script>")
        (self.tree / "site" / "index.html").write_text("<p>hello")
        (self.tree / "link").symlink_to("a/empty.txt")
        self.root = add_offline(self.home, self.tree, "t", lambda *_: None, lambda _: None).root
        self.one = self.tree / "one.bin"
        self.one.write_bytes(b"one leaf")
        self.leaf = add_offline(self.home, self.one, "t", lambda *_: None, lambda _: None).root


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Shared:
    return Shared(tmp_path_factory.mktemp("gateway"))


@asynccontextmanager
async def client(
    home: Home,
    max_connections: int = 16,
    hosts: tuple[str, ...] = (),
    begin: Callable[[], None] | None = None,
    fetch_seconds: float = 30.0,
) -> AsyncIterator[httpx.AsyncClient]:
    gateway = Gateway(
        home, max_connections=max_connections, hosts=hosts, begin=begin, by="t", fetch_seconds=fetch_seconds
    )
    async with trio.open_nursery() as nursery:
        at: list[str] = []
        event = trio.Event()

        def started(urls: object) -> None:
            at.extend(urls)  # type: ignore[arg-type]
            event.set()

        nursery.start_soon(gateway.run, "127.0.0.1", 0, started)
        await event.wait()
        async with httpx.AsyncClient(base_url=at[0], timeout=30) as one:
            yield one
        nursery.cancel_scope.cancel()


def sections(car: bytes) -> tuple[tuple[Cid, ...], dict[Cid, bytes]]:
    """Return the roots and blocks of a CAR, each verified."""
    head = read_varint(car)
    assert head is not None
    roots = decode_header(car[head[1] : head[1] + head[0]])
    at, found = head[1] + head[0], {}
    while at < len(car):
        length = read_varint(car, at)
        assert length is not None
        section = car[length[1] : length[1] + length[0]]
        cid, size = decode_section(section)
        assert cid not in found
        assert matches(cid, section[size:])
        found[cid] = section[size:]
        at = length[1] + length[0]
    return roots, found


async def test_a_raw_block_hashes_to_its_cid(shared: Shared) -> None:
    async with client(shared.home) as http:
        for ask in ({"params": {"format": "raw"}}, {"headers": {"accept": "application/vnd.ipld.raw"}}):
            got = await http.get(f"/ipfs/{shared.root}", **ask)  # type: ignore[arg-type]
            assert got.status_code == 200
            assert matches(shared.root, got.content)
            assert got.headers["content-type"] == "application/vnd.ipld.raw"
            assert got.headers["etag"] == f'"{shared.root}.raw"'
            assert got.headers["cache-control"] == "public, max-age=29030400, immutable"
            assert got.headers["content-disposition"].startswith(f'attachment; filename="{shared.root}.bin"')
            assert got.headers["x-content-type-options"] == "nosniff"
            assert got.headers["x-ipfs-path"] == f"/ipfs/{shared.root}"
            assert got.headers["x-ipfs-roots"] == shared.root
        url = f"/ipfs/{shared.leaf}?format=raw"
        part = await http.get(url, headers={"range": "bytes=4-"})
        assert (part.status_code, part.content, part.headers["content-range"]) == (
            206,
            b"leaf",
            "bytes 4-7/8",
        )
        assert (await http.get(url, headers={"range": "bytes=-4"})).content == b"leaf"
        beyond = await http.get(url, headers={"range": "bytes=8-"})
        assert (beyond.status_code, beyond.headers["content-range"]) == (416, "bytes */8")
        huge = await http.get(url, headers={"range": f"bytes=0-{10**18}"})
        assert (huge.status_code, huge.content) == (206, b"one leaf")
        many = await http.get(url, headers={"range": "bytes=" + ",".join(["0-1"] * 500)})
        assert (many.status_code, many.content) == (200, b"one leaf")
        head = await http.head(url)
        assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", "8")
        known = await http.get(url, headers={"if-none-match": f'W/"x", "{shared.leaf}.raw"'})
        assert (known.status_code, known.content) == (304, b"")
        assert (await http.get("/ipfs/bafkqaaa?format=raw")).content == b""


async def test_cars_have_the_blocks_that_were_asked_for(shared: Shared) -> None:
    async with client(shared.home) as http:
        got = await http.get(f"/ipfs/{shared.root}?format=car")
        roots, found = sections(got.content)
        assert roots == (shared.root,)
        assert got.headers["content-type"] == "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        assert sum(len(data) for cid, data in found.items() if is_leaf(cid)) >= len(FILM)
        assert next(iter(found)) == shared.root

        path = f"/ipfs/{shared.root}/a/b/film.webm"
        block = sections((await http.get(path, params={"format": "car", "dag-scope": "block"})).content)
        assert len(block[1]) == 4  # three folders, and the file's root
        assert block[0] == (list(block[1])[-1],)
        some = {"format": "car", "dag-scope": "entity", "entity-bytes": f"{MIB + 1}:{MIB + 9}"}
        entity = await http.get(path, params=some)
        assert sorted(map(len, sections(entity.content)[1].values()))[-1] == MIB
        assert sum(map(is_leaf, sections(entity.content)[1])) == 1
        last = await http.get(path, params={"format": "car", "entity-bytes": "-10:*"})
        assert sum(map(is_leaf, sections(last.content)[1])) == 1
        names = await http.get(f"/ipfs/{shared.root}/a", params={"format": "car", "dag-scope": "entity"})
        assert len(sections(names.content)[1]) == 2
        head = await http.head(path, params={"format": "car"})
        assert (head.status_code, head.content) == (200, b"")


async def test_files_and_folders_for_a_browser(shared: Shared) -> None:
    async with client(shared.home) as http:
        film = f"/ipfs/{shared.root}/a/b/film.webm"
        got = await http.get(film)
        assert (got.content, got.headers["content-type"]) == (FILM, "video/webm")
        policy = got.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; media-src 'self';"), (
            "Chromium plays nothing in a sandbox"
        )
        assert got.headers["accept-ranges"] == "bytes"
        middle = await http.get(film, headers={"range": f"bytes={MIB - 5}-{2 * MIB + 4}"})
        assert (middle.status_code, middle.content) == (206, FILM[MIB - 5 : 2 * MIB + 5])
        stale = await http.get(film, headers={"range": "bytes=0-1", "if-range": '"another"'})
        assert stale.status_code == 200

        to = await http.get(f"/ipfs/{shared.root}/a?x=1")
        assert (to.status_code, to.headers["location"]) == (301, f"/ipfs/{shared.root}/a/?x=1")
        page = await http.get(f"/ipfs/{shared.root}/")
        assert "./%3Cb%3E%22%26%27%C3%A9" in page.text
        assert "<b>" not in page.text
        assert "&lt;b&gt;" in page.text
        assert "script" not in page.headers["content-security-policy"]
        nasty = await http.get(f"/ipfs/{shared.root}/%3Cb%3E%22%26%27%C3%A9")
        assert nasty.headers["content-security-policy"].startswith("sandbox; script-src 'none';")
        assert (await http.get(f"/ipfs/{shared.root}/site/")).text == "<p>hello"
        named = await http.get(f"/ipfs/{shared.leaf}?filename=a%0d%0ab.txt&download=true")
        assert named.headers["content-disposition"].startswith('attachment; filename="a__b.txt"')
        assert (await http.get(f"/ipfs/{shared.root}/a/empty.txt")).content == b""


@pytest.mark.parametrize(
    ("name", "is_sandboxed"),
    [
        ("page.html", True),
        ("picture.svg", True),
        ("page.xhtml", True),
        ("feed.xml", True),
        ("paper.pdf", True),
        ("notes.txt", True),
        ("unknown", True),
        ("film.webm", False),
        ("film.mp4", False),
        ("song.opus", False),
        ("picture.png", False),
    ],
)
def test_all_content_that_can_have_a_script_is_sandboxed(name: str, is_sandboxed: bool) -> None:
    policy = content_policy(content_type(name) or UNKNOWN)
    assert policy.startswith("sandbox; script-src 'none'") == is_sandboxed
    assert is_sandboxed or policy.startswith("default-src 'none'"), "no script either way"


async def test_a_sharded_folder_has_an_index_and_paths(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unixfs_trees, "SHARD_THRESHOLD", 100)
    home, many = Home(tmp_path / "home"), tmp_path / "many"
    many.mkdir()
    for number in range(600):
        (many / f"{number:03} {NASTY}").write_text(str(number))
    root = add_offline(home, many, "t", lambda *_: None, lambda _: None).root
    async with client(home) as http:
        block = (await http.get(f"/ipfs/{root}?format=raw")).content
        assert isinstance(unixfs_trees.decode_node(root, block), unixfs_trees.ShardNode)
        page = (await http.get(f"/ipfs/{root}/")).text
        links = re.findall(r'<a href="(\./[^"]*)">', page)
        assert len(links) == 600
        assert "<p>600 names</p>" in page
        assert links == sorted(links)
        for number in (0, 299, 599):
            assert (await http.get(f"/ipfs/{root}/{links[number]}")).text == str(number)
        assert (await http.get(f"/ipfs/{root}/600")).status_code == 404
        entity = await http.get(f"/ipfs/{root}", params={"format": "car", "dag-scope": "entity"})
        found = sections(entity.content)[1]
        assert 2 <= len(found) < 300, "the shards of the folder, without its files"
        assert not any(map(is_leaf, found))
        one = await http.get(f"/ipfs/{root}/{links[7]}", params={"format": "car"})
        assert len(sections(one.content)[1]) <= 5, "the shards on the way, and the file"
        monkeypatch.setattr(object_answers, "MAX_ROWS", 599)
        assert (await http.get(f"/ipfs/{root}/")).status_code == 413


@pytest.mark.parametrize(
    ("target", "headers", "status"),
    [
        ("/ipfs/{root}/a/../../../etc/passwd", {}, 400),
        ("/ipfs/{root}/%2e%2e/x", {}, 400),
        ("/ipfs/{root}/a%2Fb", {}, 400),
        ("/ipfs/{root}/%00", {}, 400),
        ("/ipfs/{root}/%ff", {}, 400),
        ("/ipfs/nothing", {}, 400),
        ("/ipfs/{root}/nothing", {}, 404),
        ("/ipfs/{root}/link", {}, 404),
        ("/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", {}, 404),
        ("/ipfs/{root}", {"cache-control": "only-if-cached"}, 301),
        (
            "/ipfs/bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy",
            {"cache-control": "only-if-cached"},
            412,
        ),
        ("/ipfs/{root}?format=ipns-record", {}, 400),
        ("/ipfs/{root}?format=tar", {}, 400),
        ("/ipfs/{root}", {"accept": "application/vnd.ipfs.ipns-record"}, 406),
        ("/ipfs/{root}", {"accept": "application/vnd.ipld.car;version=2"}, 406),
        ("/ipfs/{root}?format=car&dag-scope=some", {}, 400),
        ("/ipfs/{root}?format=car&entity-bytes=9:1", {}, 400),
        ("/ipns/example.com", {}, 501),
        ("/etc/passwd", {}, 404),
        ("/ipfs/{root}", {"host": "evil.example"}, 403),
        ("/ipfs/{root}", {"host": "127.0.0.1.evil.example:80"}, 403),
        ("/ipfs/{root}", {"host": "[::1"}, 403),
        ("/ipfs/{root}", {"host": "files.example:8080"}, 301),
        ("/ipfs/{root}", {"host": "localhost"}, 301),
        ("/ipfs/{root}/site/", {"service-worker": "script"}, 403),
        pytest.param("/ipfs/{root}/" + "x/" * 5000, {}, 414, id="long"),
        pytest.param("/ipfs/{root}?" + "&".join(["a=1"] * 1000), {}, 400, id="many fields"),
    ],
)
async def test_requests_that_are_refused(
    shared: Shared, target: str, headers: dict[str, str], status: int
) -> None:
    async with client(shared.home, hosts=("files.example",)) as http:
        raw = await ask(http, target.format(root=shared.root), headers)
        assert raw.split(b" ", 2)[1] == str(status).encode(), raw[:200]


async def ask(http: httpx.AsyncClient, target: str, headers: dict[str, str], method: str = "GET") -> bytes:
    """Send a request exactly as it is, and return the whole answer."""
    port = http.base_url.port
    assert port is not None
    lines = {"host": "127.0.0.1", "connection": "close"} | headers
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    stream = await trio.open_tcp_stream("127.0.0.1", port)
    async with stream:
        await stream.send_all(f"{method} {target} HTTP/1.1\r\n{head}\r\n".encode())
        got = b""
        with trio.fail_after(30):
            while data := await stream.receive_some():
                got += data
    return got


async def test_what_is_not_here_is_fetched_if_asked_to_and_nothing_else(tmp_path: Path) -> None:
    tree, switchboard = tmp_path / "tree", Switchboard()
    (tree / "sub").mkdir(parents=True)
    (tree / "sub" / "film.webm").write_bytes(FILM)
    (tree / "sub" / "other.bin").write_bytes(bytes(2 * MIB))
    async with (
        FluxNode.open(tmp_path / "a", LOOPBACK, network=switchboard.opening()) as holder,
        FluxNode.open(tmp_path / "b", LOOPBACK, network=switchboard.opening(), commands=True) as node,
    ):
        root = await share(holder, tree)
        node.push_intent(cmd.Join(holder.addrs[0]))
        home, begun = Home(tmp_path / "b"), list[int]()
        async with client(home) as http:
            assert (await http.get(f"/ipfs/{root}/sub/film.webm")).status_code == 404
        async with client(home, begin=lambda: begun.append(1), fetch_seconds=10) as http:
            cached = await http.get(f"/ipfs/{root}/sub/", headers={"cache-control": "only-if-cached"})
            assert (cached.status_code, begun) == (412, [])
            assert not [event for _, _, event in series_of(node) if isinstance(event, ev.Requested)]
            page = await http.get(f"/ipfs/{root}/sub/")
            assert "film.webm" in page.text
            assert begun == [1]
            part = await http.get(f"/ipfs/{root}/sub/film.webm", headers={"range": f"bytes={MIB}-{MIB + 9}"})
            assert (part.status_code, part.content) == (206, FILM[MIB : MIB + 10])
            received = [event for _, _, event in series_of(node) if isinstance(event, ev.ChunkReceived)]
            assert sum(is_leaf(event.cid) for event in received) == 1, "the leaf with these bytes"
            assert (await http.get(f"/ipfs/{root}/sub/film.webm")).content == FILM
        missing = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
        async with client(home, begin=lambda: None, fetch_seconds=0.3) as http:
            late = await http.get(f"/ipfs/{missing}")
            assert (late.status_code, late.headers["retry-after"]) == (504, "30")
            assert "nobody sent it within 0 s" not in late.text
        await until(lambda: not node.derive_state().pending)


async def test_other_methods_and_what_is_no_request(shared: Shared) -> None:
    async with client(shared.home) as http:
        assert (await ask(http, f"/ipfs/{shared.root}", {}, "POST")).startswith(b"HTTP/1.1 405")
        assert (await ask(http, "/ a b", {})).startswith(b"HTTP/1.1 400")
        long = await ask(http, "/", {"x": "y" * 100_000})
        assert long.startswith(b"HTTP/1.1 431")
        welcome = await http.get("/")
        assert "/ipfs/CID" in welcome.text


async def test_connections_are_bounded_and_silent_ones_end(
    shared: Shared, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_server, "HEAD_SECONDS", 0.2)
    async with client(shared.home, max_connections=2) as http:
        port = http.base_url.port
        assert port is not None
        silent = [await trio.open_tcp_stream("127.0.0.1", port) for _ in range(2)]
        for one in silent:
            await one.send_all(b"GET / HTTP/1.1\r\n")
        await trio.testing.wait_all_tasks_blocked(0.01)
        third = await trio.open_tcp_stream("127.0.0.1", port)
        assert (await third.receive_some()).startswith(b"HTTP/1.1 503")
        with trio.fail_after(30):
            for one in silent:
                assert await one.receive_some() == b""
        assert (await http.get("/")).status_code == 200


async def test_a_file_that_was_changed_is_not_sent(tmp_path: Path) -> None:
    place = Shared(tmp_path)
    film = place.tree / "a" / "b" / "film.webm"
    film.write_bytes(b"x" * len(FILM))
    async with client(place.home) as http:
        url = f"/ipfs/{place.root}/a/b/film.webm"
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(url)
        assert (await http.get(f"/ipfs/{place.leaf}?format=raw")).content == b"one leaf"
