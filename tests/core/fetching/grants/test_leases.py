"""A chunk has one lease, and at most one hedge, whatever becomes of either."""

from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.grants.leases import Batch, Leases
from flux_tui.core.fetching.holders import Holder
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from tests.support.script import HOLDER, OTHER

CHUNK = raw_cid(b"a leaf")


def download_of(root: Cid) -> Download:
    return Download(root, path="/x", tree=True, by=None, size=None)


def leased(*, hedged: bool) -> tuple[Leases, Download, Holder, Holder]:
    """Return leases of one chunk: of the first holder, and with `hedged` a hedge of the second one."""
    leases, download = Leases(), download_of(dag_cid(b"root"))
    first, second = Holder(HOLDER), Holder(OTHER)
    first.granted(1, 100, 0.0)
    leases.add(Batch(first, {CHUNK: download}, 100), 0.0, 3.0)
    if hedged:
        second.granted(1, 100, 0.0)
        leases.add(Batch(second, {CHUNK: download}, 100, hedge=True), 0.0, 3.0)
    return leases, download, first, second


def test_a_chunk_that_comes_ends_the_lease_and_the_hedge() -> None:
    leases, _, first, second = leased(hedged=True)
    assert [batch.holder for batch in leases.release(CHUNK)] == [first, second]
    assert (first.outstanding, second.outstanding) == (0, 0)
    assert (first.outstanding_bytes, second.outstanding_bytes) == (0, 0)
    assert leases.next_deadline() == float("inf")


def test_the_end_of_the_only_lease_names_the_download() -> None:
    leases, download, first, second = leased(hedged=False)
    assert leases.end(CHUNK, second) is None, "it has no lease"
    assert leases.end(CHUNK, first) is download
    assert not leases.by_chunk


def test_the_end_of_the_lease_makes_the_hedge_the_lease() -> None:
    leases, download, first, second = leased(hedged=True)
    assert leases.end(CHUNK, first) is None, "another holder still sends it"
    assert leases.by_chunk[CHUNK].holder is second
    assert not leases.by_chunk[CHUNK].hedge
    assert not leases.hedges
    assert leases.end(CHUNK, second) is download


def test_the_end_of_the_hedge_leaves_the_lease() -> None:
    leases, _, first, second = leased(hedged=True)
    assert leases.end(CHUNK, second) is None
    assert leases.holds(CHUNK, first)
    assert not leases.holds(CHUNK, second)


def test_a_lease_and_its_hedge_go_to_the_heir_of_a_download() -> None:
    leases, download, first, _ = leased(hedged=True)
    new_owner = download_of(dag_cid(b"another root"))
    leases.reassign(CHUNK, download, new_owner)
    assert leases.hedges[CHUNK].chunks[CHUNK] is new_owner
    assert leases.end(CHUNK, first) is None
    assert leases.by_chunk[CHUNK].chunks[CHUNK] is new_owner


def test_an_inherited_chunk_counts_as_outstanding_without_bytes() -> None:
    leases, holder, download = Leases(), Holder(HOLDER), download_of(dag_cid(b"root"))
    batch = Batch.inherited_from(holder, 5.0)
    leases.inherit(batch, CHUNK, download)
    assert (holder.outstanding, holder.outstanding_bytes) == (1, 0)
    assert leases.lapsing(4.9) == []
    assert leases.lapsing(5.0) == [batch]
