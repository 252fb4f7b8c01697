"""Replicas, as transcripts: which peers are asked, told and replaced, who keeps what, and why not."""

from typing import Any

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.content.unixfs_trees import FileBuilder
from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.replication.keeper import (
    BUSY_SECONDS,
    MAX_FETCHING,
    NOT_OFFERED,
    REMIND_SECONDS,
    REMIND_SOON,
    WANTED_EVERY,
)
from flux_tui.core.replication.keeper_offers import MAX_OFFERS, OFFER_SECONDS
from flux_tui.core.replication.origin import (
    AGAIN,
    ANSWER_SECONDS,
    GRACE_SECONDS,
    MAX_HOLDS,
    MAX_SPARES,
    NEIGHBOURS_SECONDS,
)
from flux_tui.core.replication.quota import PROTECTED_SECONDS
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold.replication import MAX_REFUSED
from flux_tui.core.series.giving_policy import Policy, PolicyChange
from flux_tui.core.text.as_json import state_report
from flux_tui.core.text.describe import describe
from flux_tui.core.wire import messages as msg
from tests.support.replicas import keep, said
from tests.support.script import HOLDER, ME, OTHER, START, Script, up, wanted

ROOT = dag_cid(b"a film")
MIB = 1 << 20
THIRD = PeerId(f"12D3KooW{'T' * 44}")


def no(reason: Any, retry_after: float | None = None, *cids: Cid) -> msg.StatusNo:
    return msg.StatusNo(
        cids=cids or (ROOT,), reason=reason, has_it=False, retry_after=retry_after, about="hold"
    )


def pushes(effects: list[Any], peer: PeerId | None = None) -> list[Any]:
    return [e.message for e in effects if isinstance(e, fx.Push) and peer in (None, e.peer)]


# ── the origin ──────────────────────────────────────────────────────────────────────────────────


def origin(replicas: int, *peers: PeerId) -> Script:
    script = Script()
    for peer in peers:
        script.give(up(peer))
    script.give(inp.Commanded(cmd.Hold(ROOT, replicas, "film.mkv", 5 * MIB, (), "me")))
    return script


def test_a_hold_goes_out_and_exactly_as_many_are_told_as_are_lacking() -> None:
    script = Script()
    script.give(up(HOLDER))
    script.give(up(OTHER))
    events, effects = script.give(inp.Commanded(cmd.Hold(ROOT, 1, "film.mkv", 5 * MIB, (), "me")))
    assert events == [
        ev.HoldRequested(root=ROOT, replicas=1, size=5 * MIB, name="film.mkv", by="me"),
        ev.PushedHold(
            root=ROOT,
            lacking=1,
            peers=(HOLDER, OTHER),
            gossip=False,
            next_push_at=START + NEIGHBOURS_SECONDS,
        ),
    ]
    body = msg.Hold(root=ROOT, size=5 * MIB, replicas=1, name="film.mkv")
    assert effects == [fx.Broadcast(body=body, peers=(HOLDER, OTHER), gossip=False)]

    events, effects = said(script, HOLDER, msg.CanHold(root=ROOT))
    assert events == [
        ev.CanHold(peer=HOLDER, root=ROOT, whole=False),
        ev.PushedKeep(peer=HOLDER, root=ROOT, deadline=START + ANSWER_SECONDS),
    ]
    assert effects == [fx.Push(HOLDER, msg.Keep(root=ROOT, size=5 * MIB, name="film.mkv"))]
    events, effects = said(script, OTHER, msg.CanHold(root=ROOT))
    assert events == [ev.CanHold(peer=OTHER, root=ROOT, whole=False)], "it is noted, and not needed"
    assert effects == []
    assert said(script, OTHER, msg.CanHold(root=ROOT)) == ([], []), "nor is it noted twice"

    events, _ = said(script, HOLDER, msg.Held(cids=(ROOT,), how="begun"))
    assert events == [ev.ReplicaHeld(peer=HOLDER, root=ROOT, how="begun")]
    said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole"))
    hold = script.machine.state.holds[ROOT]
    assert (hold.lacking, hold.whole, list(hold.keepers)) == (0, 1, [HOLDER])
    assert script.machine.next_deadline() == float("inf"), "it is content"
    report = state_report(script.machine.state)["holds"][0]
    assert (report["name"], report["whole"], report["keepers"][0]["how"]) == ("film.mkv", 1, "whole")


def test_the_swarm_is_asked_if_neighbours_do_not_suffice() -> None:
    script = origin(1, HOLDER, OTHER)
    said(script, HOLDER, no("low_space"))
    events, effects = script.give(inp.Tick(), after=NEIGHBOURS_SECONDS)
    assert [(event.gossip, event.next_push_at) for event in events] == [(True, script.now + 60)]
    assert effects[0].peers == (OTHER, HOLDER), "who refused comes last"
    events, _ = script.give(inp.Commanded(cmd.Retry()), after=1.0)
    assert [type(event) for event in events] == [ev.PushedHold], "a person need not wait"
    alone = origin(2, HOLDER)
    assert alone.series[-1].event.gossip, "one neighbour is not enough for two"  # type: ignore[union-attr]


