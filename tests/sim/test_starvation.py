"""Wants that no peer can answer do not delay wants that can be answered."""

import random

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import inputs as inp
from flux_tui.core.fetching.wants import want_queue
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from tests.sim.swarm import START, Content, SimNode, Swarm
from tests.support.swarms import CHUNK, file_of, get, has


def unknown(count: int, *, folders: bool = False) -> tuple[Cid, ...]:
    """Return CIDs that no node has."""
    found = tuple(raw_cid(b"nobody has %d" % number) for number in range(count))
    return tuple(Cid(f"bafybei{cid[7:]}") for cid in found) if folders else found


def watch_places(node: SimNode) -> None:
    """Check after every step that the state and the requester agree about which wants are in the network."""
    queue = node.machine.requester.want_pusher.queue

    def after_step() -> None:
        assert node.state.pushed == len(list(queue.in_network())) <= node.max_pending
        assert 0 <= node.state.queued <= len(node.state.pending)

    node.swarm.after_step = after_step


def pause(swarm: Swarm, seconds: float) -> None:
    end = swarm.now + seconds
    swarm.after(seconds, lambda: None)
    swarm.run(lambda: swarm.now >= end, seconds=seconds + 1)


@pytest.mark.parametrize("connected", [True, False])
@pytest.mark.parametrize("folders", [True, False])
@pytest.mark.parametrize("one_by_one", [True, False])
def test_a_get_after_unanswerable_wants_is_whole_in_seconds(
    connected: bool, folders: bool, one_by_one: bool
) -> None:
    swarm = Swarm(seed=1)
    content = file_of(30)
    holder, asker = swarm.node(), swarm.node()
    holder.hold(content)
    if connected:
        swarm.mesh([holder, asker])
    dead = unknown(1500, folders=folders)
    if one_by_one:
        for cid in dead:
            asker.push(cmd.Want(cid))
    else:
        asker.push(cmd.WantMany(dead))
    watch_places(asker)
    pause(swarm, 3.0)
    get(asker, content)
    swarm.mesh([holder, asker])
    assert swarm.run(lambda: has(asker, content), seconds=10) < 5
    assert len(asker.state.pending) <= 1501
    asker.check()


def test_a_get_right_after_twenty_thousand_wants_is_whole_in_seconds() -> None:
    swarm = Swarm(seed=2)
    content = file_of(30)
    holder, asker = swarm.node(), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    asker.push(cmd.WantMany(unknown(20_000)))
    get(asker, content)
    assert swarm.run(lambda: has(asker, content), seconds=10) < 5
    pause(swarm, 120)
    again = file_of(20, seed=9)
    holder.hold(again)
    get(asker, again)
    assert swarm.run(lambda: has(asker, again), seconds=10) < 5
    pause(swarm, 120)
    assert asker.state.pushed + asker.state.dormant + asker.state.queued == 20_000
    assert asker.state.dormant > 10_000, "nobody has them: they have no place in the network"


def test_answerable_bulk_wants_complete_after_unanswerable_ones() -> None:
    swarm = Swarm(seed=3)
    holder, asker = swarm.node(), swarm.node()
    chunks = {raw_cid(data): data for data in (b"%d" % number for number in range(2_000))}
    holder.blocks.update(chunks)
    swarm.mesh([holder, asker])
    asker.push(cmd.WantMany(unknown(3_000)))
    asker.push(cmd.WantMany(tuple(chunks)))
    watch_places(asker)
    swarm.run(lambda: chunks.keys() <= asker.blocks.keys(), seconds=60)


def test_a_holder_that_denies_everything_occupies_no_place() -> None:
    swarm = Swarm(seed=4)
    denier, holder, asker = swarm.node(), swarm.node(), swarm.node()
    chunks = {raw_cid(data): data for data in (b"%d" % number for number in range(1_500))}
    denier.blocks.update(chunks)
    denier.push(cmd.Configure(change=_deny(asker)))
    swarm.link(denier.peer, asker.peer)
    asker.push(cmd.WantMany(tuple(chunks)))
    content = file_of(30)
    holder.hold(content)
    swarm.link(holder.peer, asker.peer)
    pause(swarm, 8.0)
    asker.push(cmd.WantMany((content.root,)))
    swarm.run(lambda: has(asker, content), seconds=10)


