"""The picture in the Flow panel: this node in the middle, its peers around it, messages moving between them.

Pure. It is for a wide screen and an audience. The line to a peer is thicker, the more bytes flowed in the
last seconds. A want moves to all peers at once. Each answer moves back by itself, in the colour of its
reason.
"""

import math
from typing import NamedTuple

from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import PeerState
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import human_seconds, human_size
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.flow import SIGNS
from flux_tui.ui.rows.glyphs import REASON_SHORT, REASON_SIGNS, Glyphs, Role
from flux_tui.ui.rows.view_and_lines import Row, View, merged, span
from flux_tui.ui.series.flow_marks import OUTWARD, OWN, FlowWindow, Message

TRAVEL_SECONDS = 1.25
"""How long a message is on its way in the picture: five frames of the ticker."""
THICK_SECONDS = 5.0
"""An edge is as thick as what flowed in so many seconds."""
MAX_PEERS = 24
"""Peers around the node. The others are counted in the corner."""
MIN_WIDTH, MIN_HEIGHT = 50, 9
"""Below this size there is no room for the picture."""


class Point(NamedTuple):
    """A position in the picture: column and line, counted from 0."""

    x: int
    y: int


class _Canvas:
    """A grid of characters, each with the role by which the theme colours it."""

    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self._cells: list[list[tuple[str, Role]]] = [[(" ", "text")] * width for _ in range(height)]

    def put(self, point: Point, text: str, role: Role) -> None:
        """Write a text that begins at a point. The part outside of the grid is left out.

        Each of its characters takes one column.
        """
        if 0 <= point.y < self.height:
            for number, letter in enumerate(text):
                if 0 <= point.x + number < self.width:
                    self._cells[point.y][point.x + number] = letter, role

    def rows(self) -> list[Row]:
        """Return the lines of the grid as rows of the panel."""
        return [
            Row(f"picture/{number}", merged([span(text, role) for text, role in line]), title=True)
            for number, line in enumerate(self._cells)
        ]