def test_only_offers_that_may_be_needed_are_noted() -> None:
    script = origin(1)
    peers = [PeerId(f"12D3KooW{number:044}".replace("0", "z")) for number in range(MAX_SPARES + 9)]
    for peer in peers:
        script.give(up(peer))
        said(script, peer, msg.CanHold(root=ROOT))
    told = [entry for entry in script.series if isinstance(entry.event, ev.CanHold)]
    assert len(told) == MAX_SPARES + 1
    assert [type(entry.event) for entry in script.series].count(ev.PushedKeep) == 1


def test_a_keeper_that_lets_go_is_replaced_by_a_peer_that_offered() -> None:
    script = origin(1, HOLDER, OTHER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    said(script, OTHER, msg.CanHold(root=ROOT))
    said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole"))
    events, effects = said(script, HOLDER, msg.Held(cids=(ROOT,), how="gone", reason="low_space"))
    assert events == [
        ev.ReplicaHeld(peer=HOLDER, root=ROOT, how="gone", reason="low_space"),
        ev.PushedKeep(peer=OTHER, root=ROOT, deadline=START + ANSWER_SECONDS),
    ]
    assert [type(message) for message in pushes(effects, OTHER)] == [msg.Keep]
    assert script.machine.state.holds[ROOT].refused[HOLDER].reason == "low_space"


def test_a_no_is_recorded_and_its_retry_after_respected() -> None:
    script = origin(2, HOLDER, OTHER)
    events, effects = said(script, HOLDER, no("low_space", 120.0))
    assert effects == []
    assert [type(event) for event in events] == [ev.StatusNo], "the silence ends sooner"
    assert describe(events[0]).startswith("low_space, again in 2:00: will not keep")
    events, _ = said(script, OTHER, no("busy", 20.0))
    assert events[1:] == [
        ev.RetrySet(cids=(ROOT,), next_push_at=START + 20.0, cause="retry_after", peer=OTHER, about="hold")
    ]
    assert said(script, OTHER, no("busy", 1.0)) == ([], []), "a second answer to one push is none"
    assert script.machine.next_deadline() == START + 20.0
    events, _ = script.give(inp.Tick(), after=20.0)
    assert [type(event) for event in events] == [ev.PushedHold]
    hold = script.machine.state.holds[ROOT]
    assert {peer: refusal.reason for peer, refusal in hold.refused.items()} == {
        HOLDER: "low_space",
        OTHER: "busy",
    }
    assert script.machine.state.peers[OTHER].counts == {"busy": 1}


def test_a_short_retry_after_does_not_rush_the_origin() -> None:
    """A peer that always gives a very short `retry_after` is asked ever more rarely."""
    script = origin(1, HOLDER)
    waits = []
    for _ in range(6):
        said(script, HOLDER, no("busy", 0.0))
        waits.append(script.machine.next_deadline() - script.now)
        script.give(inp.Tick(), after=waits[-1])
    assert waits[0] == AGAIN.first
    assert waits == sorted(waits)
    assert waits[-1] >= 16 * AGAIN.first


def test_a_keeper_that_refuses_later_is_not_a_keeper() -> None:
    script = origin(1, HOLDER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    events, _ = said(script, HOLDER, no("low_space"))
    assert [type(event) for event in events] == [ev.StatusNo, ev.RetrySet]
    assert not script.machine.state.holds[ROOT].keepers
    assert script.machine.next_deadline() == START + AGAIN.first


def test_a_keeper_that_never_begins_is_given_up() -> None:
    script = origin(1, HOLDER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    assert script.machine.next_deadline() == START + ANSWER_SECONDS
    events, effects = script.give(inp.Tick(), after=ANSWER_SECONDS)
    assert events[0] == ev.ReplicaLost(peer=HOLDER, root=ROOT, cause="silent")
    assert pushes(effects) == [msg.Release(cids=(ROOT,))]
    assert script.machine.state.holds[ROOT].lacking == 1


def test_a_keeper_that_leaves_has_time_to_return() -> None:
    script = origin(1, HOLDER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole"))
    script.give(inp.PeerDown(HOLDER, "gone"))
    assert script.machine.origin.next_deadline() == START + GRACE_SECONDS
    events, _ = script.give(up(HOLDER), after=30.0)
    assert [type(event) for event in events] == [ev.PeerConnected]
    assert said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole")) == ([], []), "nothing new"
    script.give(inp.PeerDown(HOLDER, "gone"))
    script.give(up(OTHER))
    events, _ = script.give(inp.Tick(), after=GRACE_SECONDS)
    assert [type(event) for event in events] == [ev.ReplicaLost, ev.PushedHold]
    said(script, OTHER, msg.CanHold(root=ROOT))
    said(script, OTHER, msg.Held(cids=(ROOT,), how="whole"))
    script.give(up(HOLDER))
    _, effects = said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole"))
    assert pushes(effects, HOLDER) == [msg.Release(cids=(ROOT,))], "there is one too many now"


def test_a_new_neighbour_is_asked_at_once() -> None:
    script = origin(1)
    events, effects = script.give(up(HOLDER))
    assert events[1:] == [
        ev.PushedHold(root=ROOT, lacking=1, peers=(HOLDER,), gossip=False, next_push_at=START + 60)
    ]
    assert [effect.peers for effect in effects if isinstance(effect, fx.Broadcast)] == [(HOLDER,)]


def test_a_restart_goes_on_where_it_was() -> None:
    script = origin(2, HOLDER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    said(script, HOLDER, msg.Held(cids=(ROOT,), how="whole"))
    script.machine = Machine(ME, script.machine.state, script, lambda: 0.0)
    _, effects = script._take(script.machine.handle(inp.NodeStarting((), "test", script.now), script.now))
    assert fx.Dial(addr=f"/ip4/127.0.0.1/tcp/2/p2p/{HOLDER}") in effects, "its keeper is looked for"
    assert script.machine.origin.next_deadline() == START + 60
    events, _ = script.give(inp.Tick(), after=60)
    _, pushed, _ = events
    assert [type(event) for event in events] == [ev.ReplicaLost, ev.PushedHold, ev.HeardNobody]
    assert pushed.lacking == 2
    assert pushed.gossip, "the neighbours had their turn"


def test_keepers_that_missed_a_release_are_told_later() -> None:
    script = origin(2, HOLDER, OTHER)
    for peer in (HOLDER, OTHER):
        said(script, peer, msg.CanHold(root=ROOT))
        said(script, peer, msg.Held(cids=(ROOT,), how="whole"))
    script.give(inp.PeerDown(OTHER, "gone"))
    events, effects = script.give(inp.Commanded(cmd.Release((ROOT,), "me")))
    assert events == [ev.Released(cids=(ROOT,), by="me")]
    assert effects == [fx.Push(HOLDER, msg.Release(cids=(ROOT,)))]
    assert not script.machine.state.holds
    script.give(up(OTHER))
    _, effects = said(script, OTHER, msg.Held(cids=(ROOT,), how="whole"))
    assert effects == [fx.Push(OTHER, msg.Release(cids=(ROOT,)))]
    events, _ = script.give(inp.Commanded(cmd.Release((ROOT,), "me")))
    assert [(event.cid, event.by) for event in events] == [(ROOT, "me")], "there is nothing to release"


def test_lowering_the_number_of_replicas_releases_the_last_keepers() -> None:
    script = origin(2, HOLDER, OTHER)
    said(script, OTHER, msg.CanHold(root=ROOT))
    said(script, OTHER, msg.Held(cids=(ROOT,), how="whole"))
    said(script, HOLDER, msg.CanHold(root=ROOT))
    events, effects = script.give(inp.Commanded(cmd.Hold(ROOT, 1)))
    assert events[1:] == [ev.ReplicaLost(peer=HOLDER, root=ROOT, cause="surplus")]
    assert effects == [fx.Push(HOLDER, msg.Release(cids=(ROOT,)))]
    events, _ = script.give(inp.Commanded(cmd.Hold(ROOT, 3)))
    assert [type(event) for event in events] == [ev.HoldRequested, ev.PushedHold]
    assert events[-1].lacking == 2


def test_a_keep_that_could_not_be_pushed_goes_to_another() -> None:
    script = origin(1, HOLDER, OTHER)
    said(script, HOLDER, msg.CanHold(root=ROOT))
    said(script, OTHER, msg.CanHold(root=ROOT))
    keep = msg.Keep(root=ROOT, size=5 * MIB, name="film.mkv")
    events, _ = script.give(inp.PushDropped(HOLDER, keep))
    assert [type(event) for event in events] == [ev.ReplicaLost, ev.PushedKeep]
    assert list(script.machine.state.holds[ROOT].keepers) == [OTHER]


def test_messages_of_strangers_about_replicas_cost_nothing() -> None:
    script = Script()
    script.give(up(OTHER))
    for message in (msg.CanHold(root=ROOT), no("busy", 1.0), msg.Held(cids=(ROOT,), how="gone")):
        assert said(script, OTHER, message) == ([], [])
    assert said(script, OTHER, msg.Release(cids=(ROOT,))) == ([], [])


def test_holds_and_refusals_are_bounded() -> None:
    script = Script()
    for number in range(MAX_HOLDS):
        script.machine.handle(inp.Commanded(cmd.Hold(raw_cid(b"%d" % number))), script.now)
    _, _ = script.machine.handle(inp.Tick(), script.now)
    events, _ = script.machine.handle(inp.Commanded(cmd.Hold(ROOT, by="me")), script.now)
    assert [type(entry.event) for entry in events] == [ev.ErrorOccurred]
    assert len(script.machine.state.holds) == MAX_HOLDS
    many = origin(1)
    for number in range(MAX_REFUSED + 9):
        peer = PeerId(f"12D3KooW{number:044}".replace("0", "z"))
        many.give(up(peer))
        said(many, peer, no("denied"))
    assert len(many.machine.state.holds[ROOT].refused) == MAX_REFUSED


# ── the keeper ──────────────────────────────────────────────────────────────────────────────────


def file_of(size: int, seed: int = 0) -> tuple[Cid, bytes, list[Cid]]:
    """Return a file of two chunks: its root, the block of the root, its leaves."""
    builder = FileBuilder(chunk_size=MIB)
    leaves = []
    for start in range(0, size, MIB):
        leaf = raw_cid(b"%d %d" % (seed, start))
        leaves.append(leaf)
        builder.add_leaf(leaf, min(MIB, size - start))
    root = builder.finish()
    return root.cid, root.blocks[-1].data, leaves


def asks(origin: PeerId, root: Cid, size: int, nonce: int = 0) -> inp.IntentCame:
    body = msg.Hold(root=root, size=size, replicas=1, name="film.mkv")
    intent = msg.Intent(origin=origin, nonce=b"nonce%03d" % nonce, expires=START + 60, body=body)
    return inp.IntentCame(intent, "direct")


def keeper(*peers: PeerId, **policy: Any) -> Script:
    script = Script(**policy)
    for peer in peers or (OTHER, HOLDER):
        script.give(up(peer))
    return script


def fetch(script: Script, root: Cid, block: bytes, leaves: list[Cid], *, finish: bool = True) -> None:
    """Fetch all of it from HOLDER."""
    said(script, HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0))
    script.held[root] = len(block)
    script.give(inp.ChunkLanded(HOLDER, root, len(block), block))
    script.give(inp.Placed(root, (), tuple(leaves)))
    for leaf in leaves:
        script.held[leaf] = MIB
        script.give(inp.ChunkLanded(HOLDER, leaf, MIB))
    if finish:
        script.give(inp.Finished(root, f"/home/held/{root}"))


def kept_whole(script: Script, peer: PeerId, seed: int, size: int = 2 * MIB) -> Cid:
    root, block, leaves = file_of(size, seed)
    keep(script, peer, root, size)
    fetch(script, root, block, leaves)
    assert script.machine.state.kept[root].whole
    return root


def reasons(effects: list[Any]) -> list[tuple[str, float | None]]:
    return [(m.reason, m.retry_after) for m in pushes(effects) if isinstance(m, msg.StatusNo)]


def test_a_replica_is_offered_requested_fetched_and_reported_whole() -> None:
    script = keeper(quota=10 * MIB)
    root, block, leaves = file_of(2 * MIB)
    events, effects = script.give(asks(OTHER, root, 2 * MIB))
    assert events == [ev.OfferedHold(peer=OTHER, root=root, size=2 * MIB, via="direct", name="film.mkv")]
    assert effects == [fx.Push(OTHER, msg.CanHold(root=root))]

    events, effects = keep(script, OTHER, root, 2 * MIB)
    assert events[:2] == [
        ev.KeepReceived(peer=OTHER, root=root, size=2 * MIB, name="film.mkv"),
        ev.Requested(cid=root, name="film.mkv", size=2 * MIB, held=True),
    ]
    assert effects[:2] == [
        fx.Push(OTHER, msg.Held(cids=(root,), how="begun")),
        fx.OpenTree(root=root, path=None, held=True),
    ]
    assert isinstance(events[-1], ev.PushedWant)
    state = script.machine.state
    assert (state.objects[root].origin, state.pending[root].held) == ("held", True)
    assert state.kept_bytes == 2 * MIB, "room is taken from the start"

    fetch(script, root, block, leaves, finish=False)
    _, effects = script.give(inp.Finished(root, f"/home/held/{root}"))
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="whole")]
    assert (state.kept[root].whole, dict(state.pending), state.kept_bytes) == (True, {}, 2 * MIB)
    report = state_report(state)["kept"][0]
    assert (report["origins"], report["whole"], report["own"]) == ([OTHER], True, False)
    assert pushes(keep(script, OTHER, root, 2 * MIB)[1]) == [msg.Held(cids=(root,), how="whole")]


def test_every_no_has_its_reason() -> None:
    root = file_of(2 * MIB)[0]

    def heard(script: Script, size: int = 2 * MIB) -> list[tuple[str, float | None]]:
        answer = reasons(script.give(asks(OTHER, root, size))[1])
        assert reasons(keep(script, OTHER, root, size)[1]) == answer, "and so is a keep without an offer"
        assert not script.machine.state.kept
        return answer

    assert heard(keeper()) == [("low_space", None)], "no quota: nothing is kept"
    assert heard(keeper(quota=10 * MIB, deny=(OTHER,))) == [("denied", None)]
    assert heard(keeper(quota=10 * MIB, allow=(HOLDER,))) == [("denied", None)]
    assert heard(keeper(quota=10 * MIB, max_object=MIB)) == [("too_large", None)]
    assert heard(keeper(quota=3 * MIB)) == [("low_space", None)], "one peer may have half of it"
    alone = keeper(quota=3 * MIB, allow=(OTHER,))
    assert reasons(alone.give(asks(OTHER, root, 2 * MIB))[1]) == [], "unless nobody else may have any"


def test_only_a_few_replicas_are_fetched_at_a_time() -> None:
    script = keeper(quota=100 * MIB)
    for number in range(MAX_FETCHING):
        keep(script, OTHER, raw_cid(b"%d" % number), MIB)
    assert reasons(keep(script, OTHER, ROOT, MIB)[1]) == [("busy", BUSY_SECONDS)]
    assert len(script.machine.state.kept) == MAX_FETCHING


def test_a_peer_reached_by_gossip_refuses_only_if_waiting_helps() -> None:
    script = keeper()
    intent = asks(OTHER, ROOT, MIB).intent
    assert script.give(inp.IntentCame(intent, "gossip")) == ([], [])
    roomy = keeper(quota=10 * MIB)
    events, _ = roomy.give(inp.IntentCame(intent, "gossip"))
    assert [type(event) for event in events] == [ev.OfferedHold]


def test_the_least_recently_wanted_replica_makes_room() -> None:
    script = keeper(OTHER, HOLDER, THIRD, quota=8 * MIB)
    first = kept_whole(script, OTHER, 1)
    script.now += 1
    second = kept_whole(script, OTHER, 2)
    script.now += 1
    third = kept_whole(script, HOLDER, 3)
    script.now += 1
    fourth = kept_whole(script, HOLDER, 4)
    root = file_of(2 * MIB, 5)[0]
    ((reason, wait),) = reasons(keep(script, THIRD, root, 2 * MIB)[1])
    assert reason == "low_space"
    assert wait is not None
    assert wait == PROTECTED_SECONDS - 3, "when the oldest may go"
    # The oldest replica is wanted again, so it is the newest now.
    script.now += 1
    intent = wanted(THIRD, first, expires=script.now + 60)
    script.give(inp.IntentCame(intent, "direct"))
    assert script.machine.state.kept[first].last_wanted == script.now
    script.now += PROTECTED_SECONDS - 1
    events, effects = keep(script, THIRD, root, 2 * MIB)
    assert events[0] == ev.ReplicaDropped(root=second, cause="evicted", size=2 * MIB, name="film.mkv")
    assert msg.Held(cids=(second,), how="gone", reason="low_space") in pushes(effects, OTHER)
    evicts = [effect for effect in effects if isinstance(effect, fx.Evict)]
    assert [effect.root for effect in evicts] == [second]
    assert set(evicts[0].others) == {first, third, fourth}
    state = script.machine.state
    assert set(state.kept) == {first, third, fourth, root}
    assert (second in state.objects, state.dropping) == (False, {second: "film.mkv"})
    events, _ = script.give(inp.IntentCame(wanted(HOLDER, second, expires=script.now + 60), "direct"))
    assert [event.reason for event in events] == ["not_held"], "it is on its way out"
    before = state.chunk_bytes
    events, _ = script.give(inp.Evicted(second, 3, 2 * MIB))
    assert [type(event) for event in events] == [ev.ReplicaEvicted]
    assert (state.dropping, before - state.chunk_bytes) == ({}, 2 * MIB)


def test_a_download_of_a_replica_counts_as_a_recent_want() -> None:
    script = keeper(quota=8 * MIB)
    root = kept_whole(script, OTHER, 1)
    script.give(inp.IntentCame(wanted(HOLDER, root, expires=script.now + 60), "direct"))
    grant = msg.Grant(cids=(file_of(2 * MIB, 1)[2][0],), ttl=3)
    assert not [e for e in said(script, HOLDER, grant, after=1.0)[0] if isinstance(e, ev.ReplicaWanted)]
    events, _ = said(script, HOLDER, msg.Grant(cids=(root,), ttl=3), after=WANTED_EVERY)
    assert events[0] == ev.ReplicaWanted(peer=HOLDER, root=root)
    assert script.machine.state.kept[root].last_wanted == script.now


def test_a_smaller_quota_drops_replicas_at_once() -> None:
    script = keeper(quota=10 * MIB)
    first, second = kept_whole(script, OTHER, 1), kept_whole(script, OTHER, 2)
    events, effects = script.give(inp.Commanded(cmd.Configure(PolicyChange(quota=3 * MIB))))
    assert [event.cause for event in events if isinstance(event, ev.ReplicaDropped)] == ["quota"]
    assert pushes(effects, OTHER) == [msg.Held(cids=(first,), how="gone", reason="low_space")]
    assert set(script.machine.state.kept) == {second}
    events, effects = script.give(inp.Commanded(cmd.Configure(PolicyChange(deny=(OTHER,)))))
    assert [event.cause for event in events if isinstance(event, ev.ReplicaDropped)] == ["denied"]
    assert not script.machine.state.kept


def test_an_object_larger_than_it_says() -> None:
    script = keeper(quota=10 * MIB)
    root, block, leaves = file_of(8 * MIB)
    keep(script, OTHER, root, MIB)
    script.held[root] = len(block)
    said(script, HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0))
    events, effects = script.give(inp.ChunkLanded(HOLDER, root, len(block), block))
    dropped = [event for event in events if isinstance(event, ev.ReplicaDropped)]
    assert [(event.cause, event.size) for event in dropped] == [("low_space", 8 * MIB)]
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="low_space")]
    assert not script.machine.state.pending
    assert not script.machine.accepts(HOLDER, leaves[0]), "not a byte more of it"

    strict = keeper(quota=100 * MIB, max_object=3 * MIB)
    keep(strict, OTHER, root, MIB)
    said(strict, HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0))
    _, effects = strict.give(inp.ChunkLanded(HOLDER, root, len(block), block))
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="too_large")]


