"""Whether a node runs, without an app."""

from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import MemorySeries
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.liveness import ALIVE_SECONDS, Liveness
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode

STARTED = ev.NodeStarted(peer_id=PeerId("12D3KooW" + "M" * 44), addrs=(), version="1", max_pending=1)
SECONDS = 0.1


class Node:
    """A node that a test starts and stops, and its liveness."""

    def __init__(self, *, often: bool = False) -> None:
        self.runs = True
        self.starting = False
        self.trouble: str | None = None
        self.checks = 0
        self.now = 0.0
        self._series = MemorySeries()
        node = WatchedNode(
            title="home", source=Source(lambda: self._series), push=lambda command: None, alive=self._alive,
            restart=lambda: None, starting=lambda: self.starting, trouble=lambda: self.trouble,
        )  # fmt: skip
        self.nodes = Nodes(node)
        self.liveness = Liveness(
            self.nodes, seconds=SECONDS, restart_key="R", often=often, monotonic=lambda: self.now
        )

    def append(self, event: Event) -> None:
        seq = self._series.last_seq() + 1
        self._series.append([Entry(seq, 1_700_000_000.0 + seq, event)])
        self.nodes.source.poll()

    def stop(self) -> None:
        self.runs = False
        self.liveness.check_again()

    def _alive(self) -> bool:
        self.checks += 1
        return self.runs


def test_a_running_node_is_checked_once_a_second_and_another_more_often() -> None:
    node = Node()
    seen = [node.liveness.alive]
    node.now += ALIVE_SECONDS / 2
    seen.append(node.liveness.alive)
    assert node.checks == 1
    node.runs = False
    node.now += ALIVE_SECONDS / 2
    seen.append(node.liveness.alive)
    node.runs = True
    node.now += SECONDS
    seen.append(node.liveness.alive)
    assert seen == [True, True, False, True]


def test_a_node_of_a_story_is_checked_as_often_as_one_that_does_not_run() -> None:
    node = Node(often=True)
    seen = [node.liveness.alive]
    node.runs = False
    node.now += SECONDS
    seen.append(node.liveness.alive)
    assert seen == [True, False]


def test_phases_from_the_start_to_the_end() -> None:
    node = Node()
    assert node.liveness.phase() == "starting", "it has locked its home, and written nothing yet"
    node.append(STARTED)
    assert node.liveness.phase() == "live"
    node.append(ev.NodeStopped(reason="told to"))
    assert node.liveness.phase() == "stopping"
    node.stop()
    assert node.liveness.phase() == "none"
    node.starting = True
    assert node.liveness.phase() == "starting"


def test_a_gone_node_is_told_with_the_key_that_starts_it() -> None:
    node = Node()
    node.append(STARTED)
    assert node.liveness.gone() is None
    node.stop()
    assert node.liveness.gone() == "The node has died: it left no word; press R to start it again"
    node.append(ev.NodeStopped(reason="told to"))
    assert node.liveness.gone() == "The node is stopped; press R to start it again"
    node.trouble = "the port is taken"
    assert node.liveness.gone() == "the port is taken; press R to start it again"


def test_a_node_that_was_never_seen_is_not_gone() -> None:
    node = Node()
    node.runs = False
    assert node.liveness.gone() is None
