"""Several nodes in one dashboard, without an app."""

from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode


def node(title: str) -> WatchedNode:
    return WatchedNode(title=title, source=Source(lambda: None))


def test_nodes_are_shown_by_title_and_follow_each_other_in_a_circle() -> None:
    ada, bob = node("ada"), node("bob")
    nodes = Nodes(ada, (bob,))
    assert nodes.shown is ada
    assert nodes.after() is bob
    assert not nodes.show("ada"), "it is shown already"
    assert not nodes.show("eve")
    assert nodes.show("bob")
    assert nodes.source is bob.source
    assert nodes.after() is ada


def test_a_single_node_has_none_after_it() -> None:
    assert Nodes(node("ada")).after() is None


def test_a_node_without_a_way_in_is_a_recording() -> None:
    assert node("ada").recording
    assert not WatchedNode(title="ada", source=Source(lambda: None), push=lambda command: None).recording
