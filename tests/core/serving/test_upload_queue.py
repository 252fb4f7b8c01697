"""Upload queues: rate, fairness, bounds, and the next chunks of a stream."""

from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series.giving_policy import Policy
from flux_tui.core.serving.upload_queue import MAX_QUEUED, MAX_WAIT_SECONDS, UploadQueues

MIB = 1 << 20
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(64)]
HELD = dict.fromkeys(CHUNKS, MIB)
PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]


def released(uploads: UploadQueues, now: float) -> dict[PeerId, list[Cid]]:
    """Release what the limits allow now. Return all released chunks of these peers."""
    found = {}
    for peer, number in uploads.release(now).items():
        chunks = uploads.next_chunks(peer, after=0, through=number, max_bytes=1 << 40, max_chunks=1 << 20)
        found[peer] = [chunk.cid for chunk in chunks]
    return found


def drained(uploads: UploadQueues, now: float, until: float) -> list[tuple[float, PeerId, Cid]]:
    """Return all that leaves in this time, if writing takes no time."""
    left = []
    while now <= until:
        for peer, cids in released(uploads, now).items():
            left += [(now, peer, cid) for cid in cids]
            uploads.remove(peer, cids)
        now = max(uploads.next_deadline(now), now + 1e-6)
    return left


def test_without_limits_all_leaves_at_once() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    taken, refused = uploads.add(PEERS[0], HELD, 0.0)
    assert (taken, refused) == (CHUNKS, [])
    assert released(uploads, 0.0) == {PEERS[0]: CHUNKS}
    assert uploads.size == 64 * MIB
    uploads.remove(PEERS[0], CHUNKS)
    assert (uploads.size, uploads.peers) == (0, ())


def test_a_limit_is_kept_and_shared_evenly() -> None:
    uploads = UploadQueues(Policy(upload_limit=4 * MIB), 0.0)
    for index, peer in enumerate(PEERS):
        taken, _ = uploads.add(peer, dict.fromkeys(CHUNKS[index * 3 : index * 3 + 3], MIB), 0.0)
        assert len(taken) == 3
    left = drained(uploads, 0.0, 10.0)
    assert len(left) == 9
    assert [peer for _, peer, _ in left[:3]] == PEERS, "in turn"
    assert 1.7 <= left[-1][0] <= 2.0, "nine MiB at four a second, less the burst and the last chunk"


def test_chunks_that_would_wait_too_long_are_refused_but_never_the_first() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    taken, refused = uploads.add(PEERS[0], HELD, 0.0)
    assert 2 <= len(taken) <= 4
    assert taken + refused == CHUNKS
    assert uploads.wait(PEERS[0], 0.0) > MAX_WAIT_SECONDS
    assert uploads.wait(PEERS[1], 0.0) == 0, "another peer has a limit of its own"
    slow = UploadQueues(Policy(upload_limit=1), 0.0)
    assert slow.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0) == ([CHUNKS[0]], [])


def test_an_empty_queue_keeps_its_debt() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    uploads.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0)
    uploads.release(0.0)
    uploads.remove(PEERS[0], [CHUNKS[0]])
    assert not uploads
    uploads.add(PEERS[0], {CHUNKS[1]: MIB}, 0.1)
    assert uploads.release(0.1) == {}
    assert 0.7 <= uploads.next_deadline(0.1) <= 1.0


def test_chunks_a_second_have_their_own_limit() -> None:
    uploads = UploadQueues(Policy(upload_chunks=10), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:20], 1), 0.0)
    left = drained(uploads, 0.0, 5.0)
    assert len(left) == 20
    assert 1.5 <= left[-1][0] <= 2.0


def test_a_queue_is_bounded() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    many = {raw_cid(b"%d" % number): 1 for number in range(MAX_QUEUED + 5)}
    taken, refused = uploads.add(PEERS[0], many, 0.0)
    assert (len(taken), len(refused)) == (MAX_QUEUED, 5)


