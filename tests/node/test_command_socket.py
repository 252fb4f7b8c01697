"""The command socket: complete commands are taken in order, and no client can stop it."""

import contextlib
import errno
import gc
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import MAX_COMMAND, BadCommandError, Command, encode_command
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.home import LENGTH, Home
from flux_tui.node.command_socket import MAX_CONNECTIONS, serve_inbox
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, until

ALIVE = cmd.Want(raw_cid(b"still there"), "alive")


def framed(body: bytes) -> bytes:
    return LENGTH.pack(len(body)) + body


def frame(command: Command) -> bytes:
    return framed(encode_command(command))


def marked(*marks: object) -> list[Command]:
    return [cmd.Retry((), f"{mark}") for mark in marks]


class Inbox:
    """A served command socket, and the commands that came out of it."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.taken: list[Command] = []

    async def push(self, *commands: Command) -> None:
        """Push as any process of the user does."""
        await trio.to_thread.run_sync(self.home.push, *commands)

    async def connect(self) -> trio.SocketStream:
        return await trio.open_unix_socket(str(self.home.socket))

    async def still_takes(self) -> None:
        """Check that a new command is taken. Everything before it is then settled, too."""
        await self.push(ALIVE)
        assert self.taken.pop() == ALIVE


@asynccontextmanager
async def serving(home: Home) -> AsyncIterator[Inbox]:
    with home.lock(), trio.fail_after(20):
        inbox = Inbox(home)
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_inbox, home, inbox.taken.append)
            yield inbox
            nursery.cancel_scope.cancel()


@pytest.fixture
async def inbox(tmp_path: Path) -> AsyncIterator[Inbox]:
    async with serving(Home(tmp_path / "home")) as served:
        yield served


async def ended(stream: trio.SocketStream) -> bool:
    """Return whether the other side closes this connection, without an answer."""
    try:
        return await stream.receive_some() == b""
    except trio.BrokenResourceError:
        return True


# ── what comes whole is taken, in order ─────────────────────────────────────────────────────────


async def test_commands_come_out_in_the_order_they_were_pushed(inbox: Inbox) -> None:
    commands = marked(*range(300))
    await inbox.push(*commands[:200])
    assert inbox.taken == commands[:200], "all of them, before the push returns"
    for command in commands[200:]:
        await inbox.push(command)
    assert inbox.taken == commands


async def test_every_kind_of_command_crosses(inbox: Inbox) -> None:
    cid = dag_cid(b"x")
    commands: list[Command] = [
        cmd.Want(cid, "a"),
        cmd.WantMany((cid, raw_cid(b"y"))),
        cmd.Get(cid, "/tmp/ünï\n", "ünï\n", 2**53, ("/ip4/127.0.0.1/tcp/1/p2p/x",), "b"),
        cmd.Custom("presence", b"\0\xff", None, "d"),
        cmd.Cancel((cid,)),
        cmd.Retry(),
        cmd.Add("/tmp/x", "c"),
        cmd.CancelAdd("/tmp/x", "c", "g"),
        cmd.Remove((cid,), "h"),
        cmd.Hold(cid, 3, "ünï\n", 2**53, ("/ip4/127.0.0.1/tcp/1/p2p/x",), "e"),
        cmd.Release((cid,), "f"),
        cmd.Join("/ip4/127.0.0.1/tcp/1/p2p/x"),
        cmd.Leave("12D3KooWx"),
        cmd.Configure(PolicyChange(upload_limit=0, deny=())),
        cmd.Prune("30d", "/tmp/ünï", "i"),
        cmd.Stop(),
    ]
    assert {type(command) for command in commands} == set(cmd.COMMAND_TYPES)
    await inbox.push(*commands)
    assert inbox.taken == commands


async def test_bytes_may_come_one_by_one(inbox: Inbox) -> None:
    commands = marked("one", "two")
    async with await inbox.connect() as stream:
        for byte in b"".join(map(frame, commands)):
            assert inbox.taken != commands
            await stream.send_all(bytes([byte]))
            await trio.lowlevel.checkpoint()
        await stream.send_eof()
        assert await ended(stream)
    assert inbox.taken == commands


async def test_the_largest_command_is_taken(inbox: Inbox) -> None:
    many = cmd.WantMany(tuple(raw_cid(b"%d" % n) for n in range(1000)) * 68)
    assert MAX_COMMAND * 0.98 < len(encode_command(many)) <= MAX_COMMAND
    await inbox.push(many, *marked("after"))
    assert inbox.taken == [many, *marked("after")]


# ── nothing that a client does stops it ─────────────────────────────────────────────────────────

GARBAGE = {
    "noise": bytes(range(255, 0, -1)) * 50,
    "a browser": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a length of 4 GiB": LENGTH.pack(0xFFFFFFFF) + b"x",
    "a length just too large": LENGTH.pack(MAX_COMMAND + 1),
    "nothing as a command": framed(b""),
    "not msgpack": framed(b"\xc1\xc1"),
    "another value": framed(b"\x00"),
    "an unknown command": framed(b"\x91\xa8teleport"),
    "a command cut off inside": framed(encode_command(ALIVE)[:5]),
    "a number for a CID": framed(b"\x92\xa4want\x07"),
    "too deep": framed(b"\x91" * 100_000 + b"\xc0"),
    "too deep in what is skipped": framed(b"\x94\xa5retry\x90\xc0" + b"\x91" * 100_000 + b"\xc0"),
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage_ends_that_connection_and_nothing_else(inbox: Inbox, name: str) -> None:
    before, after = marked("before", "after")
    async with await inbox.connect() as bystander, await inbox.connect() as stream:
        await bystander.send_all(frame(after)[:7])
        await stream.send_all(frame(before) + GARBAGE[name])
        assert await ended(stream), "it hears nothing, and is not kept"
        assert inbox.taken == [before], "what came whole before was taken"
        await bystander.send_all(frame(after)[7:])
        await bystander.send_eof()
        assert await ended(bystander)
    assert inbox.taken == [before, after]
    await inbox.still_takes()


@pytest.mark.parametrize("kept", [0, 1, 3, 4, 5, -1])
async def test_half_a_frame_is_ignored(inbox: Inbox, kept: int) -> None:
    whole, half = marked("whole", "half")
    async with await inbox.connect() as stream:
        await stream.send_all(frame(whole) + frame(half)[:kept])
    await inbox.still_takes()
    assert inbox.taken == [whole]


async def test_a_client_that_disconnects_abruptly(inbox: Inbox) -> None:
    """Its end is reset with bytes under way in both directions, or closed before it was accepted."""
    for _ in range(20):
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(inbox.home.socket))
            client.sendall(frame(marked("x")[0])[:-1])
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(inbox.home.socket))
        client.shutdown(socket.SHUT_RDWR)
    await inbox.still_takes()
    assert inbox.taken == []


async def test_silent_clients_block_no_other(inbox: Inbox) -> None:
    silent = [await inbox.connect() for _ in range(100)]
    for stream in silent[::2]:
        with contextlib.suppress(trio.BrokenResourceError):  # the first of them were closed
            await stream.send_all(LENGTH.pack(100))
    await inbox.still_takes()
    for stream in silent:
        await stream.aclose()
    await inbox.still_takes()


async def test_many_clients_at_once(inbox: Inbox) -> None:
    commands = {number: marked(*(f"{number}.{n}" for n in range(10))) for number in range(60)}
    limiter = trio.CapacityLimiter(60)

    async def push(mine: list[Command]) -> None:
        await trio.to_thread.run_sync(inbox.home.push, *mine, limiter=limiter)

    async with trio.open_nursery() as nursery:
        for mine in commands.values():
            nursery.start_soon(push, mine)
    assert len(inbox.taken) == 600
    for number, mine in commands.items():
        assert [c for c in inbox.taken if str(c.by).startswith(f"{number}.")] == mine, "each one's in order"


async def test_a_handler_that_refuses_ends_that_connection(tmp_path: Path) -> None:
    home, taken = Home(tmp_path / "home"), list[Command]()

    def handle(command: Command) -> None:
        if command.by == "bad":
            raise BadCommandError("no")
        taken.append(command)

    with home.lock():
        async with trio.open_nursery() as nursery:
            await nursery.start(serve_inbox, home, handle)
            await trio.to_thread.run_sync(home.push, *marked("good", "bad", "never"))
            await trio.to_thread.run_sync(home.push, *marked("again"))
            nursery.cancel_scope.cancel()
    assert taken == marked("good", "again")


# ── its life ────────────────────────────────────────────────────────────────────────────────────


async def test_a_socket_left_by_a_killed_node_is_replaced(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    home.prepare()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(home.socket))
    assert home.socket.exists()
    assert not home.listening()
    for _ in range(2):
        async with serving(home) as inbox:
            await inbox.still_takes()
        assert not home.socket.exists()


async def test_making_the_socket_does_not_change_the_umask_of_other_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The umask belongs to the whole process: another thread may be making folders of the user."""

    def refused(mask: int) -> int:
        raise AssertionError(f"umask({mask:o})")

    monkeypatch.setattr(os, "umask", refused)
    async with serving(Home(tmp_path / "home")) as inbox:
        await inbox.still_takes()
        assert inbox.home.socket.lstat().st_mode & 0o777 == 0o600


