"""Real IPFS nodes in processes of their own, which do what a test says (tests/interop)."""

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

ROOT = Path(__file__).parent.parent.parent
NODE = ROOT / ".interop" / "node_modules" / "node" / "bin" / "node"
KUBO = ROOT / ".interop" / "kubo" / "bin" / "python"
SECONDS = 120.0
"""The limit only ends a test that has failed."""


class IpfsNode:
    """A node and its address. `do` has it do something, and returns its answer."""

    def __init__(self, process: trio.Process) -> None:
        self._process = process
        self._lines = b""
        self.addr = ""

    async def _line(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        with trio.fail_after(SECONDS):
            while b"\n" not in self._lines:
                part = await self._process.stdout.receive_some(65536)
                assert part, "the IPFS node has ended"
                self._lines += part
        line, _, self._lines = self._lines.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        assert "error" not in found, found
        return found

    async def started(self) -> None:
        self.addr = (await self._line())["addr"]

    async def do(self, what: str, **arguments: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        await self._process.stdin.send_all(json.dumps({"do": what, **arguments}).encode() + b"\n")
        return await self._line()

    async def add(self, path: Path, **options: Any) -> str:
        """Add a file or folder. Returns its CID as the node writes it."""
        return str((await self.do("add", **{"from": str(path)}, **options))["cid"])

    async def get(self, addr: str, cid: str, to: Path) -> float:
        """Fetch an object from the node at an address. Returns the seconds from the connection to the last byte."""
        return float((await self.do("get", addr=addr, cid=cid, to=str(to)))["seconds"])


@asynccontextmanager
async def helia() -> AsyncIterator[IpfsNode]:
    """Run a Helia node; skip the test if Helia is not installed."""
    if not NODE.exists():
        pytest.skip("Helia is not installed: run tests/interop/install")
    async with _running(str(NODE), str(ROOT / "tests" / "interop" / "helia_node.mjs"), cwd=ROOT) as node:
        yield node


@asynccontextmanager
async def kubo(repo: Path) -> AsyncIterator[IpfsNode]:
    """Run a Kubo node with a new repo; skip the test if Kubo is not installed."""
    if not KUBO.exists():
        pytest.skip("Kubo is not installed: run tests/interop/install")
    repo.mkdir()
    script = str(ROOT / "tests" / "interop" / "kubo_node.py")
    async with _running(str(KUBO), script, str(repo), cwd=repo) as node:  # it writes a log where it runs
        yield node


@asynccontextmanager
async def _running(*command: str, cwd: Path) -> AsyncIterator[IpfsNode]:
    async with trio.open_nursery() as nursery:
        run = partial(
            trio.run_process,
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=cwd,
            check=False,
        )
        process = await nursery.start(run)
        node = IpfsNode(process)
        try:
            await node.started()
            yield node
        finally:
            process.kill()
