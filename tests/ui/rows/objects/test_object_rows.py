"""The rows of the Objects panel as text: tabs, lines, blocks, files, and who takes an object."""

from pathlib import Path

import pytest

from flux_tui.core.ids import Cid, dag_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.core.series.fold import derive
from flux_tui.core.series.state import State
from flux_tui.store.index.object_files_reader import ObjectFile, ObjectFiles
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.objects.details import FILES_SHOWN, Selected
from flux_tui.ui.rows.objects.object_rows import LISTED, object_rows
from flux_tui.ui.rows.objects.tabs import TABS, Tab, objects_by_tab
from flux_tui.ui.rows.view_and_lines import Row, View, text_of
from flux_tui.ui.series.block_map import BlockMap
from flux_tui.ui.series.filter import Filter, parse_filter
from tests.support.rows import ADA, BOB

STUCK = Path(__file__).parents[2] / "stuck.flux"
AT = 1_795_983_620.0
"""20:20:20 UTC."""
FILM, PHOTOS, REPLICA = dag_cid(b"a film"), dag_cid(b"photos"), dag_cid(b"a replica")
NOW = 1100.0


def derived(*events: Event) -> State:
    return derive([Entry(n, 1000.0 + n, event) for n, event in enumerate(events, 1)])


def rows_of(
    state: State, tab: Tab, selected: Selected | None = None, *, width: int = 120, wanted: Filter | None = None,
    unicode: bool = True, height: int = 30, masked: bool = False, now: float = NOW,
) -> list[Row]:  # fmt: skip
    view = View(state, now, width, Glyphs(unicode=unicode), masked, height=height)
    rows = object_rows(view, tab, selected, wanted or Filter())
    assert all(cell_width.width(text_of(row.line)) <= width for row in rows)
    return rows


def texts(rows: list[Row]) -> list[str]:
    return [text_of(row.line).strip() for row in rows]


def added(root: Cid, name: str = "film.mkv") -> ev.ObjectAdded:
    return ev.ObjectAdded(root=root, name=name, size=1000, chunks=4, path=f"/home/{name}")


def sharing() -> State:
    """A film that Ada has taken whole, Bob in part, and photos that nobody asked for."""
    return derived(
        added(FILM), added(PHOTOS, "photos"),
        ev.PeerConnected(peer=ADA, addr=""), ev.PeerConnected(peer=BOB, addr=""),
        ev.IntentReceived(peer=ADA, cids=(FILM,), via="direct"),
        ev.ChunksSent(peer=ADA, cids=(FILM, *(dag_cid(b"%d" % n) for n in range(3))), size=1000),
        ev.IntentReceived(peer=BOB, cids=(FILM, PHOTOS), via="direct"),
        ev.GrantReceived(peer=BOB, cids=(FILM, dag_cid(b"1")), size=500),
        ev.ChunksSent(peer=BOB, cids=(FILM,), size=250),
    )  # fmt: skip


def stuck(width: int, *, unicode: bool = True, height: int = 30) -> list[str]:
    series = [entry for entry in SeriesReader.open(STUCK).read(0, 1000) if entry.at <= AT]
    state = derive(series)
    root = next(iter(state.pending))
    blocks = BlockMap(root)
    blocks.extend(series)
    return texts(
        rows_of(state, "wanted", Selected(root, blocks), width=width, unicode=unicode, height=height, now=AT)
    )


@pytest.mark.parametrize("width", [54, 74, 114, 194])
def test_a_stuck_file_with_its_blocks(width: int) -> None:
    heading, film, *under = stuck(width)
    assert heading.startswith("[wanted 1]")
    assert film.startswith("film.mkv")
    assert "22.9 MiB" in film
    assert "34%" in film
    assert "rate" in film, "why nothing comes now"
    assert under[0] == "to /home/ada/film-03.mkv"
    assert under[1] == "whole at 12D3…ntwp, 12D3…zcjN"
    assert set(under[2]) == set("A█DBC▒")
    told = "  ".join(under[3:])
    assert "24 blocks" in told
    assert "█ 9 here  ▒ 15 refused  A 12D3…9NmA 2 sent" in told
    assert "D 12D3…5J4d 4 sent" in told


def test_a_path_has_room_or_is_left_out() -> None:
    lines = [stuck(width)[1] for width in range(60, 260)]
    paths = [line.partition("  to ")[2] for line in lines]
    assert all(line.startswith("film.mkv") for line in lines)
    assert "" in paths
    assert min(len(path) for path in paths if path) >= 10


def test_it_says_the_same_in_ascii() -> None:
    lines = stuck(74, unicode=False)
    assert "#" in lines[4]
    assert "!" in lines[4]
    assert set(lines[4]) <= set("ABCD#!")
    assert "! 15 refused" in "  ".join(lines)


def test_a_low_panel_has_a_short_map() -> None:
    many = derived(
        ev.Requested(cid=FILM, name="film.mkv", size=1000, path="/film.mkv"), mapped(FILM, chunks=2000)
    )
    blocks = BlockMap(FILM)
    chunk = ev.ChunkReceived(cid=FILM, size=10, peer=ADA, roots=(FILM,))
    blocks.extend([Entry(1, 1000.0, chunk)])
    high, low = (texts(rows_of(many, "wanted", Selected(FILM, blocks), height=height)) for height in (30, 8))
    assert [sum("░" in line for line in lines[3:]) for lines in (high, low)] == [5, 2], (
        "the legend has one, too"
    )
    assert any("2,000 blocks, 5 a cell" in line for line in high)
    assert any("2,000 blocks, 17 a cell" in line for line in low)


