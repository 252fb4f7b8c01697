"""A block of a download is missing, granted or here, never two of them, whatever happens in which order."""

from typing import Literal

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from flux_tui.core.api.effects import FinishTree
from flux_tui.core.content.unixfs_trees import BadBlockError, decode_node
from flux_tui.core.fetching.downloads import node_cache
from flux_tui.core.fetching.downloads.download import MAX_SKIPPED, Download, Location
from flux_tui.core.fetching.downloads.peer_bitmaps import PeerBitmap, bitmap
from flux_tui.core.fetching.downloads.plan_builder import plan_node
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from tests.support.fetching import tree
from tests.support.objects import LEAF, Blocks, folder, whole
from tests.support.script import HOLDER, OTHER

SIZE = 10
LEAVES = [raw_cid(b"leaf %d" % number) for number in range(8)]
ROOTS = [dag_cid(b"one"), dag_cid(b"two")]

Where = Literal["unknown", "missing", "granted", "have"]


def download_of(leaves: list[Cid], root: Cid = ROOTS[0]) -> Download:
    """Return a download that has its root, and of which all leaves are missing."""
    download = Download(root, path="/x", tree=True, by=None, size=None)
    download.found(root, 0)
    for cid in leaves:
        download.add_block(cid)
        download.miss(cid)
    return download


class BlocksOfTwoDownloads(RuleBasedStateMachine):
    """Two downloads of the same leaves, beside a model that says where each block of each is."""

    def __init__(self) -> None:
        super().__init__()
        self.downloads = [Download(root, path="/x", tree=True, by=None, size=None) for root in ROOTS]
        for download in self.downloads:
            for cid in LEAVES:
                download.add_block(cid)
        self.where: list[dict[Cid, Where]] = [dict.fromkeys(LEAVES, "unknown") for _ in ROOTS]
        self.now = 0.0

    which = st.sampled_from([0, 1])
    leaf = st.sampled_from(LEAVES)

    def those(self, which: int, where: Where) -> list[Cid]:
        return [cid for cid, now in self.where[which].items() if now == where]

    @rule(which=which, cid=leaf)
    def it_must_come_from_the_swarm(self, which: int, cid: Cid) -> None:
        if self.where[which][cid] == "unknown":
            self.downloads[which].miss(cid)
            self.where[which][cid] = "missing"

    @rule(which=which, count=st.integers(1, 4))
    def some_are_granted(self, which: int, count: int) -> None:
        missing = list(self.downloads[which].missing)
        chosen, more = self.downloads[which].take(HOLDER, count)
        assert chosen == missing[:count], "in the order of the content"
        assert more or not missing
        self.where[which].update(dict.fromkeys(chosen, "granted"))

    @precondition(lambda self: self.those(0, "granted"))
    @rule(data=st.data())
    def it_is_not_sent(self, data: st.DataObject) -> None:
        cid = data.draw(st.sampled_from(self.those(0, "granted")))
        self.downloads[0].give_back(cid, self.downloads[0])
        assert next(iter(self.downloads[0].missing)) == cid, "it is granted next"
        self.where[0][cid] = "missing"

    @rule(cid=leaf)
    def the_other_one_takes_it_over(self, cid: Cid) -> None:
        if self.where[1][cid] == "unknown" and self.where[0][cid] in ("missing", "granted"):
            self.downloads[0].hand_over(cid, self.downloads[1])
            self.where[1][cid], self.where[0][cid] = self.where[0][cid], "unknown"

    @rule(which=which, cid=leaf)
    def it_comes(self, which: int, cid: Cid) -> None:
        filled = self.downloads[which].arrive(cid, SIZE, self.now)
        assert filled == (0 if self.where[which][cid] == "have" else SIZE), "counted once"
        assert self.downloads[which].last_chunk_at == self.now
        self.where[which][cid] = "have"
        self.now += 1

    @rule(which=which, cid=leaf)
    def the_store_has_it(self, which: int, cid: Cid) -> None:
        filled = self.downloads[which].found(cid, SIZE)
        if self.where[which][cid] == "unknown":
            assert filled == SIZE
            self.where[which][cid] = "have"
        else:
            assert filled == 0, "it is here already, or is counted when it arrives"

    @invariant()
    def each_block_is_in_one_set(self) -> None:
        for which, download in enumerate(self.downloads):
            assert set(download.missing) == set(self.those(which, "missing"))
            assert download.granted == set(self.those(which, "granted"))
            assert set(download.have) == set(self.those(which, "have"))
            assert download.have_bytes == SIZE * len(download.have)
            assert download.done == (not download.missing and not download.granted)


