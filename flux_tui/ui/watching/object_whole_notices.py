"""Tells the person when an object that was wanted here has become whole: by a notice, the bell, or the desktop.

It tells only of objects that become whole while the dashboard is open, wherever the cursor is. It tells
nothing of a recording.
"""

import os
import time
from collections.abc import Callable

from flux_tui.config import NoticeBy
from flux_tui.core.series.events import Entry, ObjectCompleted
from flux_tui.core.text.plain import Plain, plain
from flux_tui.core.text.quantities import human_size
from flux_tui.ui.rows.view_and_lines import View
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes

SECONDS = 8.0
"""Seconds for which the line stays."""
RING_SECONDS = 2.0
"""Seconds between two bells. Of what becomes whole in between, only the line tells."""
VIEW_WIDTH = 100
MAX_DESKTOP = 200
"""Characters of a notice on the desktop."""


class WholeNotices:
    """Tells the person of objects that became whole.

    `ring` rings the terminal's bell, `to_terminal` writes to it. `quiet`: tell the person nothing, because a
    narrated demo is shown.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        by: NoticeBy,
        *,
        quiet: bool,
        notify: Notify,
        ring: Callable[[], None],
        to_terminal: Callable[[str], None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._nodes = nodes
        self._views = views
        self._by = by
        self._notify = notify
        self._ring = ring
        self._to_terminal = to_terminal
        self._quiet = quiet
        self._monotonic = monotonic
        self._rang_at: float | None = None
        """The time of the last bell or desktop notice. None: there was none."""

    def tell(self) -> None:
        """Tell the person of the objects that became whole since the last call.

        The bell or the desktop notice comes at most once in RING_SECONDS, and not if `by` is `none`.
        """
        node = self._nodes.shown
        completed = node.source.take_completed()
        if node.recording or self._quiet or not completed:
            return
        view = self._views.view(VIEW_WIDTH)._replace(state=node.source.newest)
        told = [words for entry in completed if (words := whole_words(entry, view)) is not None]
        if not told:
            return
        text = told[-1] if len(told) == 1 else plain(f"{len(told)} objects are whole, the last: {told[-1]}")
        self._notify(text, timeout=SECONDS)
        now = self._monotonic()
        if self._by == "none" or (self._rang_at is not None and now - self._rang_at < RING_SECONDS):
            return
        self._rang_at = now
        self._ring()
        if self._by in ("osc9", "osc777"):
            self._to_terminal(desktop_notice(self._by, text, tmux="TMUX" in os.environ))


def whole_words(entry: Entry, view: View) -> Plain | None:
    """Return a sentence that an object is whole, and where it is.

    None: nobody wanted the object on this node.
    """
    event = entry.event
    if not isinstance(event, ObjectCompleted):
        return None
    found = view.state.objects.get(event.root)
    if found is None or found.origin == "held":
        return None
    place = view.text(event.path) if event.path else "in the store"
    return plain(f"{view.name(event.root)} is whole: {place} ({human_size(event.size)})")


def desktop_notice(by: NoticeBy, text: Plain, *, tmux: bool = False) -> str:
    """Return the control sequence with which a terminal shows a notice on the desktop.

    It is OSC 777 with a title if `by` says so, otherwise OSC 9. Names in `text` come from others, so `text`
    must have no control characters. The notice never begins with `text`, because OSC 9 has other meanings for
    texts that begin with a number. Semicolons, which separate fields, are replaced. `tmux`: wrap the sequence
    so that tmux passes it on.
    """
    words = text[:MAX_DESKTOP].replace(";", ",")
    sequence = f"\x1b]777;notify;flux-tui;{words}\x07" if by == "osc777" else f"\x1b]9;flux-tui: {words}\x07"
    return "\x1bPtmux;" + sequence.replace("\x1b", "\x1b\x1b") + "\x1b\\" if tmux else sequence
