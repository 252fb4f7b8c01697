"""Makes the one line that stands for an object in the Objects panel; each tab shows other columns. Pure."""

from collections.abc import Collection
from typing import NamedTuple, assert_never

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.next_try import Tries
from flux_tui.core.series.state import Fetcher, KeptReplica, ObjectState, State
from flux_tui.core.text.phrases import object_words
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import human_seconds, human_size
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.glyphs import Role
from flux_tui.ui.rows.objects.tabs import Tab
from flux_tui.ui.rows.pending_and_retries import eta_of, waiting_words
from flux_tui.ui.rows.view_and_lines import Line, View, cut, span, wide

LEAST_PLACE = 16
"""Columns that a path has at least. With fewer, it is left out: the lines below have it."""
NAMED = 2
"""Peers that a line names. The others are counted."""
SIZE_WIDTH, STATUS_WIDTH, RATIO_WIDTH = 10, 13, 11


class Widths(NamedTuple):
    """The widths of the columns that depend on the width of the panel: name and progress bar."""

    name: int
    bar: int


def widths(width: int) -> Widths:
    """Return the widths of the columns of an object's line, for a panel of this width."""
    if width < 72:
        return Widths(14, 6)
    return Widths(24, 10) if width < 130 else Widths(36, 16)


def object_line(view: View, tab: Tab, root: Cid, senders: Collection[PeerId], tries: Tries) -> Line:
    """Return the line of an object in one tab.

    `senders`: the peers that were granted chunks of the object and have not sent them yet. `tries`: when each
    want of this state is tried next.
    """
    state = view.state
    found, kept = state.objects.get(root), state.kept.get(root)
    size = (found.size if found is not None else None) or (kept.size if kept is not None else None)
    columns = widths(view.width)
    line: Line = [
        span(cell_width.fit(name_of(view, root), columns.name) + " ", "name"),
        span(f"{'?' if size is None else human_size(size):>{SIZE_WIDTH}} ", "text"),
    ]
    match tab:
        case "wanted" if found is not None:
            line += _progress(view, found.progress, columns.bar)
            line += _wanted(view, found, senders, tries, view.width - wide(line))
        case "here" if found is not None:
            role: Role = "warn" if found.broken else "good"
            line.append(span(f"{object_words(found):<{STATUS_WIDTH}} ", role))
            line.append(span(place_of(view, found), "dim"))
            line.append(span(_also_taken(view, found), "dim"))
        case "shared" if found is not None:
            line.append(span(f"{ratio_of(found):<{RATIO_WIDTH}} ", "strong" if found.sent_bytes else "dim"))
            line.append(span(takers(view, found), "out" if found.sent_bytes else "dim"))
            line.append(span(f"  {place_of(view, found)}", "dim"))
        case "kept" if kept is not None:
            line += _progress(view, _kept_progress(found, kept), columns.bar)
            line.append(span(_kept_words(view, kept), "dim"))
        case "wanted" | "here" | "shared" | "kept":
            pass
        case _:
            assert_never(tab)
    return cut(line, view.width, view.glyphs.ellipsis)


def name_of(view: View, root: Cid) -> Plain:
    """Return the name of an object, or its short CID.

    The object may be a replica that this node keeps for others.
    """
    kept = view.state.kept.get(root)
    if root not in view.state.objects and kept is not None and kept.name:
        return plain(kept.name)
    return view.name(root)


def place_of(view: View, found: ObjectState) -> str:
    """Return the path where an object is or will be, or words that say that it is in the store."""
    return view.text(found.path) if found.path else "in the store"


def ratio_of(found: ObjectState) -> str:
    """Return as text how many times this node sent an object: sent bytes divided by the object's size.

    It is `ratio ?` if the size is not known.
    """
    return f"ratio {found.sent_bytes / found.size:.2f}" if found.size else "ratio ?"


def share_of(found: ObjectState, fetcher: Fetcher) -> float:
    """Return the share of an object that this node sent to one peer, from 0 to 1."""
    if found.chunks_total:
        return min(1.0, fetcher.chunks / found.chunks_total)
    return min(1.0, fetcher.bytes_out / found.size) if found.size else 0.0


