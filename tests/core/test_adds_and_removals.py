"""Adding and removing as transcripts: an input, then exactly the events and effects that follow."""

import pytest
from msgspec import structs

from flux_tui.core.adds_and_removals import notes_of, object_added
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.machine import Machine
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.core.wire import messages as msg
from tests.support.replicas import keep
from tests.support.script import CHUNK, HOLDER, ME, OTHER, START, Script, up, wanted

ROOT = dag_cid(b"an object")
PATH = "/home/me/film"


def added(root: Cid = ROOT, path: str = PATH, share: int = 3) -> inp.Added:
    return inp.Added(
        root=root,
        name="film",
        size=100,
        chunks=2,
        path=path,
        stored=120,
        stored_chunks=2,
        by="a",
        share=share,
    )


def sharing(**policy: object) -> Script:
    script = Script({ROOT: 20, CHUNK: 100}, **policy)
    script.give(up(HOLDER))
    script.give(inp.Commanded(cmd.Add(PATH, "a")))
    script.give(added())
    assert ROOT in script.machine.state.objects
    return script


NOT_HELD = msg.StatusNo(cids=(ROOT,), reason="not_held", has_it=False)


def test_a_removed_object_is_announced_withdrawn_and_freed() -> None:
    script = sharing()
    events, effects = script.give(inp.Commanded(cmd.Remove((ROOT,), "me")))
    removed = ev.ObjectRemoved(root=ROOT, name="film", size=100, path=PATH, peers=(HOLDER,), by="me")
    assert events == [removed]
    mark = script.series[-1].seq
    assert effects == [
        fx.Withdraw(roots=(ROOT,)),
        fx.Push(peer=HOLDER, message=NOT_HELD),
        fx.Free(root=ROOT, mark=mark, others=(), paths=()),
    ]
    state = script.machine.state
    assert not state.objects
    assert list(state.removing) == [ROOT]
    events, _ = script.give(inp.Freed(root=ROOT, cids=(ROOT, CHUNK), chunks=2, size=120))
    assert events == [ev.ObjectFreed(root=ROOT, chunks=2, size=120, name="film", by="me")]
    assert (state.chunk_count, state.chunk_bytes, state.removing) == (0, 0, {})


def test_a_peer_that_fetches_a_removed_object_is_refused() -> None:
    script = sharing()
    script.give(inp.IntentCame(wanted(HOLDER, ROOT), "direct"))
    script.give(inp.MessageCame(HOLDER, msg.Grant(cids=(CHUNK,), ttl=10)))
    events, _ = script.give(inp.Commanded(cmd.Remove((ROOT,))))
    assert (
        ev.AnsweredNo(peer=HOLDER, cids=(ROOT,), reason="not_held", has_it=False, retry_after=None) in events
    )
    _, effects = script.give(inp.IntentCame(wanted(HOLDER, ROOT, nonce=b"nonce-01"), "direct"))
    assert fx.Push(peer=HOLDER, message=NOT_HELD) in effects, "from the first moment, whatever is freed when"
    events, effects = script.give(inp.Freed(root=ROOT, cids=(ROOT, CHUNK), chunks=2, size=120))
    no = msg.StatusNo(cids=(CHUNK,), reason="not_held", has_it=False)
    assert fx.Push(peer=HOLDER, message=no) in effects
    assert not script.machine.responder.uploads


def test_freeing_is_repeated_after_a_kill_without_announcements() -> None:
    script = sharing()
    script.give(inp.Commanded(cmd.Remove((ROOT,))))
    mark = script.series[-1].seq
    script.restart()
    _, effects = script._take(script.machine.handle(inp.NodeStarting((), "test", START), START))
    assert fx.Free(root=ROOT, mark=mark, others=(), paths=()) in effects
    assert not [effect for effect in effects if isinstance(effect, fx.Provide)]
    script.give(inp.Freed(root=ROOT, cids=(), chunks=2, size=120))
    script.restart()
    _, effects = script._take(script.machine.handle(inp.NodeStarting((), "test", START), START))
    assert not [effect for effect in effects if isinstance(effect, fx.Free | fx.Provide)]


def test_a_removal_names_the_objects_that_share_chunks() -> None:
    script = sharing()
    other, pending = dag_cid(b"another"), dag_cid(b"wanted")
    script.give(added(other, "/home/me/other"))
    script.give(inp.Commanded(cmd.Want(pending)))
    _, effects = script.give(inp.Commanded(cmd.Remove((ROOT,))))
    (free,) = [effect for effect in effects if isinstance(effect, fx.Free)]
    assert set(free.others) == {other, pending}
    assert free.paths == ("/home/me/other",)


@pytest.mark.parametrize("what", ["unknown", "pending", "kept", "held"])
def test_removing_the_wrong_thing_names_the_right_command(what: str) -> None:
    script = Script(quota=1 << 30)
    script.give(up(HOLDER))
    match what:
        case "pending":
            script.give(inp.Commanded(cmd.Get(ROOT, "/tmp/x", "film")))
        case "kept":
            keep(script, HOLDER, ROOT, 100)
        case "held":
            script.give(inp.Commanded(cmd.Hold(ROOT)))
    objects = len(script.machine.state.objects)
    events, effects = script.give(inp.Commanded(cmd.Remove((ROOT,), "me")))
    (error,) = [event for event in events if isinstance(event, ev.ErrorOccurred)]
    words = {
        "unknown": "is not shared here",
        "pending": f"cancel it instead (`flux-tui cancel {ROOT}`)",
        "kept": f"release it instead (`flux-tui release {ROOT}`)",
        "held": f"release it instead (`flux-tui release {ROOT}`)",
    }
    assert words[what] in error.text
    assert error.by == "me"
    assert len(script.machine.state.objects) == objects
    assert not [effect for effect in effects if isinstance(effect, fx.Free | fx.Push | fx.Withdraw)]
    if what == "pending":
        assert script.machine.state.pending[ROOT].trouble is None


