"""Which tab Objects shows, and what is read for the selected object: in slices, and each entry once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec.structs import replace
from typing_extensions import override

from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.store.series_reader import MemorySeries
from flux_tui.store.store import Store
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching import objects_feed
from flux_tui.ui.watching.objects_feed import FILES_SECONDS, ObjectsFeed
from flux_tui.ui.watching.watched_node import Nodes, WatchedNode
from tests.support.blocks import NOTE, ROOT, chunk
from tests.support.rows import ADA

FILM, OTHER = dag_cid(b"a film"), dag_cid(b"another")


class Counted(MemorySeries):
    """A series that counts the entries that are read."""

    count = 0

    @override
    def read(self, after: int, limit: int) -> list[Entry]:
        found = super().read(after, limit)
        self.count += len(found)
        return found


class Watched:
    """A node with a series that grows, and the feed of its Objects panel."""

    def __init__(self, *events: Event) -> None:
        self.series = Counted()
        self.node = WatchedNode(title="n", source=Source(lambda: self.series), push=lambda _: None)
        self.source = self.node.source
        self.now = 0.0
        self.feed = ObjectsFeed(Nodes(self.node), monotonic=lambda: self.now)
        self.append(*events)

    def append(self, *events: Event) -> None:
        last = self.series.last_seq()
        self.series.append([Entry(last + n, 1000.0 + last + n, event) for n, event in enumerate(events, 1)])
        while self.source.poll():
            pass

    def see(self, root: Cid = FILM) -> int:
        """Show an object. Return how many entries were read for it."""
        before = self.series.count
        self.feed.selected(root)
        return self.series.count - before


def requested(root: Cid = FILM) -> ev.Requested:
    return ev.Requested(cid=root, name="film.mkv", size=1000, path="/film.mkv")


def whole(root: Cid = FILM) -> ev.ObjectCompleted:
    return ev.ObjectCompleted(root=root, size=1000, path="/film.mkv")


def chunks(count: int, root: Cid = FILM) -> Sequence[Event]:
    return [
        ev.ChunkReceived(cid=raw_cid(b"%d" % number), size=1, peer=ADA, roots=(root,))
        for number in range(count)
    ]


def test_unless_the_person_chose_a_tab_it_follows_the_selected_object() -> None:
    watched = Watched(requested(), requested(OTHER))
    feed, source = watched.feed, watched.source
    assert feed.tab(source.state, None) == "wanted"
    watched.append(whole())
    assert feed.tab(source.state, FILM) == "here", "it became whole, and stays in sight"
    assert feed.tab(source.state, OTHER) == "wanted"
    feed.next_tab(1)
    assert feed.tab(source.state, OTHER) == "here"
    feed.next_tab(-2)
    assert feed.tab(source.state, OTHER) == "kept", "tabs are in a circle"
    feed.follow()
    assert feed.tab(source.state, FILM) == "here"


def test_without_objects_there_is_a_tab() -> None:
    watched = Watched(ev.NodeStopped(reason="x"))
    assert watched.feed.tab(watched.source.state, None) == "wanted"


def test_each_entry_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_feed, "SLICE", 100)
    watched = Watched(requested(), *chunks(250))
    seen = [(watched.see(), watched.feed.looking) for _ in range(4)]
    assert seen == [(100, True), (100, True), (51, False), (0, False)]
    watched.append(*chunks(3, OTHER))
    assert watched.see() == 3
    assert watched.see() == 0


def test_after_the_cursor_went_back_the_map_begins_anew() -> None:
    watched = Watched(requested(), *chunks(20))
    assert watched.see() == 21
    watched.source.go_to(5)
    found = watched.feed.selected(FILM)
    assert found.blocks is not None
    assert found.blocks.count("here") == 4
    watched.source.live()
    assert watched.see() == 16


def test_of_a_whole_object_nothing_after_its_last_chunk_is_read() -> None:
    watched = Watched(*chunks(40, OTHER), requested(), *chunks(5), whole(), *chunks(40, OTHER))
    watched.see()
    assert watched.see() == 0
    found = watched.feed.selected(FILM).blocks
    assert found is not None
    assert (found.count("here"), found.seq) == (5, 47)
    assert not watched.feed.looking


def test_only_the_newest_of_a_long_history_are_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects_feed, "MOST", 50)
    watched = Watched(requested(), *chunks(200))
    assert watched.see() == 50


def test_nothing_is_read_for_what_is_added_here_or_not_known() -> None:
    watched = Watched(ev.ObjectAdded(root=FILM, name="film", size=1, chunks=1, path="/film"))
    assert watched.feed.selected(FILM).blocks is None
    assert watched.feed.selected(OTHER).blocks is None
    assert not watched.feed.looking


def test_a_recording_says_that_it_has_no_files() -> None:
    watched = Watched(requested())
    assert watched.feed.selected(FILM).no_files == ""
    recording = Source(lambda: watched.series)
    recording.poll()
    feed = ObjectsFeed(Nodes(WatchedNode(title="r", source=recording)))
    assert feed.selected(FILM).no_files == "a recording does not have the names of its files"


def test_files_are_looked_up_at_most_once_a_second(tmp_path: Path) -> None:
    store = Store.open(tmp_path / "home")
    store.objects.open_tree(ROOT, tmp_path / "album")
    store.objects.place_folder(ROOT, "")
    for number in range(2):
        store.objects.place_file(ROOT, f"song {number}", 100)
        store.objects.place_leaves(ROOT, f"song {number}", [(chunk(number, 100)[0], 0, 100)])
    store.commit([NOTE], [])
    watched = Watched(ev.Requested(cid=ROOT, name="album", size=200, path=str(tmp_path / "album")))
    node = replace(watched.node, index=store.path)
    feed = ObjectsFeed(Nodes(node), monotonic=lambda: watched.now)

    def have() -> dict[str, int | None]:
        files = feed.selected(ROOT).files
        assert files is not None
        return {file.rel: file.have for file in files.files}

    assert have() == {"song 0": 0, "song 1": 0}
    store.commit([NOTE], [store.objects.land(*chunk(1, 100))])
    assert have() == {"song 0": 0, "song 1": 0}
    watched.now += FILES_SECONDS
    assert have() == {"song 0": 0, "song 1": 100}
    assert not feed.selected(ROOT).files_of_now
    watched.source.freeze()
    assert feed.selected(ROOT).files_of_now, "the index knows no other moment"
    store.close()


def test_after_a_slow_look_the_next_one_comes_later(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(requested())
    feed = ObjectsFeed(Nodes(replace(watched.node, index=Path("/index"))), monotonic=lambda: watched.now)
    looks: list[float] = []

    def slow(*_: object) -> None:
        looks.append(watched.now)
        watched.now += 0.1

    monkeypatch.setattr(objects_feed, "_look_up", slow)
    for _ in range(12):
        feed.selected(FILM)
        watched.now += 1.0
    assert looks == pytest.approx([0.0, 5.1, 10.2]), "a fiftieth of the time"


def test_a_home_that_cannot_be_read_has_no_files(tmp_path: Path) -> None:
    watched = Watched(requested())
    feed = ObjectsFeed(Nodes(replace(watched.node, index=tmp_path / "none.db")))
    assert (feed.selected(FILM).files, feed.selected(FILM).no_files) == (None, "")