@given(st.data())
def test_the_counts_of_a_queue_always_add_up(data: st.DataObject) -> None:
    limits = data.draw(st.sampled_from([Policy(), Policy(upload_limit=MIB), Policy(per_peer_limit=MIB // 2)]))
    uploads, now = UploadQueues(limits, 0.0), 0.0
    for _ in range(data.draw(st.integers(1, 30))):
        peer = data.draw(st.sampled_from(PEERS))
        match data.draw(st.sampled_from(["add", "due", "remove", "forget", "change"])):
            case "add":
                some = data.draw(st.lists(st.sampled_from(CHUNKS), unique=True, max_size=5))
                uploads.add(peer, {cid: MIB // 4 for cid in some if not uploads.has(peer, cid)}, now)
            case "due":
                uploads.release(now)
            case "remove":
                uploads.remove(peer, data.draw(st.lists(st.sampled_from(CHUNKS), max_size=5)))
            case "forget":
                uploads.clear(peer)
            case "change":
                uploads.change(Policy(upload_limit=data.draw(st.sampled_from([0, 1, MIB]))), now)
        now += data.draw(st.floats(0, 1))
        queues = uploads._queues.values()
        assert uploads.size == sum(queue.size for queue in queues)
        assert uploads._delayed_size == sum(queue.delayed_size for queue in queues)
        assert uploads._delayed_chunks == sum(queue.delayed for queue in queues)
        for queue in queues:
            assert len(queue) > 0
            assert queue.delayed_size == sum(queue._delayed.values())
            assert queue.size == MIB // 4 * len(queue)
            numbers = [chunk.number for chunk in queue._released.values()]
            assert numbers == sorted(numbers)
    uploads.release(now + 1e9)
    assert uploads.next_deadline(now + 1e9) > now


def numbers(uploads: UploadQueues, **bounds: int) -> list[int]:
    """Return the numbers of the next chunks of the first peer."""
    found = uploads.next_chunks(
        PEERS[0],
        after=bounds.get("after", 0),
        through=bounds.get("through", 99),
        max_bytes=bounds.get("max_bytes", 99 * MIB),
        max_chunks=bounds.get("max_chunks", 99),
    )
    return [chunk.number for chunk in found]


def test_the_next_chunks_are_those_between_two_numbers() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:6], MIB), 0.0)
    assert numbers(uploads) == [], "nothing is released yet"
    assert uploads.release(0.0) == {PEERS[0]: 6}
    assert numbers(uploads) == [1, 2, 3, 4, 5, 6]
    assert numbers(uploads, after=2, through=5) == [3, 4, 5]
    assert numbers(uploads, after=2, max_bytes=2 * MIB) == [3, 4]
    assert numbers(uploads, max_bytes=1) == [1], "one chunk, whatever its size"
    assert numbers(uploads, max_chunks=3) == [1, 2, 3]
    assert numbers(uploads, after=6) == []
    assert uploads.next_chunks(PEERS[1], after=0, through=99, max_bytes=MIB, max_chunks=9) == []


def test_asking_for_the_next_chunks_changes_nothing() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    assert numbers(uploads) == numbers(uploads) == [1, 2, 3]
    assert uploads.size == 3 * MIB


def test_a_chunk_that_is_queued_again_comes_last() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    assert uploads.remove(PEERS[0], [CHUNKS[0], CHUNKS[9]]) == [CHUNKS[0]]
    uploads.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0)
    uploads.release(0.0)
    assert numbers(uploads) == [2, 3, 4]
    assert uploads.of(PEERS[0]) == (CHUNKS[1], CHUNKS[2], CHUNKS[0])


def test_a_cleared_queue_is_gone_and_its_debt_stays() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    assert uploads.clear(PEERS[0]) == tuple(CHUNKS[:3])
    assert PEERS[0] not in uploads
    assert uploads.next_deadline(0.0) == float("inf")
    assert uploads.wait(PEERS[0], 0.0) > 0
    assert uploads.clear(PEERS[0]) == ()


def test_the_first_chunk_of_an_empty_queue_waits_for_the_debt_too() -> None:
    uploads = UploadQueues(Policy(per_peer_limit=MIB), 0.0)
    uploads.add(PEERS[0], {CHUNKS[0]: 8 * MIB}, 0.0)
    uploads.release(0.0)
    uploads.clear(PEERS[0])
    assert uploads.wait(PEERS[0], 0.0) > MAX_WAIT_SECONDS
    assert uploads.add(PEERS[0], {CHUNKS[1]: 1}, 0.0) == ([], [CHUNKS[1]])


def test_a_chunk_that_is_being_written_cannot_be_cancelled_nor_queued_again() -> None:
    """A requester cancels a late chunk and grants it again, while this node writes it."""
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    uploads.leaving(PEERS[0], CHUNKS[:1])
    assert uploads.cancel(PEERS[0], CHUNKS[:2]) == CHUNKS[1:2]
    assert uploads.has(PEERS[0], CHUNKS[0]), "so a grant of it is no news"
    assert uploads.remove(PEERS[0], CHUNKS[:1]) == CHUNKS[:1], "it is written"
    assert not uploads.has(PEERS[0], CHUNKS[0])
    uploads.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0)
    assert uploads.cancel(PEERS[0], CHUNKS[:1]) == CHUNKS[:1], "another grant, another chunk to be written"


def test_what_is_not_queued_does_not_leave() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.leaving(PEERS[0], CHUNKS[:1])
    assert uploads.cancel(PEERS[0], CHUNKS[:1]) == []
    uploads.add(PEERS[0], {CHUNKS[0]: MIB}, 0.0)
    uploads.leaving(PEERS[0], CHUNKS[1:2])
    assert uploads.cancel(PEERS[0], CHUNKS[:2]) == CHUNKS[:1]


def spread(uploads: UploadQueues, peer: PeerId, chunks: int = 1, through: int = 99) -> list[Cid]:
    found = uploads.next_chunks(
        peer, after=0, through=through, max_bytes=99 * MIB, max_chunks=chunks, spread=True
    )
    return [chunk.cid for chunk in found]


def test_on_a_slow_line_a_peer_is_sent_first_what_was_not_just_sent_to_another() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    for peer in PEERS[:3]:
        uploads.add(peer, dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    sent: list[tuple[PeerId, Cid]] = []
    for peer in (*PEERS[:3], *PEERS[:3]):
        (cid,) = spread(uploads, peer)
        uploads.leaving(peer, [cid])
        assert cid not in spread(uploads, peer, 9), "it is being written"
        uploads.remove(peer, [cid])
        sent.append((peer, cid))
    assert [cid for _, cid in sent[:3]] == CHUNKS[:3]
    assert len(set(sent)) == 6, "each chunk goes to a peer once"
    assert [cid for _, cid in sent[3:]] == [CHUNKS[1], CHUNKS[0], CHUNKS[1]]


def test_also_on_a_slow_line_grants_are_sent_in_their_order() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:2], MIB), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[2:4], MIB), 0.0)
    uploads.add(PEERS[1], dict.fromkeys(CHUNKS[:2], MIB), 0.0)
    uploads.release(0.0)
    uploads.leaving(PEERS[1], CHUNKS[:2])
    assert spread(uploads, PEERS[0], 9) == CHUNKS[:2], "the second grant's chunks were never sent, and wait"
    assert spread(uploads, PEERS[0], 9, through=1) == CHUNKS[:1], "only what is durable"
    assert spread(uploads, PEERS[2]) == []


def test_a_chunk_that_is_being_written_is_not_taken_again() -> None:
    uploads = UploadQueues(Policy(), 0.0)
    uploads.add(PEERS[0], dict.fromkeys(CHUNKS[:3], MIB), 0.0)
    uploads.release(0.0)
    uploads.leaving(PEERS[0], [CHUNKS[1]])
    assert numbers(uploads) == [1, 3]
