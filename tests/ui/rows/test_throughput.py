"""The panel Throughput: what the series takes on disk."""

import pytest

from flux_tui.core.series.state import State
from flux_tui.store.series_size import SeriesSize
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.throughput import throughput_rows
from flux_tui.ui.rows.view_and_lines import View, text_of

SIZE = SeriesSize(1, 0.0, 3, 3 << 30, 1 << 20, 500 << 20)


@pytest.mark.parametrize(
    ("width", "size", "words"),
    [
        (120, SIZE, "series on disk 3.0 GiB, 30 days add 500 MiB"),
        (50, SIZE, "   series 3.0 GiB"),
        (30, SIZE, ""),
        (120, SIZE._replace(month_bytes=None), "series on disk 3.0 GiB"),
        (120, None, ""),
    ],
)
def test_the_disk_use_and_its_forecast(width: int, size: SeriesSize | None, words: str) -> None:
    total = text_of(throughput_rows(View(State(), 0.0, width, Glyphs(unicode=True), disk=size))[-1].line)
    assert total.endswith(words)
    assert ("series" in total) == bool(words)
