"""Objects are announced within a budget: those that peers wanted in vain first, then the newest, and none is left."""

from flux_tui.core.api import effects as fx
from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.peers import intent_limits
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import State
from flux_tui.core.serving import announcements as ann
from flux_tui.core.serving.announcements import Announcements
from flux_tui.core.turn import Ledger
from flux_tui.core.wire import codec
from flux_tui.core.wire import messages as msg
from tests.support.script import ME, OTHER

THIRD = PeerId("12D3KooWThirdThirdThirdThirdThirdThirdThirdThirdThirdThi")


def roots(count: int) -> list[Cid]:
    return [raw_cid(b"object %d" % number) for number in range(count)]


class Nothing:
    """A store without chunks."""

    def size_of(self, cid: str) -> int | None:
        return None


class Announcing:
    """Announcements, and the ledger that they write to."""

    def __init__(self) -> None:
        self.ledger = Ledger(ME, State(), Nothing(), lambda: 0.0)
        self.connected = ConnectedPeers()
        self.connected.add(OTHER)
        self.leads_on = False
        self.announcements = Announcements(self.ledger, self.connected, lambda: self.leads_on)

    def add(self, found: list[Cid], name: str | None = None) -> None:
        for root in found:
            self.announcements.add(root, name, 7)

    def pushed(self, seconds: float = 0.0) -> list[fx.Broadcast]:
        """Let time pass up to each deadline, and return what was pushed."""
        end = self.ledger.now + seconds
        found: list[fx.Broadcast] = []
        while True:
            self.announcements.on_time()
            found += [effect for effect in self.ledger.take()[1] if isinstance(effect, fx.Broadcast)]
            at = self.announcements.next_deadline()
            if at > end:
                self.ledger.begin(end)
                return found
            self.ledger.begin(at)


def named(pushes: list[fx.Broadcast]) -> list[Cid]:
    return [one.root for push in pushes for one in have(push).objects]


def have(push: fx.Broadcast) -> msg.Have:
    assert isinstance(push.body, msg.Have)
    return push.body


def test_a_few_objects_are_announced_at_once_each_in_an_intent_of_its_own() -> None:
    here = Announcing()
    here.add(roots(5))
    pushes = here.pushed()
    assert [len(have(push).objects) for push in pushes] == [1] * 5
    assert all(push.gossip and push.peers == (OTHER,) for push in pushes)
    assert len(here.announcements) == 0
    assert here.ledger.state.announced_by is None


def test_each_of_twenty_thousand_is_announced_once_within_the_budget() -> None:
    here = Announcing()
    found = roots(20_000)
    here.add(found)
    at_once = here.pushed()
    assert len(at_once) == ann.HAVES_BURST
    told, due = here.ledger.state.to_announce, here.ledger.state.announced_by
    assert told == len(here.announcements) > 19_000
    assert due is not None
    later = here.pushed(seconds=due - here.ledger.now + 5)
    assert sorted(named([*at_once, *later])) == sorted(found)
    assert here.ledger.state.announced_by is None
    assert ann.HAVES_BURST < intent_limits.ORIGIN_BURST / 4
    assert ann.HAVES_RATE < intent_limits.ORIGIN_RATE / 4


def test_the_newest_come_first_and_the_oldest_get_their_turn() -> None:
    here = Announcing()
    found = roots(3000)
    here.add(found)
    here.pushed()
    (first, second, third, fourth) = here.pushed(seconds=4)
    turns = [named([push])[0] in found[:1000] for push in (first, second, third, fourth)]
    assert turns.count(True) == 1, "one of four takes the oldest"
    newest = next(push for push in (first, second) if named([push])[0] not in found[:1000])
    assert named([newest])[0] in found[2000:]


def test_what_peers_wanted_in_vain_comes_before_all_others_and_goes_to_them() -> None:
    here = Announcing()
    here.connected.add(THIRD)
    wanted = raw_cid(b"wanted")
    here.announcements.asked(THIRD, (wanted,))
    here.add([*roots(500), wanted, *roots(1000)[500:]])
    first = here.pushed()[0]
    assert named([first]) == [wanted]
    assert first.peers == (THIRD, OTHER)


def test_an_intent_is_as_large_as_a_want_at_most_whatever_the_names() -> None:
    here = Announcing()
    here.add(roots(1000), name="\N{SNOWMAN}" * msg.MAX_NAME)
    for push in here.pushed(seconds=5):
        assert len(codec._pack(have(push))) <= ann.INTENT_BYTES + 1024


def test_a_large_intent_goes_by_gossip_only_where_not_all_get_it_directly() -> None:
    here = Announcing()
    here.add(roots(5000))
    here.pushed()
    (push,) = here.pushed(seconds=1)
    assert not push.gossip
    here.leads_on = True
    (push,) = here.pushed(seconds=1)
    assert push.gossip


def test_what_is_gone_again_is_not_announced() -> None:
    here = Announcing()
    found = roots(100)
    here.add(found)
    for root in found:
        here.announcements.forget(root)
    assert here.pushed(seconds=5) == []
    assert here.announcements.next_deadline() == float("inf")


def test_an_entry_says_how_many_are_left_and_how_long_that_takes() -> None:
    here = Announcing()
    here.add(roots(5000))
    here.announcements.on_time()
    entries = [entry.event for entry in here.ledger.take()[0]]
    assert all(isinstance(event, ev.PushedHave) for event in entries)
    last = entries[-1]
    assert isinstance(last, ev.PushedHave)
    assert last.left == 5000 - sum(
        1 + len(event.more) for event in entries if isinstance(event, ev.PushedHave)
    )
    assert 10 < last.seconds < 60
