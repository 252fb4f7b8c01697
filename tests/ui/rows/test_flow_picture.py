"""The picture of this node among its peers."""

from pathlib import Path

import pytest

from flux_tui.core.ids import PeerId
from flux_tui.core.series.fold import derive
from flux_tui.core.series.state import PeerState
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows.flow_picture import MAX_PEERS, MIN_HEIGHT, MIN_WIDTH, TRAVEL_SECONDS, picture_rows
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import View, text_of
from flux_tui.ui.series.flow_marks import FlowWindow
from tests.sim.swarm import peer_name

STUCK = Path(__file__).parents[1] / "stuck.flux"
ANSWERS = 1_795_983_596.9
"""Half a second after the first answers."""


def picture(at: float, width: int = 100, height: int = 22, *, unicode: bool = True) -> list[str]:
    series = [entry for entry in SeriesReader.open(STUCK).read(0, 1000) if entry.at <= at]
    flow = FlowWindow(0.5)
    flow.extend(series)
    rows = picture_rows(View(derive(series), at, width, Glyphs(unicode=unicode), height=height), flow)
    return [text_of(row.line) for row in rows]


def test_everybody_has_a_place_and_nobody_changes_it() -> None:
    for at in (ANSWERS, ANSWERS + 17, ANSWERS + 60):
        lines = picture(at)
        assert (len(lines), {len(line) for line in lines}) == (22, {100})
        assert "you" in lines[10]
        for name, row in (("12D3…ntwp", 2), ("12D3…9NmA", 2), ("12D3…zcjN", 13), ("12D3…5J4d", 13)):
            assert name in lines[row], (at, name)
    assert "gone" in picture(ANSWERS + 17)[3]
    assert "rate 25 s" in picture(ANSWERS)[3]
    assert picture(ANSWERS + 17)[14].rstrip().endswith("∅ changed")


@pytest.mark.parametrize("height", [9, 10, 17, 18, 21, 22])
def test_the_words_below_the_lowest_peer_are_in_the_picture(height: int) -> None:
    lines = picture(ANSWERS, height=height)
    assert "12D3…qYWE" in lines[-2]
    assert "denies" in lines[-1]


def test_answers_travel_to_the_middle_in_their_colours() -> None:
    on_the_way = "\n".join(picture(ANSWERS))
    assert "⊘" in on_the_way, "a peer denies"
    assert "◄" in on_the_way, "others said yes"
    later = "\n".join(picture(ANSWERS + 2 * TRAVEL_SECONDS))
    assert "◄" not in later


def test_an_edge_is_thick_where_much_flows() -> None:
    lines = picture(ANSWERS)
    assert "● ● ●" in lines[12], "most comes from this peer"
    assert "•" in lines[9], "less from these"
    assert "·" in lines[15], "and nothing from the one that denies"


def test_ascii_has_the_same_picture() -> None:
    lines = picture(ANSWERS, unicode=False)
    assert "x" in "".join(line for line in lines if "12D3" not in line)


def test_there_is_a_least_size() -> None:
    assert picture(ANSWERS, MIN_WIDTH - 1) == []
    assert picture(ANSWERS, MIN_WIDTH, MIN_HEIGHT - 1) == []
    assert len(picture(ANSWERS, MIN_WIDTH, MIN_HEIGHT)) == MIN_HEIGHT


def test_a_crowd_is_counted() -> None:
    series = SeriesReader.open(STUCK).read(0, 1000)
    state = derive(series)
    extra: list[PeerId] = [peer_name(number) for number in range(40)]
    state.peers.update({peer: PeerState(peer=peer) for peer in extra})
    rows = picture_rows(View(state, ANSWERS, 120, Glyphs(unicode=True), height=30), FlowWindow(1.0))
    assert f"and {len(state.peers) - MAX_PEERS} more" in text_of(rows[-1].line)