def mapped(root: Cid, chunks: int) -> ev.ObjectMapped:
    return ev.ObjectMapped(root=root, size=1000, chunks=chunks, have=1, have_bytes=10)


def test_each_object_is_in_its_tabs() -> None:
    state = derived(
        ev.Requested(cid=FILM, name="film.mkv", size=1000, path="/film.mkv"),
        added(PHOTOS, "photos"),
        ev.KeepReceived(peer=ADA, root=REPLICA, size=500, name="a copy"),
        ev.Requested(cid=REPLICA, name="a copy", size=500, held=True),
    )
    assert objects_by_tab(state) == {
        "wanted": [FILM],
        "here": [PHOTOS],
        "shared": [PHOTOS],
        "kept": [REPLICA],
    }
    heads = {tab: texts(rows_of(state, tab))[0] for tab in TABS}
    assert heads["kept"].split("  ")[-1].strip() == "[kept for others 1]"
    kept = texts(rows_of(state, "kept"))[1]
    assert kept.startswith("a copy")
    assert "for 12D3…AAAA" in kept


def test_what_becomes_whole_is_here_with_its_path() -> None:
    state = derived(
        ev.Requested(cid=FILM, name="film.mkv", size=1000, path="/film.mkv"),
        ev.ObjectCompleted(root=FILM, size=1000, path="/home/ada/film.mkv"),
    )
    assert texts(rows_of(state, "wanted"))[1:] == ["nothing is wanted that is not here"]
    (line,) = texts(rows_of(state, "here"))[1:]
    assert line.split() == ["film.mkv", "1000", "B", "whole", "/home/ada/film.mkv"]


def test_a_sharer_sees_who_took_how_much() -> None:
    _, photos, film, *under = texts(rows_of(sharing(), "shared", Selected(FILM)))
    assert "ratio 1.25" in film
    assert "12D3…AAAA took it all, 12D3…BBBB about 25%" in film
    assert "ratio 0.00" in photos
    assert "12D3…BBBB asked" in photos
    assert under[0] == "at /home/film.mkv"
    assert under[1].startswith("ticket flux1")
    assert under[2].startswith("↑ 12D3…AAAA")
    assert under[2].endswith("100% 4 of 4 blocks, 1000 B, 1:34 ago")
    assert under[3].endswith(
        "25% about 1 of 4 blocks, 1:31 ago, 1 to go, estimated: it takes several things at once"
    )


def test_nobody_took_more_blocks_than_there_are() -> None:
    """Blocks of another object that the peer takes at the same time may be counted here."""
    state = sharing()
    state.fetchers[FILM][BOB].chunks = 6
    (line,) = (one for one in texts(rows_of(state, "shared", Selected(FILM))) if "BBBB" in one and "↑" in one)
    assert "100% about 4 of 4 blocks, 1:31 ago, estimated" in line


def test_while_masked_no_line_tells_who_or_where() -> None:
    told = " ".join(texts(rows_of(sharing(), "shared", Selected(FILM), masked=True)))
    assert "peer 1 took it all" in told
    assert not any(secret in told for secret in ("12D3", "/home", "flux1"))


def test_hostile_names_are_cleaned() -> None:
    state = derived(added(FILM, "evil\x1b[2J\x07name"))
    files = ObjectFiles((ObjectFile("a\x1b]0;title\x07b", 10, 5),), 1)
    told = "".join(text_of(row.line) for row in rows_of(state, "here", Selected(FILM, files=files)))
    assert not any(sign in told for sign in "\x1b\x07")


def test_files_of_a_folder_have_their_own_progress() -> None:
    files = ObjectFiles(tuple(ObjectFile(f"img-{n}", 100, 10 * n) for n in range(12)), 40)
    state = derived(added(PHOTOS, "photos"))
    few = rows_of(state, "here", Selected(PHOTOS, files=files))
    shown = [row for row in few if row.key.startswith(f"{PHOTOS}/file/")]
    assert all(row.title for row in shown)
    assert len(shown) == FILES_SHOWN + 1
    assert texts(shown)[3].split()[:3] == ["img-3", "100", "B"]
    assert texts(shown)[3].endswith(" 30%")
    assert texts(shown)[-1] == "and 32 more files"
    all_of_them = rows_of(state, "here", Selected(PHOTOS, files=files, unfolded=True))
    assert sum(not row.title for row in all_of_them) == 1 + 13, "they can be scrolled through"
    frozen = texts(rows_of(state, "here", Selected(PHOTOS, files=files, files_of_now=True)))
    assert "its files as they are now, not at this moment" in frozen
    none = texts(rows_of(state, "here", Selected(PHOTOS, no_files="a recording does not have them")))
    assert none[-1] == "a recording does not have them"


def test_of_many_objects_the_newest_are_listed_and_a_filter_finds_the_rest() -> None:
    roots = [dag_cid(b"object %d" % number) for number in range(LISTED + 20)]
    state = derived(*(added(root, f"song-{number}") for number, root in enumerate(roots)))
    rows = rows_of(state, "here")
    assert rows[1].key == roots[-1]
    assert len(rows) == LISTED + 2
    assert text_of(rows[-1].line).strip() == "and 20 older ones, which a filter finds"
    found = rows_of(state, "here", wanted=parse_filter("song-7"))
    assert roots[7] in {row.key for row in found}
    assert roots[8] not in {row.key for row in found}


def test_a_series_without_objects_has_no_rows() -> None:
    assert rows_of(State(), "wanted") == []


def test_a_cancelled_want_says_so() -> None:
    state = derived(
        ev.Requested(cid=FILM, name="film.mkv", size=1000, path="/film.mkv"), ev.Cancelled(cids=(FILM,))
    )
    assert texts(rows_of(state, "wanted"))[1].endswith("cancelled")