def _deny(node: SimNode):  # type: ignore[no-untyped-def]
    from flux_tui.core.series.giving_policy import PolicyChange

    return PolicyChange(deny=(node.peer,))


def test_a_liar_that_promises_everything_does_not_block_other_wants() -> None:
    swarm = Swarm(seed=5)
    liar, holder, asker = swarm.node(), swarm.node(), swarm.node()
    chunks = {raw_cid(data): data for data in (b"%d" % number for number in range(1_500))}
    liar.blocks.update(chunks)
    liar.silent = True
    swarm.link(liar.peer, asker.peer)
    asker.push(cmd.WantMany(tuple(chunks)))
    watch_places(asker)
    content = file_of(30)
    holder.hold(content)
    swarm.link(holder.peer, asker.peer)
    pause(swarm, 5.0)
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=10)


def test_a_dormant_want_is_pushed_again_when_it_is_due() -> None:
    swarm = Swarm(seed=6)
    other, asker = swarm.node(), swarm.node()
    swarm.mesh([other, asker])
    cids = unknown(1_200)
    asker.push(cmd.WantMany(cids))
    watch_places(asker)
    pause(swarm, 200.0)
    pushes = [entry.event for entry in asker.series if isinstance(entry.event, ev.PushedWant)]
    for cid in (cids[0], cids[-1]):
        assert sum(cid in push.cids for push in pushes) >= 2
    assert all(pending.dormant or pending.in_network for pending in asker.state.pending.values())


def test_a_dormant_want_that_a_person_asks_for_again_is_pushed_at_once() -> None:
    swarm = Swarm(seed=10)
    other, asker = swarm.node(), swarm.node()
    swarm.mesh([other, asker])
    (cid,) = unknown(1)
    for again in (cmd.Want(cid), cmd.Get(cid, "/there"), cmd.Retry((cid,))):
        asker.push(cmd.Want(cid))
        pause(swarm, 8.0)
        assert asker.state.pending[cid].dormant
        before = asker.state.pending[cid].pushes
        asker.push(again)
        pause(swarm, 0.1)
        assert asker.state.pending[cid].pushes == before + 1


def test_a_new_peer_gets_dormant_wants_too_the_newest_first() -> None:
    swarm = Swarm(seed=7)
    asker = swarm.node()
    data = [b"%d" % number for number in range(3_000)]
    asker.push(cmd.WantMany(tuple(raw_cid(one) for one in data)))
    pause(swarm, 40.0)
    assert asker.state.dormant == 3_000
    holder = swarm.node()
    holder.blocks.update({raw_cid(one): one for one in (*data[:5], *data[-5:])})
    swarm.mesh([asker, holder])
    swarm.run(lambda: all(raw_cid(one) in asker.blocks for one in data[-5:]), seconds=5)
    swarm.run(lambda: all(raw_cid(one) in asker.blocks for one in data[:5]), seconds=40)


