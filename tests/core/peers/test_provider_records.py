"""Provider records in the DHT exist only as long as the object is here."""

from typing import Any

import pytest
from msgspec import structs

from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.peers import provider_records as provided_module
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.core.text.as_json import state_report
from flux_tui.core.text.describe import describe
from flux_tui.core.wire import messages as msg
from tests.support.routes import routed
from tests.support.script import CHUNK, HOLDER, ME, OTHER, START, Script, up, wanted

MOVED = dag_cid(b"a folder")
LEAF = raw_cid(b"in the folder")


def added(root: Cid, path: str) -> inp.Added:
    return inp.Added(root=root, name="f", size=7, chunks=1, path=path, stored=7, stored_chunks=1, by=None)


def gone(path: str, *cids: Cid) -> inp.ChunksGone:
    return inp.ChunksGone(path=path, cids=cids, size=7, text=f"{path} is gone")


def sharing() -> Script:
    """Return a node that shares a file and a folder."""
    script = Script(held={CHUNK: 7, MOVED: 50, LEAF: 7})
    script.give(added(CHUNK, "/home/film.mkv"))
    script.give(added(MOVED, "/home/photos"))
    return script


def reborn(script: Script) -> list[Any]:
    return Machine(ME, derive(script.series), script, lambda: 0.0).handle(
        inp.NodeStarting((), "test", script.now), script.now
    )[1]


@pytest.mark.parametrize(
    ("path", "withdrawn"),
    [
        ("/home/film.mkv", CHUNK),
        ("/home/photos/a/b.jpg", MOVED),
        ("/home/film.mkv.part", None),
        ("/home/photos-2/b.jpg", None),
        ("/home", None),
        ("/elsewhere", None),
    ],
)
def test_a_changed_or_removed_object_is_withdrawn(path: str, withdrawn: Cid | None) -> None:
    script = sharing()
    events, effects = script.give(gone(path, LEAF))
    lost = tuple(root for root in (withdrawn,) if root)
    assert events[-1] == ev.ChunksLost(cids=(LEAF,), size=7, path=path, roots=lost)
    assert effects == [fx.Withdraw(roots=lost)] * len(lost)
    assert describe(events[-1]).endswith(" is not provided any more") == bool(lost)
    rest = tuple(root for root in (CHUNK, MOVED) if root != withdrawn)
    assert reborn(script) == [fx.Provide(roots=rest)], "nor is it provided after a restart"
    assert [one["root"] for one in state_report(script.machine.state)["objects"] if one["broken"]] == [*lost]
    assert script.give(gone(path, LEAF))[1] == [], "once"


def test_an_object_that_comes_back_is_provided_again() -> None:
    script = sharing()
    script.give(gone("/home/film.mkv", CHUNK))
    _, effects = script.give(added(CHUNK, "/home/film.mkv"))
    assert fx.Provide(roots=(CHUNK,)) in effects
    assert reborn(script) == [fx.Provide(roots=(CHUNK, MOVED))]


def test_a_moved_object_is_still_provided() -> None:
    script = sharing()
    script.give(added(CHUNK, "/home/copy.mkv"))
    assert script.give(gone("/home/film.mkv", LEAF))[1] == []
    assert script.give(gone("/home/copy.mkv", CHUNK))[1] == [fx.Withdraw(roots=(CHUNK,))]


def test_a_root_whose_block_is_not_here_is_not_provided() -> None:
    script = sharing()
    del script.held[MOVED]
    assert reborn(script) == [fx.Provide(roots=(CHUNK,))]


def kept_replica() -> Script:
    """Return a node that keeps a whole replica."""
    script = Script(quota=1000)
    script.give(up(OTHER))
    script.give(up(HOLDER))
    hold = msg.Hold(root=CHUNK, size=7, replicas=1)
    asked = msg.Intent(origin=OTHER, nonce=b"nonce-00", expires=START + 60, body=hold)
    script.give(inp.IntentCame(asked, "direct"))
    script.give(inp.MessageCame(OTHER, msg.Keep(root=CHUNK, size=7, name="f")))
    script.give(inp.MessageCame(HOLDER, msg.StatusYesButLater(cids=(CHUNK,), eta=0.0, queue_bytes=0)))
    script.give(inp.Placed(root=CHUNK, present=(), missing=(CHUNK,)))
    script.give(inp.ChunkLanded(HOLDER, CHUNK, 7))
    script.held[CHUNK] = 7
    _, effects = script.give(inp.Finished(root=CHUNK, path=f"/home/held/{CHUNK}"))
    assert fx.Provide(roots=(CHUNK,)) in effects
    return script


