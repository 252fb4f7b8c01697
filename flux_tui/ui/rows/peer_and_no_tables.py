"""The rows of the panels NO by node and Peers, which are tables of peers, sorted by any column. Pure.

A table that is not sorted keeps peers in the order in which they came, so that no line jumps. A table that is
too narrow leaves out its least important columns. No column is ever cut in two.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from flux_tui.core.series.events import REASONS, Reason
from flux_tui.core.series.fault_decay import at_fault
from flux_tui.core.series.next_try import asked_again_at
from flux_tui.core.series.state import PeerState
from flux_tui.core.text.names import WHO_WIDTH, short_addr
from flux_tui.core.text.phrases import way_words
from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_seconds, human_size
from flux_tui.core.vocabulary import Way
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs, Role, reason_words
from flux_tui.ui.rows.view_and_lines import HIDDEN, Line, Row, Span, View, cut, span, wide

SPARK = 10
"""Columns of the sparkline of a peer, one for each second."""
DIGITS = 3
"""The digits of a count for which there is always room."""
GAPS = (3, 2, 1)
"""Spaces between the columns of NO by node, the widest first."""
AGAIN = "again in"
HAS_ROLES: dict[str, Role] = {"yes": "good", "part": "warn", "no": "dim", "?": "dim"}
WAY_ROLES: dict[Way, Role] = {"direct": "text", "punched": "good", "relayed": "warn"}
LATE = 0.9
"""A peer is late if it sent or refused less than this share of its grants in time."""


class Column(NamedTuple):
    """A column of a table of peers: its heading and width, and how the cell of a peer is drawn and sorted."""

    name: str
    """The name by which a person sorts by it."""
    head: str
    width: int
    """The width, with the space before the column."""
    cell: Callable[[PeerState], Line]
    order: Callable[[PeerState], Any]
    importance: int = 0
    """The order of leaving out, the highest first. 0 is never left out."""
    left: bool = False
    """Whether the column is aligned to the left."""
    role: Role = "dim"
    """The role of the heading."""


def columns_that_fit(columns: list[Column], width: int) -> list[Column]:
    """Return the columns that fit in `width`, in their order. The least important columns are left out.

    Columns of importance 0 are always returned.
    """
    room = width
    kept = set()
    for column in sorted(columns, key=lambda column: column.importance):
        if column.importance and column.width > room:
            break
        room -= column.width
        kept.add(column.name)
    return [column for column in columns if column.name in kept]


def table_rows(
    columns: list[Column],
    peers: list[PeerState],
    view: View,
    words: Callable[[PeerState], str] = lambda peer: "",
) -> list[Row]:
    """Return a heading and one row for each peer. `words`: more text by which a filter can find a peer.

    The rows are sorted by the column in `view.sort`. Without such a column, they are in the order of `peers`.
    """
    shown = columns_that_fit(columns, view.width)
    head: Line = []
    for column in shown:
        sign = ""
        if column.name == view.sort.column:
            sign = view.glyphs.falling if view.sort.falling else view.glyphs.rising
        text = sign + column.head if not column.left else column.head + sign
        head.append(span(_aligned(text, column), "accent" if sign else column.role))
    chosen = next((column for column in columns if column.name == view.sort.column), None)
    if chosen is not None:
        peers = sorted(peers, key=chosen.order, reverse=view.sort.falling)
    rows = [Row("head", cut(head, view.width, view.glyphs.ellipsis), title=True)]
    for peer in peers:
        line: Line = []
        for column in shown:
            cell = column.cell(peer)
            room = column.width - wide(cell)
            space: Span = span(" " * max(0, room), "text")
            line += [*cell, space] if column.left else [space, *cell]
        rows.append(Row(peer.peer, cut(line, view.width, view.glyphs.ellipsis), words=words(peer)))
    return rows


def column_at(columns: list[Column], view: View, x: int) -> str | None:
    """Return the name of the column that is drawn at `x`, counted from 0. None: no column is there."""
    end = 0
    for column in columns_that_fit(columns, view.width):
        end += column.width
        if x < end:
            return column.name
    return None


def _aligned(text: str, column: Column) -> str:
    return text.ljust(column.width) if column.left else text.rjust(column.width)


def _who(view: View) -> Column:
    return Column(
        "node", "node", WHO_WIDTH + 1,
        lambda peer: [span(cell_width.left(view.peer(peer.peer), WHO_WIDTH + 1), "peer")],
        lambda peer: view.peer(peer.peer), left=True,
    )  # fmt: skip


# ── NO by node ──────────────────────────────────────────────────────────────────────────────────


def no_columns(view: View) -> list[Column]:
    """Return the columns of the panel NO by node.

    They are the peer, whether it has the chunks, its NOs by reason, and when it is asked again.
    """
    nodes = _refusers(view)
    totals = {reason: sum(peer.counts.get(reason, 0) for peer in nodes) for reason in REASONS}
    given = [reason for reason in REASONS if totals[reason]]
    gap, worded = _spaced(given, totals, view.width)
    columns = [_who(view), Column("has", "has", 4, lambda peer: [has_it(peer)], _has_order, left=True)]
    for reason in REASONS:
        if reason in given:
            words = reason in worded
            width = _reason_width(reason, totals[reason], gap, words)
            columns.append(_reason_column(view, reason, width, 1 + given.index(reason), words))
    again = len(AGAIN) + gap
    columns.append(
        Column(
            "again",
            AGAIN,
            again,
            lambda peer: [_again(view, peer)],
            lambda peer: asked_again_at(view.state, peer) or 0.0,
        )
    )
    return columns


def _spaced(given: list[Reason], totals: dict[Reason, int], width: int) -> tuple[int, set[Reason]]:
    """Return the gap between columns in characters, and the reasons whose headings are words.

    `given`: the reasons that have a column. `totals`: how many NOs gave each reason. `width`: the width of
    the panel. With enough room, all headings are words, as far apart as possible. Otherwise only the first
    ones are words, and the others are signs, which is better than a missing column. This choice hardly
    depends on the counts, so columns keep their places while counts grow.
    """

    def wide(gap: int, worded: set[Reason]) -> int:
        reasons = sum(_reason_width(reason, totals[reason], gap, reason in worded) for reason in given)
        return WHO_WIDTH + 5 + len(AGAIN) + gap + reasons

    for gap in GAPS:
        if wide(gap, set(given)) <= width:
            return gap, set(given)
    worded: set[Reason] = set()
    for reason in given:
        if wide(GAPS[-1], {*worded, reason}) <= width:
            worded.add(reason)
    return GAPS[-1], worded


def _reason_width(reason: Reason, total: int, gap: int, words: bool) -> int:
    number = max(DIGITS, len(f"{total:,}"))
    return max(len(REASON_SHORT[reason]) + 2, number) + gap if words else number + gap


def _reason_column(view: View, reason: Reason, width: int, importance: int, words: bool) -> Column:
    sign = REASON_SIGNS[reason]

    def cell(peer: PeerState) -> Line:
        count = peer.counts.get(reason, 0)
        if not count:
            return [span(view.glyphs.dash, "dim")]
        return [span(f"{count:,}", sign.role if peer.reason == reason else "text")]

    head = reason_words(reason, view.glyphs) if words else view.glyphs.glyph(sign)
    return Column(
        reason, head, width, cell, lambda peer: peer.counts.get(reason, 0), importance, role=sign.role
    )


def _again(view: View, peer: PeerState) -> Span:
    if view.dead or not peer.connected:
        return span("gone", "dim")
    at = asked_again_at(view.state, peer)
    if at is None:
        return span("", "dim")
    left = at - view.now
    return span(human_seconds(left), "warn") if left > 0 else span("now", "good")


def has_it(peer: PeerState) -> Span:
    """Return whether a peer has the chunks that it was asked for: yes, no, part, or ? for not known.

    It is known from everything that the peer ever said and sent.
    """
    return span(peer.has, HAS_ROLES[peer.has])


def _has_order(peer: PeerState) -> int:
    return ("?", "no", "part", "yes").index(has_it(peer)[0])


def _refusers(view: View) -> list[PeerState]:
    return [peer for peer in view.state.peers.values() if peer.counts]


def no_rows(view: View) -> list[Row]:
    """Return the rows of the panel NO by node: a heading, then a row for each peer that said NO.

    Empty: no peer said NO.
    """
    nodes = _refusers(view)
    if not nodes:
        return []
    # The heading may show reasons as signs only. With these words a filter still finds who gave which reason.
    return table_rows(no_columns(view), nodes, view, lambda peer: " ".join(peer.counts))


def no_legend(view: View) -> Line:
    """Return a legend: the signs that are the headings of columns in NO by node, with their words.

    A reason is never shown without its word somewhere. The panel draws this legend into its border, where it
    needs no line.
    """
    heads = {column.name: column.head for column in columns_that_fit(no_columns(view), view.width)}
    bare = [reason for reason in REASONS if len(heads.get(reason, "")) == 1]
    line: Line = [
        span(("  " if at else "") + reason_words(reason, view.glyphs), REASON_SIGNS[reason].role)
        for at, reason in enumerate(bare)
    ]
    return line


# ── peers ───────────────────────────────────────────────────────────────────────────────────────


def standing_no(peer: PeerState, now: float) -> Reason | None:
    """Return the reason of a peer's NO if the peer sends nothing now because of it. Otherwise None.

    The peer may not be asked again yet, or it denies everything to this node.
    """
    if peer.until is not None and peer.until > now:
        return peer.reason
    # A peer that denies everything still answers `not_held` for chunks that it does not have.
    denies = peer.counts.get("denied") and peer.reason in ("denied", "not_held")
    return "denied" if denies and not _was_useful(peer) else None


def _was_useful(peer: PeerState) -> bool:
    """Return whether chunks ever flowed between a peer and this node, or the peer ever said yes."""
    return bool(peer.chunks_in or peer.chunks_out or peer.yes)


def standing(peer: PeerState, now: float, glyphs: Glyphs, *, dead: bool = False) -> Span:
    """Return the word for how a peer behaves now.

    It is one of gone, at fault, changed, late, good and quiet, or the reason of a NO because of which the
    peer sends nothing now. `dead`: the shown node does not run, so every peer is gone.
    """
    if dead or not peer.connected:
        return span("gone", "dim")
    if at_fault(peer, now):
        return span("at fault", "bad")
    if (no := standing_no(peer, now)) is not None:
        return span(reason_words(no, glyphs), REASON_SIGNS[no].role)
    if peer.took_back:
        return span(f"{glyphs.glyph(REASON_SIGNS['not_held'])} changed", "warn")
    if peer.late or (peer.delivered_share is not None and peer.delivered_share < LATE):
        return span("late", "warn")
    return span("good", "good") if _was_useful(peer) else span("quiet", "dim")


def _way(view: View, peer: PeerState) -> Line:
    here = peer.connected and not view.dead
    return [span(" ", "text"), span(way_words(peer) if here else "", WAY_ROLES[peer.way])]


def peer_columns(view: View) -> list[Column]:
    """Return the columns of the panel Peers.

    They are the name, the rate now and its chart, bytes in and out, chunks granted and received, the share
    that was delivered, the standing, the time to answer, how the peer is connected (`way`), and its address.
    """
    glyphs, now = view.glyphs, view.now

    peers = view.state.peers.values()
    gives = sum(peer.bytes_out for peer in peers) > sum(peer.bytes_in for peer in peers)

    def dot(peer: PeerState) -> Line:
        here = peer.connected and not view.dead
        sign: Span = span(glyphs.dot, "good") if here else span(glyphs.ring, "dim")
        return [sign, span(" " + cell_width.left(view.peer(peer.peer), WHO_WIDTH), "peer")]

    def rates(peer: PeerState) -> tuple[float, float]:
        # A peer that is gone has no rate, even if it sent a moment ago.
        return view.trends.of(peer.peer).rate(now) if peer.connected and not view.dead else (0.0, 0.0)

    def rate(peer: PeerState) -> Line:
        inward, outward = rates(peer)
        if not inward + outward:
            return [span(glyphs.dash, "dim")]
        return [span(f"{human_size(inward + outward)}/s", "in" if inward >= outward else "out")]

    def spark(peer: PeerState) -> Line:
        trend = view.trends.of(peer.peer)
        role: Role = "in" if peer.bytes_in >= peer.bytes_out else "out"
        return [span(" ", "text"), span(glyphs.spark(trend.series(now, SPARK)), role)]

    def gave(peer: PeerState) -> Line:
        if peer.delivered_share is None:
            return [span(glyphs.dash, "dim")]
        return [span(f"{peer.delivered_share:.0%}", "warn" if peer.broken else "text")]

    def answer(peer: PeerState) -> Line:
        seconds = view.trends.of(peer.peer).answer
        if seconds is None:
            return [span(glyphs.dash, "dim")]
        return [span(f"{seconds * 1000:.0f} ms" if seconds < 1 else human_seconds(seconds), "text")]

    def standing_cell(peer: PeerState) -> Line:
        text, role = standing(peer, now, glyphs, dead=view.dead)
        return [span(" ", "text"), span(text, role)]

    def address(peer: PeerState) -> Line:
        return [
            span("  " + (HIDDEN if view.masked else cell_width.cut(plain(short_addr(peer.addr)), 21)), "dim")
        ]

    return [
        Column("peer", "  peer", WHO_WIDTH + 2, dot, lambda peer: view.peer(peer.peer), left=True),
        Column("now", "now", 11, rate, lambda peer: sum(rates(peer)), 1),
        Column("spark", "", SPARK + 1, spark, lambda peer: 0, 4, left=True),
        Column("in", "in", 9, lambda peer: [span(human_size(peer.bytes_in), "in")],
               lambda peer: peer.bytes_in, 6 if gives else 3),
        Column("out", "out", 9, lambda peer: [span(human_size(peer.bytes_out), "out")],
               lambda peer: peer.bytes_out, 3 if gives else 6),
        Column("granted", "granted", 9, lambda peer: [span(f"{peer.granted:,}", "text")],
               lambda peer: peer.granted, 10),
        Column("came", "came", 7, lambda peer: [span(f"{peer.chunks_in:,}", "text")],
               lambda peer: peer.chunks_in, 11),
        Column("gave", "gave", 6, gave,
               lambda peer: -1.0 if peer.delivered_share is None else peer.delivered_share, 5),
        Column("standing", " standing", 13, standing_cell, lambda peer: standing(peer, now, glyphs)[0], 2, left=True),
        Column("answers", "answers", 8, answer,
               lambda peer: view.trends.of(peer.peer).answer or float("inf"), 9),
        Column("way", " way", 9, partial(_way, view), way_words, 8, left=True),
        Column("address", "  address", 23, address, lambda peer: peer.addr, 7, left=True),
    ]  # fmt: skip


def peer_rows(view: View) -> list[Row]:
    """Return the rows of the panel Peers: a heading, then a row for each peer.

    A row says whether the peer is connected, how many bytes flowed, and how much of its grants it delivered.
    """
    peers = list(view.state.peers.values())
    if not peers:
        return []
    # Peers that are gone stand below. Otherwise, peers stay in the order in which they came.
    peers.sort(key=lambda peer: not peer.connected)
    return table_rows(peer_columns(view), peers, view, lambda peer: standing_no(peer, view.now) or "")


TABLES: dict[str, Callable[[View], list[Column]]] = {"noes": no_columns, "peers": peer_columns}
"""The panels that can be sorted."""
