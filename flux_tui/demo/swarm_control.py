"""Controls the nodes of a demo from another process: starts, orders, kills and freezes them.

The nodes' homes and files are in one temporary folder.

No function here waits. Orders are sent to the process that runs the nodes (node_processes.py). The results appear in
`Swarm.members` and in the series of each node. This process imports neither libp2p nor trio.
"""

import json
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flux_tui.child_command import child_command
from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.demo.facts.scene import Made, Watch
from flux_tui.demo.scenario import Content, Scenario
from flux_tui.home import Home

PREFIX = "flux-tui-demo-"
"""The prefix of the temporary folder's name."""
END_SECONDS = 5.0
"""Seconds for the nodes to end. They are killed at once."""
OTHERS_SECONDS = 0.2
"""Seconds between two reads of the nodes that are not on the screen."""
PIECE = 1 << 20


@dataclass
class Member:
    """A node of the demo, as the demo's own process knows it."""

    name: str
    home: Home
    settings: dict[str, object]
    latency: float = 0.0
    pid: int | None = None
    """The process of the node. None: the node does not run."""
    addrs: tuple[str, ...] = ()
    """The addresses that other nodes dial; of a far node, those of its relay. Empty until the node listens."""
    direct: tuple[str, ...] = ()
    """The addresses at which the node itself listens."""
    failed: str | None = None
    frozen: bool = False
    starting: bool = True
    """Whether the node is starting: True until it listens, ends or fails."""
    watch: Watch = field(init=False)

    def __post_init__(self) -> None:
        self.watch = Watch(self.home.database)


