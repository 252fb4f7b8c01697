"""The lanes of the Flow panel as text."""

from pathlib import Path

import pytest

from flux_tui.core.series.fold import derive
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.flow import ORDERS, STEPS, fitting_step, flow_rows, frame, step_words
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import View, text_of
from flux_tui.ui.series.flow_marks import FlowWindow

STUCK = Path(__file__).parents[1] / "stuck.flux"
AT = 1_795_983_620.0
"""20:20:20 UTC."""


def lanes(
    width: int, step: float, *, at: float = AT, order: str = ORDERS[0], unicode: bool = True
) -> dict[str, str]:
    """Return the text of each lane of the recording, by the beginning of its name."""
    series = [entry for entry in SeriesReader.open(STUCK).read(0, 1000) if entry.at <= at]
    state = derive(series)
    flow = FlowWindow(step, next(iter(state.pending)))
    flow.extend(series)
    rows = flow_rows(View(state, at, width, Glyphs(unicode=unicode)), flow, order)
    assert all(cell_width.width(text_of(row.line)) <= width for row in rows)
    assert any(text_of(row.line).startswith("Next: ") for row in rows)
    return {text_of(row.line)[:9].strip(): text_of(row.line)[10:] for row in rows if not row.title}


def test_a_stuck_file_at_a_glance() -> None:
    found = lanes(100, 0.5)
    assert [*found] == [
        "you", "12D3…9NmA", "12D3…zcjN", "12D3…ntwp", "12D3…qYWE", "12D3…5J4d",
    ]  # fmt: skip
    assert found["you"].strip().startswith("▼want")
    assert found["12D3…qYWE"].split() == ["●", "⊘denied", "never:", "denies"]
    assert "◔rate▒▒○gone" in found["12D3…9NmA"]
    limited = found["12D3…ntwp"]
    assert limited.rstrip().endswith("▒ again in 1.5 s"), limited
    assert limited.count("▒") > 20
    assert found["12D3…5J4d"].rstrip().endswith("4 chunks 3.9 MiB")


@pytest.mark.parametrize(("width", "end"), [(60, "3.9 MiB"), (80, "3.9 MiB"), (100, "4 chunks 3.9 MiB")])
def test_all_lanes_of_a_panel_tell_sizes_alike(width: int, end: str) -> None:
    assert lanes(width, 0.5)["12D3…5J4d"].split("  ")[-1].strip() == end


@pytest.mark.parametrize("width", [60, 80, 100])
def test_the_end_of_a_lane_and_what_comes_next_are_never_cut(width: int) -> None:
    series = [entry for entry in SeriesReader.open(STUCK).read(0, 1000) if entry.at <= AT]
    state, flow = derive(series), FlowWindow(0.5)
    flow.root = next(iter(state.pending))
    flow.extend(series)
    for lane in flow.lanes.values():
        lane.chunks *= 68
    rows = flow_rows(View(state, AT, width, Glyphs(unicode=True)), flow)
    lines = [text_of(row.line) for row in rows]
    assert not any("…" in line.replace("12D3…", "") for line in lines), lines
    end = " ".join(line for line in lines[lines.index("") :] if line)
    assert "Next: 12D3…ntwp is granted chunks in 1.5 s, at 20:20:21 (15 chunks to get)." in end


def test_a_close_look_has_the_wait_that_began_before_it() -> None:
    found = lanes(100, 0.05)
    assert found["12D3…ntwp"].strip() == "▒" * 66 + " again in 1.5 s"


def test_chunks_are_blocks_between_grants() -> None:
    after = lanes(100, 1.0, at=AT + 54)
    assert "▂▒" in after["12D3…zcjN"], "a chunk came, and then it was left alone again"
    assert "▽again" in after["you"]


def test_ascii_and_narrow_lanes_say_the_same() -> None:
    found = lanes(60, 2.0, unicode=False)
    assert all(text.isascii() for text in found.values())
    assert "//" in found[next(name for name in found if name.endswith("ntwp"))]


def test_in_ascii_no_sign_touches_its_word() -> None:
    found = lanes(200, 0.25, unicode=False)
    assert found["you"].split() == ["V", "want", "5", "peers"]
    assert found["12D3…qYWE"].split() == ["+", "x", "denied", "never:", "denies"]
    assert found["12D3…9NmA"].split() == ["+", "<%", "rate/////////-", "gone", "gone", "20", "s"]
    assert "n not held " in found["12D3…5J4d"]


def test_a_word_stays_where_a_space_before_it_has_no_room() -> None:
    assert lanes(60, 2.0, unicode=False)["12D3…zcjN"].split() == ["+", "%", "rate//%rate", "in", "10", "s"]


@pytest.mark.parametrize("order", ORDERS)
def test_orders_keep_all_lanes(order: str) -> None:
    assert set(lanes(80, 1.0, order=order)) == set(lanes(80, 1.0))
    by_bytes = [name for name in lanes(80, 1.0, order="bytes") if name.startswith("12D3")]
    assert by_bytes[0] == "12D3…5J4d", "it sent most"


def test_the_step_fits_what_is_to_be_seen() -> None:
    columns = frame(100, AT, 1.0).columns
    for step in STEPS[:-1]:
        assert fitting_step(100, AT - step * columns, AT) == step
    assert fitting_step(100, AT - 1e9, AT) == STEPS[-1]
    assert (step_words(0.25), step_words(5.0)) == ("250 ms a column", "5.0 s a column")
