"""The start of a node, and its stop."""

from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import Policy
from tests.support.script import CHUNK, ME, Script, up


def test_the_first_entry_says_where_the_node_can_be_dialled() -> None:
    script = Script()
    first = script.series[0].event
    assert isinstance(first, ev.NodeStarted)
    assert (first.peer_id, first.addrs, first.version) == (ME, ("/ip4/127.0.0.1/tcp/1",), "test")


def test_a_policy_that_differs_from_the_last_run_is_an_entry() -> None:
    script = Script(upload_limit=5)
    assert [type(entry.event) for entry in script.series] == [ev.NodeStarted, ev.PolicyChanged]
    script.restart()
    assert [type(entry.event) for entry in script.series[2:]] == [ev.NodeStarted], "it is known by now"
    assert script.machine.state.policy == Policy(upload_limit=5)


def test_wants_of_the_last_run_are_pushed_again() -> None:
    script = Script()
    script.give(inp.Commanded(cmd.WantMany((CHUNK, raw_cid(b"another")))))
    script.restart()
    assert set(script.machine.requester.downloads) == {CHUNK, raw_cid(b"another")}
    _, effects = script.give(inp.Tick())
    (push,) = (effect for effect in effects if isinstance(effect, fx.Broadcast))
    assert getattr(push.body, "cids", ()) == (CHUNK, raw_cid(b"another"))


def test_after_the_stop_no_input_changes_anything() -> None:
    script = Script()
    events, _ = script.give(inp.NodeStopping("stopped"))
    assert events == [ev.NodeStopped(reason="stopped")]
    for given in (up(ME), inp.Commanded(cmd.Want(CHUNK)), inp.Tick(), inp.NodeStopping("again")):
        assert script.machine.handle(given, script.now) == ([], [])
    assert not script.machine.connected