class NodesProcess:
    """The process that forks a process for each node (node_processes.py), and its temporary folder.

    Importing libp2p takes most of a second. So this process may be opened before the scenario is chosen.
    """

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX))
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._listener: threading.Thread | None = None

    def open(self) -> None:
        """Start the process, if it does not run yet. Returns at once."""
        with self._lock:
            if self._process is not None:
                return
            (self.folder / "h").mkdir(mode=0o700)
            with (self.folder / "nodes.log").open("ab") as log:
                # It has its own session: signals of a terminal are for the demo, which ends its nodes itself.
                self._process = subprocess.Popen(  # noqa: S603 - this interpreter, our own module
                    child_command("flux_tui.demo.node_processes", str(self.folder)),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    start_new_session=True,
                )

    def listen(self, reported: Callable[[dict[str, Any]], None]) -> None:
        """Call `reported` for each report of the nodes, in a thread. The process must have been opened."""
        with self._lock:
            if self._process is not None:
                self._listener = threading.Thread(target=_listen, args=(self._process, reported), daemon=True)
                self._listener.start()

    def order(self, order: Mapping[str, object]) -> None:
        """Send an order to the process, as one line of JSON."""
        with self._lock:
            if self._process is not None and self._process.stdin is not None:
                with suppress(OSError):  # the end of the process is noticed elsewhere
                    self._process.stdin.write(json.dumps(order).encode() + b"\n")
                    self._process.stdin.flush()

    @property
    def status(self) -> int | None:
        """The exit status of the process, if it ended by itself; else None."""
        return None if self._process is None else self._process.poll()

    def close(self) -> None:
        """End all nodes, and remove the folder. It may be called more than once."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            assert process.stdin is not None
            with suppress(OSError):
                process.stdin.close()  # the process then kills its nodes, removes the folder, and ends
            try:
                process.wait(END_SECONDS)
            except subprocess.TimeoutExpired:
                process.terminate()
            # Reports end when the last node is gone: a node may outlive the process that started it, and
            # write.
            if self._listener is not None:
                self._listener.join(END_SECONDS)
        shutil.rmtree(self.folder, ignore_errors=True)


def _listen(process: "subprocess.Popen[bytes]", reported: Callable[[dict[str, Any]], None]) -> None:
    assert process.stdout is not None
    with process.stdout as reports:
        for line in reports:
            reported(json.loads(line))


class Swarm:
    """All nodes of a scenario. Use it as a context manager: on exit, it ends all processes and removes all files."""

    def __init__(self, scenario: Scenario, nodes: NodesProcess | None = None) -> None:
        """Name a home for each node of the scenario; no process is started.

        `nodes`: the process that is to run the nodes, and runs none yet; None: make one. `close` closes this process
        too.
        """
        self.scenario = scenario
        self._nodes = nodes or NodesProcess()
        self.folder = self._nodes.folder
        self.contents: dict[str, Made] = {}
        self.members = {
            # The path is short, so that each home has room for its command socket.
            name: Member(
                name,
                Home(self.folder / "h" / name),
                nodes.settings,
                nodes.latency,
                starting=name not in scenario.later,
            )
            for nodes in scenario.nodes
            for name in nodes.names
        }
        self.names: dict[PeerId, str] = {}
        """The names of the nodes by peer id. It grows as nodes start to listen."""
        self.reports = 0
        """How many reports came from the nodes. It grows while nodes start."""
        self._polled = 0.0

    # ── life ────────────────────────────────────────────────────────────────────────────────────

    def __enter__(self) -> "Swarm":
        self.open()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def open(self) -> None:
        """Start the process that runs the nodes, if it does not run yet. Returns at once."""
        self._nodes.open()
        self._nodes.listen(self._reported)

    def close(self) -> None:
        """End all nodes, and remove their files. It may be called more than once."""
        self._nodes.close()

    def _reported(self, told: dict[str, Any]) -> None:
        self.reports += 1
        name = told["name"].removesuffix(RELAY)
        member = self.members[name]
        if "port" in told:
            peer = member.direct[0].rpartition("/p2p/")[2]
            member.addrs = (f"/ip4/127.0.0.1/tcp/{told['port']}/p2p/{peer}",)
        elif name != told["name"]:
            pass  # the pid of a relay, or its end
        elif "pid" in told:
            member.pid = told["pid"]
        elif "addrs" in told:
            member.direct = tuple(told["addrs"])
            member.starting = False
            self.names[PeerId(member.direct[0].rpartition("/p2p/")[2])] = name
            if member.latency:
                port = int(member.direct[0].split("/")[4])
                self._order(do="relay", name=name + RELAY, port=port, seconds=member.latency)
            else:
                member.addrs = member.direct
        elif told.get("gone") == member.pid:
            member.pid, member.addrs, member.frozen, member.starting = None, (), False, False
        elif "failed" in told:
            member.failed, member.starting = told["failed"], False

    def _order(self, **order: object) -> None:
        self._nodes.order(order)

    # ── facts about the nodes ───────────────────────────────────────────────────────────────────

    def watch(self, node: str) -> Watch:
        """Return what has been read from a node's series."""
        return self.members[node].watch

    def alive(self, node: str) -> bool:
        """Whether the process of a node runs."""
        return self.members[node].pid is not None

    def latency(self, node: str) -> float:
        """Return the delay in seconds, one way, for a peer that connects to this node."""
        return self.members[node].latency

    def port(self, node: str) -> int:
        """Return the TCP port at which a node listens; 0 if it does not listen."""
        direct = self.members[node].direct
        return int(direct[0].split("/")[4]) if direct and self.alive(node) else 0

    @property
    def entries(self) -> int:
        """The number of entries that were read, of all series together."""
        return sum(member.watch.state.seq for member in self.members.values())

    @property
    def starting(self) -> list[str]:
        """The names of the nodes that were started and do not listen yet."""
        return [member.name for member in self.members.values() if member.starting]

    @property
    def everyone(self) -> tuple[str, ...]:
        """The names of all nodes of the scenario."""
        return tuple(self.members)

    def poll(self, first: str | None = None) -> None:
        """Read new entries of the series of all nodes.

        The series of the node `first` is read at each call. The others are read only a few times a second, because
        reading takes processor time from the nodes.
        """
        if first is not None:
            self.members[first].watch.poll()
            if time.monotonic() - self._polled < OTHERS_SECONDS:
                return
        self._polled = time.monotonic()
        for member in self.members.values():
            member.watch.poll()
        for name, made in self.contents.items():
            if not made.cids:  # the root of a file is known as soon as a node has added it
                roots = (known.root for member in self.members.values()
                         for known in member.watch.state.objects.values() if known.name == name)  # fmt: skip
                self.contents[name] = made._replace(cids=tuple(roots)[:1])

    @property
    def trouble(self) -> str | None:
        """Return which node failed and why, or that the process of all nodes ended, in a sentence; None: neither."""
        for member in self.members.values():
            if member.failed:
                return f"the node {member.name} failed: {member.failed}"
        if (status := self._nodes.status) is not None:
            return f"the process that has the nodes ended ({status})"
        return None

    # ── actions ─────────────────────────────────────────────────────────────────────────────────

    def make(self) -> None:
        """Make the content of the scenario: files and chunks."""
        for content in self.scenario.content:
            self.contents[content.name] = _make(self.folder / "files", content)

    def start(self, name: str) -> None:
        """Start a node's process, for the first time or again. Returns at once."""
        member = self.members[name]
        member.failed, member.starting = None, True
        self._order(do="start", name=name, home=str(member.home.path), settings=member.settings)

    def kill(self, name: str) -> None:
        """Kill a node's process with SIGKILL."""
        self._order(do="kill", name=name)

    def freeze(self, name: str) -> None:
        """Stop a node's process with SIGSTOP. It stays, and does nothing."""
        self.members[name].frozen = True
        self._order(do="freeze", name=name)

    def thaw(self, name: str) -> None:
        """Let a frozen process continue."""
        self.members[name].frozen = False
        self._order(do="thaw", name=name)

    def one_by_one(self, name: str, content: str) -> None:
        """Order a node to fetch a set of chunks in the blocking way, one after the other."""
        listing = self.folder / f"{content}.cids"
        listing.write_text("\n".join(self.contents[content].cids))
        self._order(do="fetch", name=name, cids=str(listing))

    def push(self, name: str, *commands: cmd.Command) -> None:
        """Push commands into a node, as Home.push does. Raises HomeError if the node does not take them."""
        self.members[name].home.push(*commands)

    def place_for(self, name: str, content: str) -> Path:
        """Return the path at which a node is to store a file that it fetches. The path's folder is created."""
        folder = self.folder / "got" / name
        folder.mkdir(parents=True, exist_ok=True)
        return folder / content


RELAY = "~relay"
"""The end of a relay's name."""


def _make(folder: Path, content: Content) -> Made:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / content.name
    if not content.count:
        with path.open("wb") as file:
            for start in range(0, content.bytes, PIECE):
                file.write(os.urandom(min(PIECE, content.bytes - start)))
        return Made(path, (), content.bytes)
    path.mkdir()
    cids: list[Cid] = []
    for number in range(content.count):
        data = os.urandom(content.bytes)
        (path / f"{number:06}").write_bytes(data)
        cids.append(raw_cid(data))
    return Made(path, tuple(cids), content.bytes * content.count)
