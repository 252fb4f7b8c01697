"""The types from which panels are made: the view (state and display settings), and rows of spans. Pure.

A row has a key and a line of spans. The panel keeps its selected row by the key. Each span has a role, by
which the theme colours it. Nothing here knows Textual, so it is tested without a screen. The other modules of
this folder make the rows of each panel.
"""

import re
import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.series.events import (
    AnsweredNo,
    ChunkReceived,
    ChunksSent,
    ChunkWasted,
    Entry,
    Granted,
    GrantReceived,
    Requested,
    StatusNo,
    kind_of,
)
from flux_tui.core.series.state import State
from flux_tui.core.text.describe import describe, who
from flux_tui.core.text.names import NOBODY, WHO_WIDTH
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.store.series_size import SeriesSize
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import REASON_SIGNS, Glyphs, Role
from flux_tui.ui.series.entry_window import MAX_PEERS, Group
from flux_tui.ui.series.filter import Filter
from flux_tui.ui.series.trends import Trends

Span: TypeAlias = tuple[Plain, Role]
"""A piece of a line. `span` makes it from any text."""
Line: TypeAlias = list[Span]


def span(text: str, role: Role) -> Span:
    """Make a span (a piece of a line in one colour). Characters that a terminal cannot show are replaced."""
    return plain(text), role


HIDDEN = "•••"
"""The text instead of an id, an address or a path while masked."""
_IDENTIFYING = r"\S*…\S*|(?<!\S)~?/\S+|\b(?i:12D3Koo|bafk|bafy|flux1)\w+"
KIND_WIDTH = 16
BRIEF = 72
"""Below this many columns, the most frequent entries use fewer words."""
NO_FORMS: Mapping[PeerId, Plain] = MappingProxyType({})


class Row(NamedTuple):
    """One line of a panel, with the key by which the panel knows it."""

    key: str
    line: Line
    title: bool = False
    """Whether it is a heading, which cannot be selected."""
    words: str = ""
    """More text by which a filter finds the row, besides its key and its drawn text."""


Times: TypeAlias = Literal["clock", "start", "gap"]
"""How times of entries are shown: by the clock, since the node started, or since the entry before."""


class Sort(NamedTuple):
    """The column by which a table is sorted, and whether the largest values come first."""

    column: str = ""
    """The name of the column. Empty: in the order in which rows came."""
    falling: bool = True


class View(NamedTuple):
    """The state at the cursor and all display settings from which the rows of one panel are made.

    It gives peers and objects their names (`core.text.describe.Names`), or hides the names.
    """

    state: State
    now: float
    """Seconds since 1970: the wall clock while live, the time of the cursor while frozen."""
    width: int
    glyphs: Glyphs
    masked: bool = False
    height: int = 0
    """The number of visible lines. 0: it does not matter."""
    times: Times = "clock"
    sort: Sort = Sort()
    trends: Trends = Trends()
    called: Mapping[PeerId, str] = NOBODY
    """Names of peers, where they are known."""
    forms: Mapping[PeerId, Plain] = NO_FORMS
    """The form in which each known peer is shown: a name or the end of an id, cut so that they differ."""
    playing: bool = False
    """Whether the cursor moves on by itself, as the series happened."""
    dead: bool = False
    """Whether no node writes this series any more and the cursor is at its end. Then nobody is connected."""
    disk: SeriesSize | None = None
    """What the series takes on disk now. None: it is not shown."""

    def peer(self, peer: PeerId) -> Plain:
        """Return the name of a peer, or its short id.

        While ids are hidden, return its number among the state's peers (`peer 2`), or `a peer` if it is not
        one of them.
        """
        if not self.masked:
            if (form := self.forms.get(peer)) is not None:
                return form
            called = self.called.get(peer)
            return plain(short(peer)) if called is None else cell_width.cut(plain(called), WHO_WIDTH)
        known = list(self.state.peers)
        return plain(f"peer {known.index(peer) + 1}" if peer in self.state.peers else "a peer")

    def name(self, cid: Cid) -> Plain:
        """Return the name of an object. Without a name: its short CID, or `a chunk` while ids are hidden."""
        found = self.state.objects.get(cid)
        if found is not None and found.name:
            return plain(found.name)
        return plain("a chunk" if self.masked else short(cid))

    def cid(self, cid: Cid) -> Plain:
        """Return the short form of a CID. While ids are hidden, HIDDEN."""
        return plain(HIDDEN if self.masked else short(cid))

    def text(self, text: str) -> Plain:
        """Return a sentence with peers' names instead of ids.

        While ids are hidden, HIDDEN stands for each id, address and path instead.
        """
        if self.masked:
            return plain(hidden(text))
        for peer, called in self.called.items():
            text = text.replace(peer, called)
        return plain(text)

    def suggested(self, name: str) -> Plain:
        """Return a name that a peer suggests for itself. While ids are hidden, it is hidden, too."""
        return plain(HIDDEN if self.masked and name else name)

    @property
    def connected(self) -> int:
        """The number of connected peers."""
        return 0 if self.dead else self.state.connected


def matching(rows: list[Row], wanted: Filter, *, masked: bool = False) -> list[Row]:
    """Return the rows that pass a filter, by their text and, unless ids are hidden (`masked`), their key.

    Headings are always returned. A row belongs to a row above it if its key is that row's key plus a slash
    and more. Such rows are all returned, or none of them.
    """
    found: list[Row] = []
    block: list[Row] = []
    for row in [*rows, Row("", [], title=True)]:
        if block and row.key.startswith(f"{block[0].key}/"):
            block.append(row)
            continue
        if block:
            ids = "" if masked else block[0].key
            text = " ".join([*(text_of(part.line) for part in block), ids, block[0].words])
            if block[0].title or wanted.takes_text(text.lower()):
                found += block
        block = [row]
    return found