TestBlocksOfTwoDownloads = BlocksOfTwoDownloads.TestCase
TestBlocksOfTwoDownloads.settings = settings(max_examples=150, stateful_step_count=40, deadline=None)


def test_a_block_that_did_not_come_goes_to_the_download_that_wants_it_first() -> None:
    granted, new_owner = download_of(LEAVES[:2]), download_of(LEAVES[2:], ROOTS[1])
    (cid,), _ = granted.take(HOLDER, 1)
    granted.give_back(cid, new_owner)
    assert cid not in granted.granted
    assert next(iter(new_owner.missing)) == cid


def test_a_block_that_the_holder_does_not_have_is_left_for_others() -> None:
    download = download_of(LEAVES)
    download.offered_by(HOLDER, None)
    download.not_held_by(HOLDER, LEAVES[0])
    assert not download.is_offered(HOLDER, LEAVES[0])
    assert download.take(HOLDER, 2) == (LEAVES[1:3], True)
    assert download.take(OTHER, 1) == (LEAVES[3:4], True)
    assert list(download.missing)[-1] == LEAVES[0], "skipped blocks go to the end"
    download.offered_by(HOLDER, None)
    assert download.is_offered(HOLDER, LEAVES[0]), "a new offer is about all of it"


def test_a_search_that_finds_only_blocks_that_the_holder_lacks_ends() -> None:
    leaves = [raw_cid(b"%d" % number) for number in range(2 * MAX_SKIPPED)]
    download = download_of(leaves)
    for cid in leaves[:MAX_SKIPPED]:
        download.not_held_by(HOLDER, cid)
    assert download.take(HOLDER, 3) == ([], False)
    assert set(download.missing) == set(leaves)


def test_a_holder_of_a_part_is_granted_what_its_bitmap_names() -> None:
    download = planned(len(LEAVES))
    order = download.order
    assert order is not None
    leaves = list(download.missing)
    download.offered_by(HOLDER, PeerBitmap(bitmap(order, leaves[:3])))
    assert download.is_offered(HOLDER, leaves[0])
    assert not download.is_offered(HOLDER, leaves[3])
    assert download.take(HOLDER, 2) == ([leaves[2], leaves[1]], True), "from the end"
    assert download.take(HOLDER, 2) == ([leaves[0]], False), "nothing more until it offers more"
    assert not download.is_offered(OTHER, leaves[0]), "it said nothing"


def test_a_holder_of_a_part_is_granted_inner_nodes_while_the_tree_is_unknown() -> None:
    inner = dag_cid(b"inner")
    download = download_of([LEAVES[0], inner])
    download.add_block(inner, Location("", 0, "any"))
    download.offered_by(HOLDER, PeerBitmap(b"\xff"))
    assert download.order is None
    assert download.take(HOLDER, 5) == ([inner], False)
    assert not download.is_offered(HOLDER, LEAVES[0]), "its bitmap cannot be read yet"


def planned(leaves: int) -> Download:
    """Return a download of a file whose plan is made and whose leaves are all missing."""
    root, block, cids = tree(leaves)
    download = Download(root, path="/x", tree=True, by=None, size=None)
    download.found(root, 0)
    download.add_node(root, block)
    assert download.outline is not None
    download.add_up(whole(download.outline.sum_up()))
    assert download.take_locations(root) == [Location("", 0, "any")]
    for cid in cids:
        download.add_block(cid)
        download.miss(cid)
    return download


