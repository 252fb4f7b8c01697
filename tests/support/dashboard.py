"""A recorded story in the dashboard, and functions that read its panels."""

from flux_tui.core.ids import PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.screens.inspect import InspectScreen
from flux_tui.ui.widgets.line_strips import LineStrip
from flux_tui.ui.widgets.lines_panel import LinesPanel
from tests.ui.conftest import START

ROOT, CHUNK = dag_cid(b"root"), raw_cid(b"chunk")


ADA = PeerId("12D3KooW" + "A" * 44)


ME = PeerId("12D3KooW" + "M" * 44)


STORY = (
    ev.NodeStarted(peer_id=ME, addrs=("/x",), version="1", max_pending=1000),
    ev.Requested(cid=ROOT, name="film.mkv", size=4096, path="/there/film.mkv"),
    ev.PushedWant(cids=(ROOT,), peers=(ADA,), gossip=True, retry=False, next_push_at=START + 60),
    ev.PeerConnected(peer=ADA, addr="/ip4/192.0.2.7/tcp/4001"),
    ev.StatusNo(peer=ADA, cids=(ROOT,), reason="busy", has_it=True, retry_after=4.0),
    ev.ObjectMapped(root=ROOT, size=4096, chunks=5, have=1, have_bytes=0),
    ev.Granted(peer=ADA, root=ROOT, cids=(CHUNK,), deadline=START + 30),
    ev.ChunkReceived(cid=CHUNK, size=2048, peer=ADA, roots=(ROOT,), fills=2048),
)


def shown(app: Dashboard, name: str) -> list[str]:
    """Return the lines of a panel."""
    panel = app.query_one(f"#{name}", LinesPanel)
    return [text_of(panel.line(index)[1]) for index in range(panel.count())]


def header(app: Dashboard) -> str:
    return text_of(app.query_one("#header", LineStrip)._line)


def facts(app: Dashboard) -> dict[str, str]:
    """Return the facts of Inspect, by name."""
    assert isinstance(app.screen, InspectScreen)
    return {fact.name: fact.text for fact in app.screen._facts if fact.name}


def toasts(app: Dashboard) -> list[str]:
    return [note.message for note in app._notifications]
