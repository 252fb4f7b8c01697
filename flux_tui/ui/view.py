"""What the panels show, as plain data: the state at the cursor, and lines of spans made of it. Pure.

A row is a key, by which a panel keeps its place, and a line of spans, each with a role for the theme to
colour. Nothing here knows Textual, so all of it is tested without a screen. The rows of the panels are
made in rows.py, what is drawn over time in rates.py.
"""

import re
import time
from typing import NamedTuple, TypeAlias

from flux_tui.core.events import Entry, StatusNo, kind_of
from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.state import State
from flux_tui.core.words import WHO_WIDTH, describe, who
from flux_tui.ui.glyphs import REASON_SIGNS, Glyphs, Role

Span: TypeAlias = tuple[str, Role]
Line: TypeAlias = list[Span]

HIDDEN = "•••"
"""Instead of an id, an address or a path, while masked."""
_IDENTIFYING = re.compile(r"\S*…\S*|(?<!\S)~?/\S+|\b(?:12D3Koo|bafk|bafy)\w+")
KIND_WIDTH = 16


class Row(NamedTuple):
    """One line of a panel."""

    key: str
    line: Line
    title: bool = False
    """A heading, which cannot be selected."""


class View(NamedTuple):
    """What every row builder needs. It names things (`core.words.Names`), or hides them."""

    state: State
    now: float
    """Seconds since 1970: of the wall while live, of the cursor while frozen."""
    width: int
    glyphs: Glyphs
    masked: bool = False

    def peer(self, peer: PeerId) -> str:
        """A peer's short name; its place in the list while masked."""
        if not self.masked:
            return short(peer)
        known = list(self.state.peers)
        return f"peer {known.index(peer) + 1}" if peer in self.state.peers else "a peer"

    def name(self, cid: Cid) -> str:
        """An object's name, or its CID's short form."""
        found = self.state.objects.get(cid)
        if found is not None and found.name:
            return found.name
        return "a chunk" if self.masked else short(cid)

    def text(self, text: str) -> str:
        """A sentence, without ids, addresses and paths while masked."""
        return _IDENTIFYING.sub(HIDDEN, text) if self.masked else text


def text_of(line: Line) -> str:
    """The characters of a line."""
    return "".join(text for text, _ in line)


def entry_line(entry: Entry, view: View) -> Line:
    """An entry: time, glyph, kind, who, words; cut to the width with an ellipsis."""
    kind = kind_of(entry.event)
    sign = view.glyphs.kind(kind)
    clock = _clock(entry.at)
    if view.width < 60:
        clock = clock[:8]
    line: Line = [(clock, "time"), (" ", "text"), (view.glyphs.glyph(sign), sign.role), (" ", "text")]
    line.append((f"{kind:<{KIND_WIDTH}} ", sign.role))
    peer = who(entry.event)
    if peer is not None:
        line.append((f"{view.peer(peer):<{WHO_WIDTH}} ", "peer"))
    if isinstance(entry.event, StatusNo):
        reason = REASON_SIGNS[entry.event.reason]
        line.append((view.glyphs.glyph(reason) + " ", reason.role))
    line.append((describe(entry.event, view), "text"))
    return cut(line, view.width)


def cut(line: Line, width: int) -> Line:
    """A line in `width` columns: what goes beyond ends in an ellipsis."""
    if sum(len(text) for text, _ in line) <= width:
        return line
    room = max(width - 1, 0)
    out: Line = []
    for text, role in line:
        if len(text) >= room:
            out.append((text[:room].rstrip() + "…", role))
            break
        out.append((text, role))
        room -= len(text)
    return out


def fit(text: str, width: int) -> str:
    """Exactly `width` columns: cut in the middle, or padded."""
    if len(text) <= width:
        return text.ljust(width)
    keep = width - 1
    return text[: keep - keep // 3] + "…" + text[-(keep // 3) :] if keep // 3 else text[:keep] + "…"


def _clock(at: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(at)) + f".{int(at * 1000) % 1000:03}"