def test_leaves_larger_than_their_links_say() -> None:
    """The tree lies, too. Each leaf is measured when it comes."""
    script = keeper(quota=6 * MIB)
    builder = FileBuilder(chunk_size=MIB)
    leaves = [raw_cid(b"leaf %d" % number) for number in range(8)]
    for leaf in leaves:
        builder.add_leaf(leaf, 1)
    built = builder.finish()
    root, block = built.cid, built.blocks[-1].data
    keep(script, OTHER, root, 8)
    said(script, HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0))
    script.give(inp.ChunkLanded(HOLDER, root, len(block), block))
    script.give(inp.Placed(root, (), tuple(leaves)))
    assert script.machine.accepts(HOLDER, leaves[0])
    events, _ = script.give(inp.ChunkLanded(HOLDER, leaves[0], MIB))
    assert f"the leaf {leaves[0]} has 1,048,576 bytes, and should have 1" in str(
        script.machine.state.last_error
    )
    assert [event.cause for event in events if isinstance(event, ev.ReplicaDropped)] == ["failed"]
    assert not script.machine.accepts(HOLDER, leaves[1]), "not a byte more of it"
    assert not script.machine.state.kept


def test_a_keep_without_an_offer_is_refused() -> None:
    script = keeper(quota=20 * MIB)
    root = file_of(2 * MIB)[0]
    alone = msg.Keep(root=root, size=MIB, name="film.mkv")
    events, effects = said(script, OTHER, alone)
    assert [(event.reason, event.about) for event in events] == [("busy", "hold")]
    assert [(m.reason, m.text) for m in pushes(effects, OTHER)] == [("busy", NOT_OFFERED)]
    assert not script.machine.state.kept
    intent = msg.Intent(
        origin=OTHER,
        nonce=b"nonce-00",
        expires=script.now + 60,
        body=msg.Hold(root=root, size=MIB, replicas=1),
    )
    script.give(inp.IntentCame(intent, "direct"))
    assert said(script, HOLDER, alone)[0][0].reason == "busy", "it was offered to another peer"
    said(script, OTHER, alone, after=OFFER_SECONDS)
    assert not script.machine.state.kept, "that was too long ago"
    keep(script, OTHER, root, MIB)
    assert list(script.machine.state.kept) == [root]
    assert said(script, OTHER, alone)[0] == [], "what is kept already may be said again"