# ── with a node behind it ───────────────────────────────────────────────────────────────────────

ROOT = dag_cid(b"nobody has it")
IMPOSSIBLE: list[Command] = [
    cmd.Want(Cid("garbage")),
    cmd.Want(Cid("")),
    cmd.Want(Cid(raw_cid(b"x").upper())),
    cmd.Want(Cid(raw_cid(b"x")[:-1] + "b")),
    cmd.Want(Cid(raw_cid(b"x") + "\n")),
    cmd.WantMany((raw_cid(b"x"), Cid("bafk"))),
    cmd.Cancel((Cid("garbage"),)),
    cmd.Retry((Cid("garbage"),)),
    cmd.Get(Cid("garbage"), "/tmp/x"),
    cmd.Get(ROOT, ""),
    cmd.Get(ROOT, "/"),
    cmd.Get(ROOT, "/.."),
    cmd.Get(ROOT, "relative"),
    cmd.Get(ROOT, "/tmp/a\0b"),
    cmd.Get(ROOT, "/tmp/x", size=-1),
    cmd.Add(""),
    cmd.Add("relative"),
    cmd.Add("/\0"),
]


def marks_of(node: FluxNode) -> set[str | None]:
    return {getattr(entry.event, "by", None) for entry in series_of(node)}


async def test_an_impossible_command_does_no_harm(tmp_path: Path) -> None:
    """A node that accepted it would fail at it now or in every later run, because it is in the series."""
    home = Home(tmp_path / "home")
    async with FluxNode.open(home, LOOPBACK) as node, trio.open_nursery() as nursery:
        await nursery.start(serve_inbox, home, node.push_intent)
        for number, command in enumerate(IMPOSSIBLE):
            with pytest.raises(BadCommandError):
                node.push_intent(command)
            mark = f"after {number}"
            await trio.to_thread.run_sync(home.push, command)
            await trio.to_thread.run_sync(home.push, cmd.Cancel((ROOT,), mark))
            await until(lambda: mark in marks_of(node))  # noqa: B023
        assert node.count_pending() == 0
        for addr in (
            "",
            "x",
            "/ip4/127.0.0.1/tcp/1",
            "/p2p/x",
            "/ip4/127.0.0.1/tcp/99999/p2p/" + node.peer_id,
        ):
            node.push_intent(cmd.Join(addr))
        node.push_intent(cmd.Add("/" + "x" * 300, "long"))
        await until(lambda: any("too long" in (getattr(e.event, "text", "")) for e in series_of(node)))
        nursery.cancel_scope.cancel()


