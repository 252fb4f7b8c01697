"""The lines below the selected object of the Objects panel: its blocks, files, ticket, and who fetches it.

Pure.
"""

from typing import NamedTuple

from flux_tui.core.ids import Cid
from flux_tui.core.series.state import Fetcher, ObjectState
from flux_tui.core.text.quantities import human_seconds, human_size
from flux_tui.store.index.object_files_reader import ObjectFile, ObjectFiles
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.next_steps import ticket_of
from flux_tui.ui.rows.objects.map_rows import map_lines
from flux_tui.ui.rows.objects.object_line import place_of, share_of, whole_at, widths
from flux_tui.ui.rows.view_and_lines import HIDDEN, Line, Row, View, cut, span
from flux_tui.ui.series.block_map import BlockMap

FILES_SHOWN = 8
"""Files that are shown before the person unfolds the rest."""
FILES_UNFOLDED = 1_000
"""Files that are listed at most."""
TAKERS_SHOWN = WHOLE_SHOWN = 8
INDENT = "  "


class Selected(NamedTuple):
    """The selected object, and facts about it that are not in the state: its blocks and files."""

    root: Cid
    blocks: BlockMap | None = None
    """None: no entry tells of its blocks."""
    reading: bool = False
    """Whether entries about its blocks are still being read."""
    files: ObjectFiles | None = None
    """None: it is no folder, or nothing knows its files."""
    no_files: str = ""
    """A sentence that says why the object's files are not known. Empty: there is nothing to say."""
    files_of_now: bool = False
    """Whether the files are as they are now, and the cursor is at another moment."""
    unfolded: bool = False
    """Whether all files are listed."""


def detail_rows(view: View, selected: Selected) -> list[Row]:
    """Return the rows below the selected object. Their keys begin with its CID and a slash.

    A person can select only the rows of files, and only while the list of files is unfolded. Empty: the state
    has no such object.
    """
    found = view.state.objects.get(selected.root)
    if found is None:
        return []
    root = selected.root
    lines = _place_lines(view, found)
    if selected.blocks is not None and selected.blocks.holders:
        rows = 1 if view.height < 12 else 2 if view.height < 24 else 4
        lines += map_lines(view, selected.blocks, found, rows)
    if selected.reading:
        lines.append([span(f"{INDENT}reading the entries about its blocks", "dim")])
    lines += _taker_lines(view, found)
    above = [_row(view, f"{root}/{number}", line) for number, line in enumerate(lines)]
    files = [
        _row(view, f"{root}/file/{number}", line, title=not selected.unfolded)
        for number, line in enumerate(_file_lines(view, selected))
    ]
    return above + files


def _row(view: View, key: str, line: Line, *, title: bool = True) -> Row:
    return Row(key, cut(line, view.width, view.glyphs.ellipsis), title=title)


def _place_lines(view: View, found: ObjectState) -> list[Line]:
    """Return lines with the path of an object, and with its ticket.

    If the object is not whole: with the path where it will be, and with the connected peers that have all of
    it.
    """
    if found.completed_at is None:
        lines: list[Line] = [[span(f"{INDENT}to {place_of(view, found)}", "dim")]]
        whole = [view.peer(peer) for peer in whole_at(view.state, found.root)]
        if whole:
            lines.append([span(f"{INDENT}whole at {', '.join(whole[:WHOLE_SHOWN])}", "text")])
        return lines
    ticket = HIDDEN if view.masked else ticket_of(view.state, found)
    return [[span(f"{INDENT}at {place_of(view, found)}", "dim")], [span(f"{INDENT}ticket {ticket}", "dim")]]


# ── who takes it ────────────────────────────────────────────────────────────────────────────────


def _taker_lines(view: View, found: ObjectState) -> list[Line]:
    """Return a line for each peer that asked this node for an object: how much this node sent it, and when.

    There are at most TAKERS_SHOWN of them, then one line with the number of the other peers.
    """
    fetchers = sorted(view.state.fetchers.get(found.root, {}).values(), key=lambda one: -one.chunks)
    lines = [_taker_line(view, found, one) for one in fetchers[:TAKERS_SHOWN]]
    if len(fetchers) > TAKERS_SHOWN:
        lines.append([span(f"{INDENT}and {len(fetchers) - TAKERS_SHOWN:,} more peers", "dim")])
    return lines


def _taker_line(view: View, found: ObjectState, one: Fetcher) -> Line:
    share = share_of(found, one)
    at = one.sent_at if one.sent_at is not None else one.asked_at
    ago = human_seconds(max(0.0, view.now - at))
    left = one.granted - one.chunks
    words = f"{_taken(found, one)}, {ago} ago" if one.chunks else f"asked {ago} ago"
    line: Line = [
        span(f"{INDENT}{view.glyphs.up} ", "out"),
        span(cell_width.fit(view.peer(one.peer), 10) + " ", "peer"),
        span(view.glyphs.bar(share, widths(view.width).bar), "bar"),
        span(f" {share:>4.0%} ", "strong"),
        span(words, "dim"),
    ]
    if left > 0 and (peer := view.state.peers.get(one.peer)) is not None and peer.connected and not view.dead:
        line.append(span(f", {left:,} to go", "dim"))
    if one.estimated:
        line.append(span(", estimated: it takes several things at once", "warn"))
    return line


def _taken(found: ObjectState, one: Fetcher) -> str:
    """Return in words how many blocks of an object a peer took: an estimate, if it took other objects, too."""
    if not found.chunks_total:
        return f"{one.chunks:,} blocks, {human_size(one.bytes_out)}"
    if one.estimated:
        return f"about {min(one.chunks, found.chunks_total):,} of {found.chunks_total:,} blocks"
    return f"{one.chunks:,} of {found.chunks_total:,} blocks, {human_size(one.bytes_out)}"


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def _file_lines(view: View, selected: Selected) -> list[Line]:
    """Return a line for each file of a folder object, with the progress of the file.

    At most FILES_SHOWN files are listed (FILES_UNFOLDED while the list is unfolded), then the number of the
    others. If the files are not known, the only line says why. Empty: the object is not a folder, or no
    reason is known.
    """
    files = selected.files
    if files is None:
        return [[span(f"{INDENT}{selected.no_files}", "dim")]] if selected.no_files else []
    shown = files.files[: FILES_UNFOLDED if selected.unfolded else FILES_SHOWN]
    lines: list[Line] = []
    if selected.files_of_now:
        lines.append([span(f"{INDENT}its files as they are now, not at this moment", "warn")])
    lines += [_file_line(view, file) for file in shown]
    if (more := files.number - len(shown)) > 0:
        lines.append([span(f"{INDENT}and {more:,} more files", "dim")])
    return lines


def _file_line(view: View, file: ObjectFile) -> Line:
    columns = widths(view.width)
    size = "?" if file.size is None else human_size(file.size)
    line: Line = [
        span(INDENT, "dim"),
        span(cell_width.fit(view.text(file.rel), columns.name - len(INDENT)) + " ", "text"),
        span(f"{size:>10} ", "dim"),
    ]
    if file.have is not None and file.size is not None:
        share = 1.0 if file.have >= file.size else file.have / file.size
        line += [span(view.glyphs.bar(share, columns.bar), "bar"), span(f" {share:>4.0%}", "dim")]
    return line