def test_offers_are_remembered_within_bounds() -> None:
    script = keeper(quota=1000 * MIB)
    offers = script.machine.keeper.offers
    for number in range(MAX_OFFERS + 9):
        offers.add(PeerId(f"12D3KooW{number:044}"), ROOT, script.now + 1)
    for number in range(MAX_OFFERS):
        offers.add(OTHER, raw_cid(b"%d" % number), script.now + 1)
    assert len(offers) == MAX_OFFERS
    early = PeerId(f"12D3KooW{MAX_OFFERS:044}")
    assert offers.live(early, ROOT, script.now), "one peer does not push out what others were offered"


def test_only_the_origin_can_release_a_replica() -> None:
    script = keeper(quota=10 * MIB)
    root = kept_whole(script, OTHER, 1)
    assert said(script, HOLDER, msg.Release(cids=(root,))) == ([], [])
    keep(script, HOLDER, root, 2 * MIB)
    assert list(script.machine.state.kept[root].origins) == [OTHER, HOLDER]
    events, effects = said(script, OTHER, msg.Release(cids=(root,)))
    assert events == [ev.ReleaseReceived(peer=OTHER, root=root, name="film.mkv")], (
        "somebody else still needs it"
    )
    assert effects == [fx.Push(OTHER, msg.Held(cids=(root,), how="gone"))], "for the others it is still kept"
    events, effects = said(script, HOLDER, msg.Release(cids=(root,)))
    assert [type(event) for event in events] == [ev.ReleaseReceived, ev.ReplicaDropped]
    assert [type(effect) for effect in effects] == [fx.Withdraw, fx.Evict, fx.Push]