def test_peers_that_fetch_the_same_object_begin_at_different_places() -> None:
    download = planned(8)
    before = list(download.missing)
    download.rotate_missing(lambda: 0.5)
    assert list(download.missing) == before, "nobody has a part of it"
    order = download.order
    assert order is not None
    download.offered_by(HOLDER, PeerBitmap(bitmap(order, [])))
    download.rotate_missing(lambda: 0.5)
    assert list(download.missing) == before[4:] + before[:4]
    download.rotate_missing(lambda: 0.5)
    assert list(download.missing) == before[4:] + before[:4], "once"


def test_a_leaf_of_another_length_is_refused_and_not_counted() -> None:
    download = planned(2)
    leaf = next(iter(download.missing))
    with pytest.raises(BadBlockError):
        download.arrive(leaf, 1, 0.0)
    assert leaf not in download.have
    assert leaf not in download.missing


def test_an_inner_node_that_cannot_be_read_any_more_is_missing_again() -> None:
    download = download_of([])
    assert ROOTS[0] in download.have
    download.miss(ROOTS[0])
    assert ROOTS[0] not in download.have
    assert list(download.missing) == [ROOTS[0]]


def test_inner_nodes_stay_decoded_up_to_a_limit_then_as_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    blocks: Blocks = {}
    below = [folder(blocks, (f"name {number}", LEAF, 4)) for number in range(3)]
    root = folder(blocks, *((f"folder {number}", cid, 4) for number, cid in enumerate(below)))
    limit = len(blocks[root]) + len(blocks[below[0]])
    monkeypatch.setattr(node_cache, "DECODED_BYTES", limit)
    download = Download(root, path="/x", tree=True, by=None, size=None)
    for cid in (root, *below):
        download.add_node(cid, blocks[cid])
    assert download.cached(root) == decode_node(root, blocks[root])
    assert download.cached(below[0]) == decode_node(below[0], blocks[below[0]])
    assert [download.cached(cid) for cid in below[1:]] == [blocks[cid] for cid in below[1:]]

    assert download.outline is not None
    download.add_up(whole(download.outline.sum_up()))
    planned: list[str] = []
    todo = [root]
    while todo:
        cid = todo.pop()
        block = download.cached(cid)
        assert block is not None, "it is kept until it is planned"
        for place, inner in plan_node(download, cid, block):
            planned += [*place.folders, *(file.rel for file in place.files)]
            todo += inner
        assert download.cached(cid) is None, "what is planned takes no memory"
    assert sorted(planned) == ["", *(f"folder {n}" + end for n in range(3) for end in ("", f"/name {n}"))]


def test_it_finishes_once_and_only_when_nothing_is_left_to_do() -> None:
    download = download_of(LEAVES[:1])
    assert not download.finish()
    download.take(HOLDER, 1)
    assert not download.finish()
    download.begin_request()
    download.arrive(LEAVES[0], SIZE, 0.0)
    assert not download.finish(), "the store has not answered"
    download.end_request()
    download.postpone(FinishTree(root=ROOTS[0]))
    assert not download.finish(), "the store has something to do again"
    assert download.take_postponed() == [FinishTree(root=ROOTS[0])]
    assert not download.take_postponed()
    download.add_block(LEAVES[1])
    assert not download.finish(), "a block of it is fetched for another download"
    download.found(LEAVES[1], SIZE)
    assert download.finish()
    assert not download.finish()


def test_the_soonest_time_at_which_a_holder_may_be_asked_counts() -> None:
    download = download_of([])
    download.holder_is_free_at(20.0, now=10.0)
    download.holder_is_free_at(30.0, now=10.0)
    assert download.holder_free_at == 20.0
    download.holder_is_free_at(15.0, now=10.0)
    assert download.holder_free_at == 15.0
    download.holder_is_free_at(40.0, now=16.0)
    assert download.holder_free_at == 40.0, "the time before has passed"


def test_pushes_are_unanswered_until_a_peer_that_has_it_answers() -> None:
    download = download_of([])
    download.pushed(5.0)
    download.pushed(6.0)
    assert (download.unanswered_pushes, download.pushed_at) == (2, 6.0)
    download.offered_by(HOLDER, None)
    assert download.unanswered_pushes == 0
    assert list(download.holders) == [HOLDER]
    assert download.refused_by(HOLDER)
    assert not download.refused_by(HOLDER)
    assert not download.holders
