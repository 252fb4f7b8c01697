"""Answers reach connected peers at once, and others when they are connected; few are stored, for a short while."""

from flux_tui.core.api import effects as fx
from flux_tui.core.ids import PeerId
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.peers.introductions_to_origins import Introductions
from flux_tui.core.peers.router import MAX_DIRECT
from flux_tui.core.series import events as ev
from flux_tui.core.series.state import State
from flux_tui.core.serving.answer_outbox import MAX_STORED, STORED_SECONDS, Answers
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import Refusal
from flux_tui.core.wire import messages as msg
from tests.support.script import CHUNK, ME, OTHER

NO = msg.StatusNo(cids=(CHUNK,), reason="busy", has_it=True, retry_after=1.0)


class Nothing:
    """A store without chunks."""

    def size_of(self, cid: str) -> int | None:
        return None


class Answering:
    """Answers, and the ledger that they write to."""

    def __init__(self) -> None:
        self.ledger = Ledger(ME, State(), Nothing(), lambda: 0.0)
        self.connected = ConnectedPeers()
        self.dialling = Dialling(self.ledger, self.connected)
        self.introductions = Introductions(self.ledger, self.connected, self.dialling)
        self.answers = Answers(self.ledger, self.connected, self.dialling, self.introductions)

    def effects(self) -> list[fx.Effect]:
        return self.ledger.take()[1]

    def connect(self, peer: PeerId) -> None:
        self.connected.add(peer)
        self.answers.peer_up(peer)


def addr(peer: PeerId, port: int = 1) -> str:
    return f"/ip4/9.9.9.9/tcp/{port}/p2p/{peer}"


def test_a_connected_peer_is_answered_at_once() -> None:
    here = Answering()
    here.connect(OTHER)
    assert here.answers.push(OTHER, NO)
    assert here.effects() == [fx.Push(OTHER, NO)]


def test_a_peer_without_a_stream_or_an_address_is_not_answered() -> None:
    here = Answering()
    assert not here.answers.push(OTHER, NO)
    assert here.effects() == []
    assert len(here.answers) == 0


def test_a_peer_is_dialled_once_and_then_gets_all_its_answers() -> None:
    here = Answering()
    assert here.answers.push(OTHER, NO, (addr(OTHER, 1), addr(OTHER, 2)))
    assert here.answers.push(OTHER, NO, (addr(OTHER, 1),))
    assert here.effects() == [fx.Dial(addr=addr(OTHER, 1), more=(addr(OTHER, 2),), from_peers=True)]
    here.connect(OTHER)
    assert here.effects() == [fx.Push(OTHER, NO)] * 2
    here.connect(OTHER)
    assert here.effects() == [], "each answer once"


def test_a_stored_answer_expires() -> None:
    here = Answering()
    here.answers.push(OTHER, NO, (addr(OTHER),))
    here.effects()
    here.ledger.begin(here.ledger.now + STORED_SECONDS)
    here.connect(OTHER)
    assert here.effects() == []


def test_few_answers_are_stored() -> None:
    here = Answering()
    assert [here.answers.push(OTHER, NO, (addr(OTHER),)) for _ in range(MAX_DIRECT + 1)] == [
        *[True] * MAX_DIRECT,
        False,
    ]
    for number in range(2 * MAX_STORED):
        peer = PeerId(f"12D3KooW{number:044}")
        here.answers.push(peer, NO, (addr(peer),))
        here.ledger.begin(here.ledger.now + 1.0)
    assert len(here.answers) <= MAX_STORED


def test_a_refusal_is_an_entry_if_it_is_news_and_reaches_the_peer() -> None:
    here = Answering()
    refusal = Refusal("busy", 1.0)
    here.answers.refuse(OTHER, (CHUNK,), refusal, has_it=True)
    assert here.ledger.take() == ([], []), "the peer cannot be reached"
    here.connect(OTHER)
    here.answers.refuse(OTHER, (CHUNK,), refusal, has_it=True, news=False)
    assert here.ledger.take() == ([], [fx.Push(OTHER, NO)])
    here.answers.refuse(OTHER, (CHUNK,), refusal, has_it=True)
    entries, effects = here.ledger.take()
    assert effects == [fx.Push(OTHER, NO)]
    assert [entry.event for entry in entries] == [
        ev.AnsweredNo(peer=OTHER, cids=(CHUNK,), reason="busy", has_it=True, retry_after=1.0)
    ]