def test_held_is_repeated_when_a_stream_opens() -> None:
    script = keeper(quota=20 * MIB)
    whole = kept_whole(script, OTHER, 1)
    part = file_of(3 * MIB, 2)[0]
    keep(script, OTHER, part, 3 * MIB)
    script.give(inp.PeerDown(OTHER, "gone"))
    _, effects = script.give(up(OTHER))
    told = {
        cids: how
        for m in pushes(effects, OTHER)
        if isinstance(m, msg.Held)
        for cids, how in [(m.cids, m.how)]
    }
    assert told == {(whole,): "whole", (part,): "begun"}


def test_held_is_repeated_at_intervals() -> None:
    """This makes up for a lost release or a lost `held`."""
    script = keeper(quota=20 * MIB)
    whole = kept_whole(script, OTHER, 1)
    assert START < script.machine.next_deadline() == START + REMIND_SECONDS
    _, effects = script.give(inp.Tick(), after=REMIND_SECONDS)
    assert effects == [fx.Push(OTHER, msg.Held(cids=(whole,), how="whole"))]
    script.give(inp.PushDropped(OTHER, msg.Held(cids=(whole,), how="whole")))
    assert script.machine.next_deadline() == script.now + REMIND_SOON
    said(script, OTHER, msg.Release(cids=(whole,)))
    assert script.machine.next_deadline() == float("inf")