def test_a_replica_that_is_released_is_withdrawn_before_it_is_removed() -> None:
    script = kept_replica()
    _, effects = script.give(inp.MessageCame(OTHER, msg.Release(cids=(CHUNK,))))
    assert [type(effect) for effect in effects] == [fx.Withdraw, fx.Evict, fx.Push]
    assert effects[0] == fx.Withdraw(roots=(CHUNK,))
    assert not [effect for effect in reborn(script) if isinstance(effect, fx.Provide)]


def test_a_replica_that_the_user_has_too_is_not_withdrawn() -> None:
    script = kept_replica()
    script.give(added(CHUNK, "/home/film.mkv"))
    _, effects = script.give(inp.MessageCame(OTHER, msg.Release(cids=(CHUNK,))))
    assert fx.Withdraw(roots=(CHUNK,)) not in effects


# ── who is sent here all the same ───────────────────────────────────────────────────────────────


def test_a_peer_sent_here_by_the_dht_is_answered_not_held() -> None:
    script = sharing()
    script.give(gone("/home/film.mkv", CHUNK))
    del script.held[CHUNK]
    script.give(up(OTHER))
    events, effects = routed(script, hops=0)
    assert events == [
        ev.AnsweredNo(peer=OTHER, cids=(CHUNK,), reason="not_held", has_it=False, retry_after=None)
    ]
    no = msg.StatusNo(cids=(CHUNK,), reason="not_held", has_it=False, retry_after=None)
    assert effects == [fx.Push(peer=OTHER, message=no)]
    assert routed(script, hops=0, number=1, cids=(raw_cid(b"never here"),)) == ([], []), "that is not news"


def test_an_asker_without_a_link_is_dialled_for_the_answer() -> None:
    script = sharing()
    script.give(gone("/home/film.mkv", CHUNK))
    del script.held[CHUNK]
    addrs = tuple(f"/ip4/127.0.0.1/tcp/{port}/p2p/{OTHER}" for port in (3, 4))
    intent = structs.replace(wanted(OTHER, CHUNK), addrs=(*addrs, f"/ip4/127.0.0.1/tcp/5/p2p/{ME}"))
    sealed = msg.SealedIntent(signed=b"signed", signature=bytes(64))
    _, effects = script.give(inp.RouteCame(HOLDER, intent, sealed, 0))
    assert effects == [
        fx.Dial(addr=addrs[0], more=addrs[1:], from_peers=True),
        fx.Introduce(via=HOLDER, to=OTHER),
    ]
    _, effects = script.give(up(OTHER))
    assert any(isinstance(e, fx.Push) and isinstance(e.message, msg.StatusNo) for e in effects)


def test_further_addresses_cost_budget_only_if_they_are_not_its_own() -> None:
    """A peer with three addresses costs the budget no more than a peer with one."""
    script = sharing()
    addrs = tuple(f"/ip4/127.0.0.1/tcp/{port}/p2p/{OTHER}" for port in (3, 4, 5))
    dials = script.machine.dialling._strangers
    level = dials.level
    for number in range(3):
        intent = structs.replace(wanted(OTHER, CHUNK, nonce=b"nonce-%02d" % number), addrs=addrs)
        script.give(inp.RouteCame(HOLDER, intent, msg.SealedIntent(signed=b"s", signature=bytes(64)), 0))
        assert dials.level == level - number - 3
        script.give(up(OTHER))
        assert dials.level == level - number - 1
        script.give(inp.PeerDown(peer=OTHER, why="gone"))


def test_gossip_is_not_answered_not_held() -> None:
    script = sharing()
    script.give(gone("/home/film.mkv", CHUNK))
    del script.held[CHUNK]
    script.give(up(OTHER))
    assert script.give(inp.IntentCame(wanted(OTHER, CHUNK), "gossip")) == ([], [])


def test_remembered_withdrawals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(provided_module, "MAX_WITHDRAWN", 3)
    script = Script()
    cids = [raw_cid(b"%d" % number) for number in range(5)]
    for number, cid in enumerate(cids):
        script.give(added(cid, f"/home/{number}"))
        script.give(gone(f"/home/{number}", cid))
    assert [*script.machine.provider_records.withdrawn] == cids[2:]
    assert not script.machine.provider_records._roots