def picture_rows(view: View, flow: FlowWindow) -> list[Row]:
    """Return the `view.height` lines of the picture. Empty: the panel is too small for a picture."""
    if view.width < MIN_WIDTH or view.height < MIN_HEIGHT:
        return []
    canvas = _Canvas(view.width, view.height)
    peers = _shown(view, flow)
    middle = Point(view.width // 2, (view.height - 1) // 2)
    points = {
        peer.peer: _around(number, len(peers), middle, view.height) for number, peer in enumerate(peers)
    }
    thick = _flowed(flow, view.now)
    top = max(thick.values(), default=0)
    for peer in peers:
        _edge(canvas, view.glyphs, middle, points[peer.peer], thick.get(peer.peer, 0), top, peer)
    for message in reversed(flow.messages):
        if view.now - message.at > TRAVEL_SECONDS:
            break
        if message.peer in points and message.at <= view.now:
            _message(canvas, view, message, middle, points[message.peer])
    for peer in peers:
        _label(canvas, view, peer, points[peer.peer], middle, thick.get(peer.peer, 0))
    name = f" {OWN} "
    canvas.put(Point(middle.x - len(name) // 2, middle.y), name, "strong")
    more = len(view.state.peers) - len(peers)
    if more > 0:
        canvas.put(Point(1, view.height - 1), f"and {more:,} more", "dim")
    return canvas.rows()


def _shown(view: View, flow: FlowWindow) -> list[PeerState]:
    """Return the peers to draw, in the order in which they first connected, so that none moves.

    If there are more than MAX_PEERS, peers with a lane in `flow` are taken first, then connected ones, then
    those that were seen last.
    """
    peers = list(view.state.peers.values())
    if len(peers) > MAX_PEERS:
        active = sorted(
            peers, key=lambda peer: (peer.peer in flow.lanes, peer.connected, peer.seen_at), reverse=True
        )
        chosen = {peer.peer for peer in active[:MAX_PEERS]}
        peers = [peer for peer in peers if peer.peer in chosen]
    return peers


def _around(number: int, count: int, middle: Point, height: int) -> Point:
    """Return the point of a peer on an ellipse around the middle.

    `number`: which of the drawn peers it is, counted from 0. `count`: how many peers are drawn. Below each
    point, there is room for a second line: what the peer does.
    """
    angle = 2 * math.pi * (number + 0.5) / max(count, 1) - math.pi / 2
    wide, high = middle.x - 12, min(middle.y, height - 2 - middle.y)
    return Point(middle.x + round(wide * math.cos(angle)), middle.y + round(high * math.sin(angle)))


def _flowed(flow: FlowWindow, now: float) -> dict[PeerId, int]:
    """Return the bytes sent to and received from each peer in the last THICK_SECONDS, as one sum.

    A peer without any is left out.
    """
    first, last = flow.bin_of(now - THICK_SECONDS), flow.bin_of(now)
    found: dict[PeerId, int] = {}
    for peer, lane in flow.lanes.items():
        cells = (lane.cells.get(number) for number in range(first, last + 1))
        if size := sum(cell.bytes_in + cell.bytes_out for cell in cells if cell is not None):
            found[peer] = size
    return found


def _edge(
    canvas: _Canvas, glyphs: Glyphs, middle: Point, point: Point, size: int, top: int, peer: PeerState
) -> None:
    if not peer.connected:
        return
    signs = "·•●" if glyphs.unicode else ".o@"
    level = 0 if not size else 1 if size * 2 < top else 2
    role: Role = "rail" if not size else "in"
    steps = max(abs(point.x - middle.x) // 2, abs(point.y - middle.y), 1)
    for step in range(1, steps):
        canvas.put(_between(middle, point, step / steps), signs[level], role)


def _between(middle: Point, point: Point, share: float) -> Point:
    return Point(
        round(middle.x + (point.x - middle.x) * share), round(middle.y + (point.y - middle.y) * share)
    )


def _message(canvas: _Canvas, view: View, message: Message, middle: Point, point: Point) -> None:
    share = (view.now - message.at) / TRAVEL_SECONDS
    if message.kind not in OUTWARD:
        share = 1 - share
    sign = REASON_SIGNS[message.reason] if message.reason is not None else SIGNS[message.kind]
    canvas.put(_between(middle, point, 0.08 + 0.84 * share), view.glyphs.glyph(sign), sign.role)


def _label(canvas: _Canvas, view: View, peer: PeerState, point: Point, middle: Point, size: int) -> None:
    """Write a peer's name at its point, and below it what the peer does.

    `middle`: the middle of the picture; the text does not extend towards it. `size`: the bytes that flowed
    between the peer and this node in the last THICK_SECONDS.
    """
    name, (words, role) = view.peer(peer.peer), _state_words(view, peer, size)
    lines: list[tuple[Plain, Role]] = [(name, "peer" if peer.connected else "dim"), (words, role)]
    for line, (text, shade) in enumerate(lines):
        cut = cell_width.cut(text, 20)
        x = point.x - len(cut) // 2 if abs(point.x - middle.x) < middle.x // 3 else point.x
        if point.x < middle.x - middle.x // 3:
            x = point.x - len(cut) + 1
        canvas.put(Point(min(max(x, 0), canvas.width - len(cut)), point.y + line), cut, shade)


def _state_words(view: View, peer: PeerState, size: int) -> tuple[Plain, Role]:
    if not peer.connected:
        return plain("gone"), "dim"
    if peer.denies:
        return plain("denies"), "bad"
    if peer.until is not None and peer.until > view.now and peer.reason is not None:
        sign = REASON_SIGNS[peer.reason]
        words = (
            f"{view.glyphs.glyph(sign)} {REASON_SHORT[peer.reason]} {human_seconds(peer.until - view.now)}"
        )
        return plain(words), sign.role
    if size:
        return plain(f"{human_size(size / THICK_SECONDS)}/s"), "in"
    if peer.took_back:
        return plain(f"{view.glyphs.glyph(REASON_SIGNS['not_held'])} changed"), "warn"
    return plain(""), "dim"