def test_a_loose_chunk_can_be_removed() -> None:
    script = Script({CHUNK: 7})
    events, effects = script.give(inp.Commanded(cmd.Remove((CHUNK,))))
    assert events == [ev.ObjectRemoved(root=CHUNK, size=7)]
    assert [type(effect) for effect in effects] == [fx.Free]
    events, _ = script.give(inp.Commanded(cmd.Want(CHUNK)))
    assert ev.ObjectCompleted not in map(type, events), "it is about to go"


def test_a_replica_of_a_removed_object_is_copied_first() -> None:
    script = sharing(quota=1 << 30)
    keep(script, HOLDER, ROOT, 100)
    kept = script.machine.state.kept[ROOT]
    assert kept.own
    script.give(inp.Evicted(root=ROOT, chunks=0, size=0))
    _, effects = script.give(inp.Commanded(cmd.Remove((ROOT,))))
    assert fx.OpenTree(root=ROOT, path=None, held=True) in effects
    assert not [effect for effect in effects if isinstance(effect, fx.Free)], "the copy is made from it"
    kept = script.machine.state.kept[ROOT]
    assert (kept.own, kept.whole, list(kept.origins)) == (False, False, [HOLDER])
    _, effects = script.give(inp.Finished(root=ROOT, path=f"/home/me/flux/held/{ROOT}"))
    (free,) = [effect for effect in effects if isinstance(effect, fx.Free)]
    assert free.others == (ROOT,)
    assert free.paths == (f"/home/me/flux/held/{ROOT}",)
    assert script.machine.state.kept[ROOT].whole


def test_a_replica_without_room_is_dropped() -> None:
    script = sharing(quota=50)
    keep(script, HOLDER, ROOT, 100)
    assert script.machine.state.kept[ROOT].own
    _, effects = script.give(inp.Commanded(cmd.Remove((ROOT,))))
    gone = msg.Held(cids=(ROOT,), how="gone", reason="low_space")
    assert fx.Push(peer=HOLDER, message=gone) in effects
    assert [effect for effect in effects if isinstance(effect, fx.Free)]


def test_a_cancelled_add_is_undone() -> None:
    script = Script()
    script.give(inp.Commanded(cmd.Add(PATH, "a")))
    script.give(inp.AddStepped(path=PATH, bytes_done=1, size=2, by="a"))
    assert script.machine.state.adding
    _, effects = script.give(inp.Commanded(cmd.CancelAdd(PATH, "a", "me")))
    assert effects == [fx.StopAdd(path=PATH, mark="a")]
    events, effects = script.give(inp.AddEnded(path=PATH, by="a", text=None, share=3))
    assert events == [ev.AddCancelled(path=PATH, by="a")]
    assert effects == [fx.EndAdd(share=3, keep=False)]
    assert not script.machine.state.adding
    events, effects = script.give(inp.Commanded(cmd.CancelAdd(PATH, by="me")))
    assert [type(event) for event in events] == [ev.ErrorOccurred]
    assert not effects


def test_a_failed_add_leaves_nothing() -> None:
    script = Script()
    script.give(inp.Commanded(cmd.Add(PATH, "a")))
    events, effects = script.give(inp.AddEnded(path=PATH, by="a", text="it cannot be read", share=3))
    assert events == [ev.ErrorOccurred(text="it cannot be read", path=PATH, by="a", code="cannot_add")]
    assert effects == [fx.EndAdd(share=3, keep=False)]


def test_the_chunks_of_an_add_ended_by_a_kill_are_freed() -> None:
    script = sharing()
    script.give(inp.Commanded(cmd.Add("/home/me/large", "b")))
    script.give(inp.AddStepped(path="/home/me/large", bytes_done=1, size=2, by="b"))
    script.machine = Machine(ME, derive(script.series), script, lambda: 0.0)
    _, effects = script._take(script.machine.handle(inp.NodeStarting((), "test", START), START))
    assert fx.EndAdd(share=0, keep=False, others=(ROOT,), path="/home/me/large") in effects
    assert not script.machine.state.adding


def test_other_objects_are_left_alone() -> None:
    script = sharing()
    other = raw_cid(b"other")
    script.held[other] = 5
    script.give(added(other, "/home/me/other"))
    script.give(inp.Commanded(cmd.Remove((ROOT,))))
    script.give(up(OTHER))
    events, _ = script.give(inp.IntentCame(wanted(OTHER, other), "direct"))
    assert [event.peer for event in events if isinstance(event, ev.AnsweredLater)] == [OTHER]
    assert ME not in script.machine.connected


def test_the_notes_of_an_add_stand_before_its_entry() -> None:
    found = structs.replace(added(ROOT, "/home/me/folder"), notes=("a socket is left out", "so is a device"))
    events, _ = Script().give(found)
    assert events[:3] == [*notes_of(found), object_added(found)]
    assert [event.text for event in events[:2]] == ["a socket is left out", "so is a device"]
    assert {(event.cid, event.path) for event in events[:2]} == {(ROOT, "/home/me/folder")}
    assert (events[2].root, events[2].path, events[2].by) == (ROOT, "/home/me/folder", found.by)


def test_an_object_that_is_wanted_and_kept_is_one_root() -> None:
    script = sharing()
    script.give(inp.Commanded(cmd.Want(raw_cid(b"another"))))
    assert script.machine.state.roots == (*script.machine.state.objects, raw_cid(b"another"))