def test_a_restart_continues_fetching_and_removing_replicas() -> None:
    script = keeper(quota=20 * MIB)
    gone, part = kept_whole(script, OTHER, 1), file_of(3 * MIB, 2)[0]
    keep(script, OTHER, part, 3 * MIB)
    said(script, OTHER, msg.Release(cids=(gone,)))
    policy = Policy(quota=20 * MIB)
    script.machine = Machine(ME, script.machine.state, script, lambda: 0.0, policy=policy)
    _, effects = script._take(script.machine.handle(inp.NodeStarting((), "test", script.now), script.now))
    assert fx.OpenTree(root=part, path=None, held=True) in effects
    assert [effect.root for effect in effects if isinstance(effect, fx.Evict)] == [gone]
    script.give(up(OTHER))
    assert reasons(keep(script, OTHER, gone, 2 * MIB)[1]) == [("busy", BUSY_SECONDS)], "not before it is gone"


def test_a_replica_that_the_user_wants_becomes_the_users() -> None:
    script = keeper(quota=10 * MIB)
    root, block, leaves = file_of(2 * MIB, 1)
    keep(script, OTHER, root, 2 * MIB)
    fetch(script, root, block, leaves)
    _, effects = script.give(inp.Commanded(cmd.Get(root, "/home/me/film.mkv")))
    state = script.machine.state
    assert state.objects[root].origin == "wanted"
    assert fx.OpenTree(root=root, path="/home/me/film.mkv") in effects
    script.give(inp.NodeRead(root, root, block))
    script.give(inp.Placed(root, tuple(leaves), ()))
    events, effects = script.give(inp.Finished(root, "/home/me/film.mkv"))
    assert ev.ReplicaAdopted(root=root) in events
    evict = next(effect for effect in effects if isinstance(effect, fx.Evict))
    assert (evict.root, evict.others) == (root, (root,)), "the copy goes, what the user has stays"
    assert (state.kept[root].own, state.kept_bytes) == (True, 0)
    script.give(inp.Evicted(root, 0, 0))
    script.give(inp.Commanded(cmd.Configure(PolicyChange(quota=0))))
    assert root in state.kept, "what is the user's is not let go of for want of room"
    _, effects = said(script, OTHER, msg.Release(cids=(root,)))
    assert effects == [fx.Push(OTHER, msg.Held(cids=(root,), how="gone"))]
    assert root in state.objects


