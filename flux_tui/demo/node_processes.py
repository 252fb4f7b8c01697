"""The process that forks one child process for each node of a demo, and ends all children when it ends.

    python -m flux_tui.demo.node_processes FOLDER

Orders come in on stdin, reports go out on stdout. Both are lines of JSON. Importing libp2p costs most of a
second of processor time, so it is imported once, here. A fork then starts a node in a tenth of that time.
Each node has its own process, which can be killed and frozen.

Rules
- Only this process signals its children, and only this process reaps them. So a pid is never reused by
  another process while this one may still signal it.
- When stdin ends, because the demo ended or was killed, every child is killed and FOLDER with all homes in it
  is removed. When this process is killed, each child notices that its pipe of orders ended.
- This process has no thread and no event loop before it forks.
"""

import contextlib
import gc
import json
import os
import select
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

SIGNALS = {"kill": signal.SIGKILL, "freeze": signal.SIGSTOP, "thaw": signal.SIGCONT}
LOOK_SECONDS = 0.05
"""Seconds between two checks for children that ended."""


class ChildProcesses:
    """Starts, signals and ends the child processes: nodes, and relays that delay their traffic."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.children: dict[int, tuple[str, int]] = {}
        """By pid: the name of the node, and our end of the pipe for its orders."""

    def run(self) -> None:
        """Read orders from stdin and carry them out, until stdin ends."""
        pending = bytearray()
        while True:
            ready, _, _ = select.select([0], [], [], LOOK_SECONDS)
            self._reap()
            if not ready:
                continue
            data = os.read(0, 1 << 20)
            if not data:
                return
            pending += data
            *lines, rest = pending.split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                self._take(json.loads(line))

    def end(self) -> None:
        """Kill all children, wait for them, and remove the folder."""
        for pid in self.children:
            os.kill(pid, signal.SIGKILL)
        for pid in self.children:
            os.waitpid(pid, 0)
        shutil.rmtree(self.folder, ignore_errors=True)

    def _take(self, order: dict[str, Any]) -> None:
        name = order["name"]
        match order["do"]:
            case "start":
                self._fork(name, lambda orders: _node(order, orders))
            case "relay":
                self._fork(name, lambda orders: _relay(order, orders))
            case "kill" | "freeze" | "thaw" as what:
                for pid, (owner, _) in self.children.items():
                    if owner == name:
                        os.kill(pid, SIGNALS[what])
            case _:
                for owner, orders in self.children.values():
                    if owner == name:
                        _tell(orders, order)

    def _fork(self, name: str, body: Callable[[int], None]) -> None:
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            others = [orders for _, orders in self.children.values()]
            self._become(name, read, [write, *others], body)
        os.close(read)
        self.children[pid] = (name, write)
        report({"name": name, "pid": pid})

    def _become(self, name: str, orders: int, close: list[int], body: Callable[[int], None]) -> NoReturn:
        """Run `body` in the new child process, then exit. This never returns.

        `orders`: the pipe from which the child reads its orders. `close`: pipes that belong to other processes.
        """
        status = 1
        try:
            for descriptor in close:
                os.close(descriptor)
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                signal.signal(number, signal.SIG_DFL)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            log = os.open(self.folder / f"{name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
            os.dup2(log, 2)
            body(orders)
            status = 0
        except BaseException as error:
            import traceback

            traceback.print_exc()
            report({"name": name, "failed": f"{type(error).__name__}: {error}"})
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self.children:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            name, orders = self.children.pop(pid)
            os.close(orders)
            report({"name": name, "gone": pid, "status": os.waitstatus_to_exitcode(status)})


def _tell(orders: int, order: dict[str, Any]) -> None:
    with contextlib.suppress(BrokenPipeError):  # its end is reported when it is reaped
        os.write(orders, json.dumps(order).encode() + b"\n")


def report(what: dict[str, Any]) -> None:
    """Write a report to the parent process, on stdout.

    A report is short enough to be written in one piece, so that reports of several processes do not mix.
    """
    try:
        os.write(1, json.dumps(what).encode() + b"\n")
    except BrokenPipeError:
        sys.exit(1)  # the demo is gone: the parent then ends everything, a child ends itself


def _node(order: dict[str, Any], orders: int) -> None:
    """Run a node with a command socket, as `flux-tui node` does. On an order, the node fetches chunks one by one."""
    import trio

    from flux_tui.config import Settings
    from flux_tui.core.ids import Cid
    from flux_tui.demo.fetch_one_by_one import fetch_one_by_one
    from flux_tui.home import Home
    from flux_tui.node.command_socket import serve_inbox
    from flux_tui.node.node import FluxNode

    home = Home(order["home"])
    settings = Settings(listen=("/ip4/127.0.0.1/tcp/0",), mdns=False, min_peers=0).merged(
        order["settings"], "the scenario"
    )

    async def run() -> None:
        async with FluxNode.open(home, settings) as node, trio.open_nursery() as nursery:
            await nursery.start(serve_inbox, home, node.push_intent)
            report({"name": order["name"], "peer_id": node.peer_id, "addrs": list(node.addrs)})
            nursery.start_soon(_take_orders, orders, node)
            await node.stopping.wait()
            nursery.cancel_scope.cancel()

    async def _take_orders(descriptor: int, node: FluxNode) -> None:
        async for told in _lines(descriptor):
            cids = [Cid(cid) for cid in (await trio.Path(told["cids"]).read_text()).split()]
            await fetch_one_by_one(node, cids)
        os._exit(1)  # the process that started us is gone

    trio.run(run)


def _relay(order: dict[str, Any], orders: int) -> None:
    """Run a relay in front of one node. The relay delays each byte, in both directions.

    `order`: the `name` of the relay, the `port` of the node, and the delay in `seconds`. `orders`: the descriptor of
    the pipe from the parent. When the pipe ends, this process exits.
    """
    import trio

    from flux_tui.demo.delay import serve_delay

    async def run() -> None:
        async with trio.open_nursery() as nursery:
            port = await nursery.start(serve_delay, order["port"], order["seconds"])
            report({"name": order["name"], "port": port})
            async for _ in _lines(orders):
                pass  # a relay gets no orders
            os._exit(1)  # the process that started us is gone

    trio.run(run)


async def _lines(descriptor: int) -> Any:
    """Yield the JSON objects that arrive on a pipe, one per line, until the pipe ends."""
    import trio

    pending = bytearray()
    async with trio.lowlevel.FdStream(descriptor) as stream:
        async for data in stream:
            pending += data
            *lines, rest = pending.split(b"\n")
            pending = bytearray(rest)
            for line in lines:
                yield json.loads(line)


def main() -> None:
    """Run this process: read orders until stdin ends, then end all children."""
    # Ctrl+C in the terminal is for the demo, which then closes our stdin.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: sys.exit(1))
    nursery = ChildProcesses(Path(sys.argv[1]))

    from flux_tui.node.process_priority import lower_priority

    lower_priority()

    # Import once what all children need.
    import flux_tui.demo.delay
    import flux_tui.demo.fetch_one_by_one
    import flux_tui.net.flux.libp2p_network
    import flux_tui.net.identity
    import flux_tui.node.command_socket  # noqa: F401

    gc.freeze()  # so that the collector of a child does not copy shared memory
    try:
        nursery.run()
    finally:
        nursery.end()


if __name__ == "__main__":
    main()
