"""A state from which the command line completes."""

from flux_tui.core.ids import dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive

ROOT, CHUNK = dag_cid(b"root"), raw_cid(b"chunk")


STATE = derive([Entry(1, 1.0, ev.Requested(cid=ROOT, name="film.mkv", path="/there/film.mkv"))])