def test_a_half_fetched_replica_that_the_user_wants_becomes_the_users() -> None:
    script = keeper(quota=10 * MIB)
    root, block, leaves = file_of(2 * MIB, 1)
    keep(script, OTHER, root, 2 * MIB)
    events, effects = script.give(inp.Commanded(cmd.Want(root, "me")))
    state = script.machine.state
    assert ev.Requested(cid=root, by="me") in events
    assert fx.OpenTree(root=root, path=None) in effects, "where the user has such things"
    assert (state.pending[root].held, state.objects[root].origin) == (False, "wanted")
    fetch(script, root, block, leaves, finish=False)
    events, effects = script.give(inp.Finished(root, f"/home/objects/{root}"))
    assert ev.ReplicaAdopted(root=root) in events
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="whole")]


def test_a_cancelled_want_leaves_the_replica_for_its_origins() -> None:
    script = keeper(quota=10 * MIB)
    root = file_of(2 * MIB, 1)[0]
    keep(script, OTHER, root, 2 * MIB)
    script.give(inp.Commanded(cmd.Want(root)))
    events, _ = script.give(inp.Commanded(cmd.Cancel((root,))))
    assert ev.Requested(cid=root, name="film.mkv", size=2 * MIB, held=True) in events
    assert script.machine.state.objects[root].origin == "held"
    events, effects = script.give(inp.Commanded(cmd.Cancel((root,), "me")))
    assert [(event.cause, event.by) for event in events] == [("cancelled", "me")]
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="denied")]


