"""The recorded inputs of real nodes make their series again."""

from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import raw_cid
from flux_tui.core.machine_recording import Recorder, replay
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.node.node import FluxNode
from flux_tui.store.store import Store
from tests.support.nodes_here import LOOPBACK, share, until


def stored(home: Path) -> list[Entry]:
    """Return the series of a home whose node has stopped."""
    store = Store.open(home)
    reader = store.reader()
    try:
        return reader.read(0, 100_000)
    finally:
        reader.close()
        store.close()


async def test_the_runs_of_two_real_nodes_replay_entry_for_entry(tmp_path: Path) -> None:
    """Over libp2p on loopback: an add, a file that crosses, a want that is pending over a restart, a removal."""
    (tmp_path / "film.mkv").write_bytes(bytes(range(256)) * 20_000)
    recorders = {"a": Recorder(), "b": Recorder()}
    async with (
        FluxNode.open(tmp_path / "a", LOOPBACK, recorder=recorders["a"]) as a,
        FluxNode.open(tmp_path / "b", LOOPBACK, recorder=recorders["b"]) as b,
    ):
        root = await share(a, tmp_path / "film.mkv")
        b.on_data("hello", lambda entry: None)
        b.push_intent(cmd.Get(root, str(tmp_path / "copy.mkv"), None, None, a.addrs))
        b.get_chunk(raw_cid(b"nobody has this"))
        await until(lambda: b.count_pending() == 1)
        a.push_intent(cmd.Custom("hello", b"b"))
        await until(lambda: any(o.completed_at for o in b.derive_state().objects.values()))
    async with FluxNode.open(tmp_path / "b", LOOPBACK, recorder=recorders["b"]) as b:
        b.push_intent(cmd.Remove((root,)))
        await until(lambda: not b.derive_state().removing and not b.derive_state().objects)
    for name, recorder in recorders.items():
        assert len(recorder.recordings) == (2 if name == "b" else 1)
        again = [entry for recording in recorder.recordings for entry in replay(recording)]
        assert again == stored(tmp_path / name)
    kinds = {type(entry.event) for entry in again}
    assert {ev.NodeStarted, ev.ChunkReceived, ev.ObjectCompleted, ev.ObjectFreed, ev.NodeStopped} <= kinds