async def test_a_pushed_stop_is_recorded(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    async with FluxNode.open(home, LOOPBACK) as node, trio.open_nursery() as nursery:
        await nursery.start(serve_inbox, home, node.push_intent)
        await trio.to_thread.run_sync(home.push, cmd.Stop())
        with trio.fail_after(10):
            await node.stopping.wait()
        nursery.cancel_scope.cancel()


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────


async def test_a_connection_above_the_limit_ends_the_longest_silent_one(inbox: Inbox) -> None:
    streams = [await inbox.connect() for _ in range(MAX_CONNECTIONS)]
    for mark in (2, 1, 0):  # the others sent nothing; the last of these sends its command last
        await streams[mark].send_all(frame(cmd.Retry((), f"{mark}")))
        await until(lambda: len(inbox.taken) == 1)
        inbox.taken.clear()
    await inbox.still_takes()
    assert await ended(streams[3])
    for stream in streams[3:]:
        await inbox.still_takes()
        await stream.aclose()
    for mark in range(3):
        await streams[mark].send_all(frame(cmd.Retry((), f"{mark} again")))
        await until(lambda: inbox.taken)
        assert inbox.taken.pop() == cmd.Retry((), f"{mark} again"), "who speaks stays"


async def test_a_silent_connection_is_closed(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("flux_tui.node.command_socket.IDLE_SECONDS", 0.05)
    quiet, half = await inbox.connect(), await inbox.connect()
    await half.send_all(frame(ALIVE)[:-1])
    assert await ended(quiet)
    assert await ended(half)
    assert inbox.taken == []
    await inbox.still_takes()


async def test_a_temporary_lack_of_descriptors(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    accept = trio.SocketListener.accept
    refused: list[None] = []

    async def full(listener: trio.SocketListener) -> trio.SocketStream:
        stream = await accept(listener)
        if len(refused) < 2:
            refused.append(None)
            await stream.aclose()
            raise OSError(errno.EMFILE, "too many open files")
        return stream

    monkeypatch.setattr(trio.SocketListener, "accept", full)
    while len(refused) < 2:
        stream = await inbox.connect()
        await ended(stream)
        await stream.aclose()
    await inbox.still_takes()


async def test_bulk_wants_leave_the_collector_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FluxNode.open(tmp_path / "home", LOOPBACK) as node:
        seen: list[bool] = []
        feed = node._engine.feed

        def watch(*given: Any) -> None:
            seen.append(gc.isenabled())
            feed(*given)

        monkeypatch.setattr(node._engine, "feed", watch)
        cids = [raw_cid(b"%d" % number) for number in range(3)]
        node.want_multiple_chunks(cids[:2])
        node.get_chunk(cids[2])
        assert seen[:2] == [False, True]
        assert gc.isenabled()
        with pytest.raises(BadCommandError):
            node.want_multiple_chunks([Cid("nonsense")])
        assert gc.isenabled()
        assert [node.is_pending(cid) for cid in cids] == [True] * 3
        assert not node.is_pending(raw_cid(b"another"))