def test_a_replica_that_the_user_adds_becomes_the_users() -> None:
    script = keeper(quota=10 * MIB)
    root = file_of(2 * MIB, 1)[0]
    keep(script, OTHER, root, 2 * MIB)
    added = inp.Added(root, "mine.mkv", 2 * MIB, 3, "/home/me/mine.mkv", 2 * MIB, 3, None)
    events, effects = script.give(added)
    state = script.machine.state
    assert ev.ReplicaAdopted(root=root) in events
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="whole")]
    assert (dict(state.pending), state.objects[root].origin, state.kept_bytes) == ({}, "added", 0)
    gone = inp.ChunksGone("/home/me/mine.mkv", (root,), 1, "it is gone")
    events, effects = script.give(gone)
    assert [event.cause for event in events if isinstance(event, ev.ReplicaDropped)] == ["lost"]
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="not_held")]


def test_an_object_of_the_user_is_kept_without_a_quota() -> None:
    script = keeper()
    root = file_of(2 * MIB, 1)[0]
    script.give(inp.Added(root, "mine.mkv", 2 * MIB, 3, "/home/me/mine.mkv", 2 * MIB, 3, None))
    _, effects = script.give(asks(OTHER, root, 2 * MIB))
    assert pushes(effects) == [msg.CanHold(root=root, whole=True)]
    _, effects = keep(script, OTHER, root, 2 * MIB)
    assert effects == [fx.Push(OTHER, msg.Held(cids=(root,), how="whole"))]
    assert script.machine.state.kept[root].own


def test_a_replica_whose_file_is_changed_is_gone() -> None:
    script = keeper(quota=10 * MIB)
    root, _, leaves = file_of(2 * MIB, 1)
    kept_whole(script, OTHER, 1)
    gone = inp.ChunksGone("/home/replicas/1", (leaves[0],), MIB, "it was changed", replica=root)
    _, effects = script.give(gone)
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="not_held")]


def test_a_lost_file_of_the_user_is_not_a_replica() -> None:
    script = keeper(quota=10 * MIB)
    root, _, leaves = file_of(2 * MIB, 1)
    kept_whole(script, OTHER, 1)
    gone = inp.ChunksGone(f"/home/me/held/{root}", (leaves[0],), MIB, "it was changed")
    _, effects = script.give(gone)
    assert pushes(effects, OTHER) == []
    assert root in script.machine.state.kept


def test_a_replica_that_cannot_be_fetched_is_dropped() -> None:
    script = keeper(quota=10 * MIB)
    garbage = b"\x0a\x05hello"
    root = dag_cid(garbage)
    keep(script, OTHER, root, MIB)
    said(script, HOLDER, msg.StatusYesButLater(cids=(root,), eta=0, queue_bytes=0))
    events, effects = script.give(inp.ChunkLanded(HOLDER, root, len(garbage), garbage))
    assert [event.cause for event in events if isinstance(event, ev.ReplicaDropped)] == ["failed"]
    assert pushes(effects, OTHER)[-1] == msg.Held(cids=(root,), how="gone", reason="not_held")


def test_the_user_of_a_keeper_can_release_a_replica() -> None:
    script = keeper(quota=10 * MIB)
    root = kept_whole(script, OTHER, 1)
    events, effects = script.give(inp.Commanded(cmd.Release((root,), "me")))
    assert events == [ev.ReplicaDropped(root=root, cause="cancelled", size=2 * MIB, name="film.mkv", by="me")]
    assert pushes(effects, OTHER) == [msg.Held(cids=(root,), how="gone", reason="denied")]