def takers(view: View, found: ObjectState) -> str:
    """Return a short text that says which peers fetched how much of an object from here, the largest share first.

    At most NAMED peers are named. If no peer asked for the object, the text says so.
    """
    fetchers = list(view.state.fetchers.get(found.root, {}).values())
    if not fetchers:
        return "nobody asked for it yet"
    fetchers.sort(key=lambda one: -one.chunks)
    words = [f"{view.peer(one.peer)} {_took(found, one)}" for one in fetchers[:NAMED]]
    return _and_more(words, len(fetchers))


def _took(found: ObjectState, fetcher: Fetcher) -> str:
    if not fetcher.chunks:
        return "asked"
    share = share_of(found, fetcher)
    if share >= 1:
        return "took about all of it" if fetcher.estimated else "took it all"
    return f"{'about ' if fetcher.estimated else ''}{share:.0%}"


def whole_at(state: State, root: Cid) -> list[PeerId]:
    """Return the connected peers that said that they have all of a wanted object, and did not take this back.

    Empty: there is none, or the object is not wanted now.
    """
    pending = state.pending.get(root)
    answers = pending.answers.values() if pending is not None else ()
    return [
        answer.peer
        for answer in answers
        if answer.has == "all"
        and not answer.lacks
        and (peer := state.peers.get(answer.peer)) is not None
        and peer.connected
    ]


def _wanted(view: View, found: ObjectState, senders: Collection[PeerId], tries: Tries, room: int) -> Line:
    pending = view.state.pending.get(found.root)
    if pending is None:
        return [span("cancelled" if found.cancelled else "not asked for any more", "warn")]
    line: Line = []
    if senders and not view.dead:
        rate = view.trends.object_rate(found.root, view.now)
        names = _and_more([str(view.peer(peer)) for peer in list(senders)[:NAMED]], len(senders))
        line.append(span(f"from {names}", "good"))
        seconds = eta_of(view, pending, found)
        eta = f"  eta {human_seconds(seconds)}" if seconds is not None else ""
        line.append(span(f"  {view.glyphs.down} {human_size(rate)}/s{eta}", "good"))
    else:
        line.append(span(waiting_words(view, pending, senders, room, tries), "warn"))
    if whole := whole_at(view.state, found.root):
        names = _and_more([str(view.peer(peer)) for peer in whole[:NAMED]], len(whole))
        line.append(span(f"  whole at {names}", "text"))
    place = f"  to {view.text(found.path)}" if found.path else "  to the store"
    if wide(line) + min(len(place), LEAST_PLACE) <= room:
        line.append(span(place, "dim"))
    return line


def _also_taken(view: View, found: ObjectState) -> str:
    """Return a text that says how many times this node sent an object, and how many peers asked for it.

    Empty: this node sent nothing of it.
    """
    if not found.sent_bytes:
        return ""
    count = len(view.state.fetchers.get(found.root, {}))
    return f"  {ratio_of(found)}, {count} {'peer' if count == 1 else 'peers'}"


def _progress(view: View, share: float, bar: int) -> Line:
    return [
        span(view.glyphs.bar(share, bar), "bar"),
        span(f" {share:>4.0%}  ", "strong"),
    ]


def _kept_progress(found: ObjectState | None, kept: KeptReplica) -> float:
    if kept.whole:
        return 1.0
    if found is not None:
        return found.progress
    return min(1.0, kept.stored / kept.size) if kept.size else 0.0


def _kept_words(view: View, kept: KeptReplica) -> str:
    names = [str(view.peer(origin)) for origin in list(kept.origins)[:NAMED]]
    origins = f"for {_and_more(names, len(kept.origins))}" if names else "nobody needs it any more"
    own = ", and for you" if kept.own else ""
    return f"{origins}{own}  wanted {human_seconds(view.now - kept.last_wanted)} ago"


def _and_more(names: list[str], total: int) -> str:
    more = total - len(names)
    return ", ".join(names) + (f" and {more:,} more" if more > 0 else "")