def identifies(text: str) -> bool:
    """Return whether a text contains an id, an address or a path."""
    return bool(re.search(_IDENTIFYING, text))


def hidden(text: str) -> str:
    """Return a text in which each id, address and path is replaced by HIDDEN."""
    return re.sub(_IDENTIFYING, HIDDEN, text)


def text_of(line: Line) -> str:
    """Return the text of a line without its colours."""
    return "".join(text for text, _ in line)


def wide(line: Line) -> int:
    """Return the width of a line in terminal columns."""
    return sum(cell_width.width(text) for text, _ in line)


def merged(line: Line) -> Line:
    """Return a line that looks the same and has fewer spans.

    Each span costs the terminal about forty bytes. A span of spaces takes the role (colour) of its neighbour.
    """
    out: Line = []
    for text, role in line:
        if not text:
            continue
        if out and (out[-1][1] == role or text.isspace()):
            out[-1] = (Plain(out[-1][0] + text), out[-1][1])
        elif out and out[-1][0].isspace():
            out[-1] = (Plain(out[-1][0] + text), role)
        else:
            out.append((text, role))
    return out


def entry_line(entry: Entry, view: View, group: Group | None = None, before: float | None = None) -> Line:
    """Return the line of one entry, or of a run of similar entries: time, sign, kind, peer and words.

    The line is cut to the width of the view. `group`: the run; `entry` is then its last entry. `before`: the
    time of the entry before `entry`, for times that are shown as gaps. None: not known.
    """
    kind = kind_of(entry.event)
    sign = view.glyphs.kind(kind)
    line: Line = [span(_moment(entry.at, view, before), "time"), span(" ", "text")]
    line += [
        span(view.glyphs.glyph(sign), sign.role),
        span(" ", "text"),
        span(f"{kind:<{KIND_WIDTH}} ", sign.role),
    ]
    peer = who(entry.event)
    if group is not None and len(group.peers) > 1:
        many = f"{len(group.peers)}+" if len(group.peers) >= MAX_PEERS else f"{len(group.peers)}"
        line.append(span(f"{many} peers".ljust(WHO_WIDTH) + " ", "peer"))
    elif peer is not None:
        line.append(span(cell_width.left(view.peer(peer), WHO_WIDTH + 1), "peer"))
    if isinstance(entry.event, (StatusNo, AnsweredNo)):
        reason = REASON_SIGNS[entry.event.reason]
        line.append(span(view.glyphs.glyph(reason) + " ", reason.role))
    if group is not None and group.entries > 1:
        line.append(span(f"{view.glyphs.times}{group.entries:,} ", "strong"))
        line.append(span(_run_words(entry, group, view), "text"))
    elif isinstance(entry.event, ChunkReceived) and entry.event.roots:
        line.append(span(f"{view.name(entry.event.roots[0])} ", "text"))
        chunk = "its root" if entry.event.cid in entry.event.roots else view.name(entry.event.cid)
        line.append(span(f"{human_size(entry.event.size)} {chunk}", "dim"))
    else:
        line.append(span(describe(entry.event, view, brief=view.width < BRIEF), "text"))
    return cut(line, view.width, view.glyphs.ellipsis)


def _run_words(entry: Entry, group: Group, view: View) -> str:
    """Return a text that sums up a run of similar entries. `entry` is the last of them."""
    event = entry.event
    size = human_size(group.size)
    match event:
        case ChunkReceived():
            return f"{view.name(event.roots[0]) if event.roots else 'chunks'} {size}"
        case ChunkWasted():
            return f"{event.cause}: chunks {size}"
        case ChunksSent() | GrantReceived():
            return f"{counted(group.chunks, 'chunk')}, {size}"
        case Granted():
            of = f" of {view.name(event.root)}" if event.root else ""
            brief = view.width < BRIEF and event.root
            return f"may send {f'{group.chunks:,}' if brief else counted(group.chunks, 'chunk')}{of}"
        case Requested():
            return "chunks"
        case _:
            return describe(event, view, brief=view.width < BRIEF)


def _moment(at: float, view: View, before: float | None) -> str:
    """Return a time as text, in the form that the person chose. All forms have the same width.

    `before`: the time of the entry before, for the form `gap`. None: not known, so the gap is blank.
    """
    wide = 12 if view.width >= 60 else 8
    match view.times:
        case "clock":
            return clock(at)[:wide]
        case "gap":
            text = "" if before is None else f"{at - before:+.3f}"
        case "start":
            start = view.state.started_at if view.state.started_at is not None else at
            minutes, seconds = divmod(abs(at - start), 60)
            sign = "-" if at < start else "+"
            text = (
                f"{sign}{int(minutes)}:{seconds:06.3f}"
                if wide == 12
                else f"{sign}{int(minutes)}:{int(seconds):02}"
            )
    return text.rjust(wide)[:wide]


def cut(line: Line, width: int, ellipsis: str = "…") -> Line:
    """Cut a line to `width` terminal columns. A line that is longer ends in `ellipsis`."""
    if wide(line) <= width:
        return line
    room = max(width - 1, 0)
    out: Line = []
    for text, role in line:
        if (takes := cell_width.width(text)) >= room:
            out.append((Plain(cell_width.head(text, room).rstrip("… ") + ellipsis), role))
            break
        out.append((text, role))
        room -= takes
    return out


def clock(at: float) -> str:
    """Return a time (seconds since 1970) as local time, such as `12:01:03.221`."""
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03}"
