"""The strip of time: every entry is in one column, and the strip stays while the cursor moves."""

import pytest

from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.store.series_reader import MemorySeries, SeriesReader
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.timeline import SPANS, Timeline
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.series.cursor import Source
from tests.ui.conftest import RECORDING

GLYPHS = Glyphs(unicode=True)
ADA = PeerId("12D3KooW" + "A" * 44)
NO = ev.StatusNo(peer=ADA, cids=(raw_cid(b"x"),), reason="busy", has_it=True, retry_after=1.0)
YES = ev.PeerConnected(peer=ADA, addr="")
_reader = SeriesReader.open(RECORDING)
ENTRIES = _reader.read(0, 100_000)
_reader.close()


def strip_of(entries: list[Entry], *, whole: bool = True) -> tuple[Source, Timeline]:
    source = Source(lambda: MemorySeries(entries))
    while not source.last_seq or source.loading:
        source.poll()
    return source, Timeline(source, whole=whole)


@pytest.mark.parametrize("width", [10, 77, 200])
@pytest.mark.parametrize("span", range(len(SPANS) + 1))
def test_columns_count_every_entry_once(width: int, span: int) -> None:
    source, strip = strip_of(ENTRIES)
    strip.span = span
    line = strip.line(ENTRIES[-1].at, width, GLYPHS)
    assert len(text_of(line)) == width
    start, end = strip._range
    inside = sum(start <= entry.at < end for entry in ENTRIES)
    step = (end - start) / width
    drawn = [start + index * step for index in range(width)]
    assert sum(source.seq_at(at + step - 1e-6) - source.seq_at(at - 1e-6) for at in drawn) == inside
    some = [index for index, sign in enumerate(text_of(line)) if sign != GLYPHS.quiet]
    assert some == [
        index for index, at in enumerate(drawn)
        if source.seq_at(at + step - 1e-6) > source.seq_at(at - 1e-6)
    ]  # fmt: skip
    assert strip.line(ENTRIES[-1].at, width, GLYPHS) == line, "as remembered, so as counted"


def test_the_colour_is_the_share_of_no() -> None:
    events = [YES] * 100 + [NO] * 100
    entries: list[Entry] = [Entry(n, 1000.0 + (n > 100) * 10, event) for n, event in enumerate(events, 1)]
    _, strip = strip_of(entries)
    roles = [role for text, role in strip.line(1010.0, 11, GLYPHS) if GLYPHS.quiet not in text]
    assert roles == ["good", "bad"]


def test_the_cursor_is_marked_and_the_strip_stays() -> None:
    source, strip = strip_of([Entry(n, 1000.0 + n, YES) for n in range(1, 1001)], whole=False)
    source.go_to(900)
    before = text_of(strip.line(source.state.at, 60, GLYPHS))
    source.go_to(899)
    after = text_of(strip.line(source.state.at, 60, GLYPHS))
    assert before.count(GLYPHS.cursor) == after.count(GLYPHS.cursor) == 1
    assert before.index(GLYPHS.cursor) - after.index(GLYPHS.cursor) in (0, 1)
    # Far back, the strip moves to the cursor.
    source.go_to(10)
    assert GLYPHS.cursor in text_of(strip.line(source.state.at, 60, GLYPHS))


def test_a_place_in_the_strip_is_a_time_in_its_stretch() -> None:
    source, strip = strip_of([Entry(n, 1000.0 + n, YES) for n in range(1, 101)])
    strip.line(1100.0, 100, GLYPHS)
    for x in (0, 50, 99):
        at = strip.at(x)
        source.go_to_time(at)
        line = text_of(strip.line(at, 100, GLYPHS))
        assert abs(line.index(GLYPHS.cursor) - x) <= 1


def test_the_strip_of_an_empty_series() -> None:
    strip = Timeline(Source(lambda: None), whole=False)
    assert text_of(strip.line(5.0, 20, GLYPHS)) == GLYPHS.quiet * 20
    strip.wider(9)
    assert strip.words == "all"
    assert text_of(strip.line(5.0, 20, GLYPHS)) == GLYPHS.quiet * 20
    assert strip.wider(-9) == "2 min"


def test_a_growing_long_series_is_not_counted_again_each_time() -> None:
    series = MemorySeries([Entry(n, 1000.0 + n, YES) for n in range(1, 1001)])
    asked = 0

    class Counting(Source):
        def seq_at(self, at: float) -> int:
            nonlocal asked
            asked += 1
            return super().seq_at(at)

    source = Counting(lambda: series)
    source.poll()
    strip = Timeline(source, whole=False)
    strip.wider(9)
    strip.line(2000.0, 100, GLYPHS)
    asked = 0
    series.append([Entry(1001, 2001.0, YES)])
    source.poll()
    strip.line(2001.0, 100, GLYPHS)
    assert asked <= 25, "only what is not over yet"


def test_entries_after_the_clock_was_set_back_are_in_their_columns() -> None:
    """Columns that seemed to be past get more entries."""
    series = MemorySeries([Entry(n, 10_000.0 + n, YES) for n in range(1, 101)])
    source = Source(lambda: series)
    source.poll()
    strip = Timeline(source, whole=False)
    strip.line(10_101.0, 60, GLYPHS)
    kept = dict(strip._columns)
    back = Entry(101, 10_060.0, ev.ClockStepped(seconds=-41.0))
    series.append([back, *(Entry(n, 10_060.0 + (n - 101) / 10, YES) for n in range(102, 302))])
    source.poll()
    line = strip.line(10_081.0, 60, GLYPHS)
    assert line == Timeline(source, whole=False).line(10_081.0, 60, GLYPHS), "nothing of before is shown"
    assert any(kept.get(key, column) != column for key, column in strip._columns.items())