def test_the_cost_of_an_input_does_not_grow_with_dormant_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    """It counts how many wants are read for a tick and for a new peer, and measures no time."""
    looked = 0
    seen = dict.get

    class Counted(dict):  # type: ignore[type-arg]
        def get(self, *key):  # type: ignore[no-untyped-def]
            nonlocal looked
            looked += 1
            return seen(self, *key)

        def __getitem__(self, key):  # type: ignore[no-untyped-def]
            nonlocal looked
            looked += 1
            return super().__getitem__(key)

        def values(self):  # type: ignore[no-untyped-def]
            raise AssertionError("all wants are looked at")

        __iter__ = items = keys = values

    costs = []
    for dormant in (2_000, 8_000):
        swarm = Swarm(seed=8)
        asker = swarm.node()
        asker.push(cmd.WantMany(unknown(dormant)))
        pause(swarm, 60.0)
        requester = asker.machine.requester
        counted = Counted(requester.downloads)
        for part in (requester, requester.want_pusher, requester.scheduler, asker.machine.responder):
            monkeypatch.setattr(part, "downloads", counted)
        looked = 0
        for _ in range(20):
            asker.feed(inp.Tick())
            other = swarm.node()
            swarm.link(other.peer, asker.peer)
        costs.append(looked)
    assert costs[1] <= costs[0] + 100


def test_a_new_run_begins_with_wants_not_tried_yet() -> None:
    swarm = Swarm(seed=9)
    content = file_of(30)
    holder, asker = swarm.node(), swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    asker.push(cmd.WantMany(unknown(5_000)))
    pause(swarm, 1.0)
    get(asker, content)
    asker.kill()
    asker.start()
    swarm.mesh([holder, asker])
    assert swarm.run(lambda: has(asker, content), seconds=60) < 15
    assert asker.state == derive(asker.series)


def test_places_and_the_want_queue() -> None:
    queue = want_queue.WantQueue(max_pending=4)
    old, new, due, now = (list(unknown(40)[start : start + 10]) for start in (0, 10, 20, 30))
    for root in old[:4]:
        queue.enter(root, START)
    for root in new:
        queue.add(root, "new")
    for root in due:
        queue.add(root, "due")
    assert queue.places_to_take(START) == 0
    queue.add(now[0], "urgent")
    assert queue.places_to_take(START) == 0, "what was pushed just now could not be answered yet"
    assert queue.gives_way_at() == START + want_queue.GIVE_WAY_SECONDS
    later = queue.gives_way_at()
    assert queue.places_to_take(later) == 1
    assert queue.give_way(later, lambda root: root == old[0]) == old[1], "the first one is being sent"
    assert queue.take(1) == ([now[0]], False)
    queue.enter(now[0], later)
    gone = queue.give_up(START + want_queue.ANSWER_SECONDS, lambda root: root == old[0])
    assert gone == [old[2], old[3]]
    for batch in (new[:2], new[2:4], new[4:6]):
        assert queue.take(2) == (batch, False)
    assert queue.take(2) == (due[:2], True), "the two priorities take turns"
    assert queue.take(2) == (new[6:8], False)
    queue.move_to_front(due[5])
    assert queue.take(9) == ([due[5]], False)


@pytest.mark.parametrize("seed", range(4))
def test_places_are_never_lost(seed: int) -> None:
    """Whatever comes and goes, in the end all places are free again."""
    chance = random.Random(seed)
    swarm = Swarm(seed)
    asker = swarm.node(max_pending=20)
    watch_places(asker)
    dead = list(unknown(60))
    for _ in range(200):
        match chance.randrange(4):
            case 0:
                asker.push(cmd.WantMany(tuple(chance.sample(dead, 5))))
            case 1:
                asker.push(cmd.Get(chance.choice(dead), f"/there{chance.random()}"))
            case 2 if asker.state.pending:
                asker.push(cmd.Cancel((chance.choice(list(asker.state.pending)),)))
            case _:
                asker.push(cmd.Retry())
        pause(swarm, chance.uniform(0.1, 3.0))
    asker.push(cmd.Cancel(tuple(asker.state.pending)))
    pause(swarm, 1.0)
    assert (asker.state.pushed, asker.state.dormant, asker.state.queued) == (0, 0, 0)
    assert asker.machine.requester.want_pusher.queue.room == 20
    content = Content(bytes(10 * CHUNK), CHUNK)
    holder = swarm.node()
    holder.hold(content)
    swarm.mesh([holder, asker])
    get(asker, content)
    swarm.run(lambda: has(asker, content), seconds=10)
