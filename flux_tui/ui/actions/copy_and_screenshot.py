"""Copies an id or a ticket to the clipboard, and saves a picture of the screen."""

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from flux_tui.core.ids import short
from flux_tui.core.series.events.named_ids import cids_of, peers_of
from flux_tui.core.series.state import ObjectState
from flux_tui.core.text.plain import plain
from flux_tui.ui.board.panels import OBJECTS, Panels, root_of
from flux_tui.ui.keys import Keys
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.next_steps import shared_last, ticket_of
from flux_tui.ui.screens.open_window_protocol import OpenWindow
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes

NO_ID = ("loose", "more", "total")
"""Keys of lines that stand for no object and no peer."""
CLIPBOARDS = (
    (("wl-copy",), "WAYLAND_DISPLAY"),
    (("xclip", "-selection", "clipboard"), "DISPLAY"),
    (("xsel", "--clipboard", "--input"), "DISPLAY"),
    (("pbcopy",), "HOME"),
)
"""Commands that set the clipboard of the system, and the environment variable without which none works."""
FRAME = 2
"""Lines and columns of the window around a QR code."""
CLIPBOARD_SECONDS = 2
"""The most seconds that the clipboard of the system may take."""


class Copying:
    """Copies ids and tickets to the clipboard, and saves pictures of the screen.

    `to_terminal` copies a text through the terminal. `save_picture` saves the screen under a file name and
    returns its path. `width` and `height` return the columns and lines of the terminal.
    """

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        panels: Panels,
        keys: Keys,
        *,
        notify: Notify,
        to_terminal: Callable[[str], None],
        save_picture: Callable[[str], str],
        width: Callable[[], int],
        height: Callable[[], int],
        open_window: OpenWindow,
    ) -> None:
        self._nodes = nodes
        self._views = views
        self._panels = panels
        self._keys = keys
        self._notify = notify
        self._to_terminal = to_terminal
        self._save_picture = save_picture
        self._width = width
        self._height = height
        self._open_window = open_window

    def copy_id(self) -> None:
        """Copy the whole CID or peer id of the selected line to the clipboard.

        For an entry, copy the first id that it names. If there is no id, tell the person so.
        """
        key = self._panels.panel().selected
        if key is not None and self._panels.current == "series":
            entry = self._nodes.source.entry(int(key))
            found = (*cids_of(entry.event), *peers_of(entry.event)) if entry is not None else ()
            key = found[0] if found else None
        elif key is not None and self._panels.current == OBJECTS:
            key = root_of(key)
        if key is None or key in NO_ID:
            self._notify("select a line with an id first", timeout=3)
        else:
            self.copy(key)

    def copy_ticket(self) -> None:
        """Copy the ticket of the selected object, or else of the object that was shared last."""
        if (found := self._to_hand_on()) is not None:
            self.copy(ticket_of(self._nodes.state, found))

    def show_code(self) -> None:
        """Show that ticket as a QR code, where the terminal can. Otherwise say why not."""
        from flux_tui.qr_code import QrError, qr_lines  # imported when it is first asked for

        found = self._to_hand_on()
        if found is None:
            return
        why: str | None = None
        lines: list[str] = []
        try:
            lines = qr_lines(ticket_of(self._nodes.state, found))
        except QrError as error:
            why = str(error)
        if self._views.masked:
            why = "a ticket is made of ids and addresses, which are hidden now"
        elif not self._views.glyphs.unicode:
            why = "a QR code cannot be drawn with ASCII signs"
        elif lines and (len(lines) + FRAME > self._height() or len(lines[0]) + FRAME > self._width()):
            size = f"{len(lines[0]) + FRAME}x{len(lines) + FRAME}"
            why = f"the code needs a terminal of {size}, and this one has {self._width()}x{self._height()}"
        if why is not None:
            self._notify(why, timeout=5)
            return
        from flux_tui.ui.screens.qr_code import QrScreen  # imported when it is first opened

        self._open_window(QrScreen(plain(found.name or short(found.root)), lines), lambda _: None)

    def _to_hand_on(self) -> ObjectState | None:
        """Return the selected object, or else the one that was shared last. If there is none, say so."""
        state, root = self._nodes.state, self._panels.selected_root()
        found = shared_last(state) if root is None else state.objects[root]
        if found is None and state.objects:
            self._notify(
                "select an object first: in Objects (8) or Pending (2), or an entry about it", timeout=4
            )
        elif found is None:
            add = self._keys.shown(self._keys.named("add"))
            self._notify(f"nothing is shared yet: {add} shares a file or folder", timeout=4)
        return found

    def copy(self, text: str) -> None:
        """Copy a text to the clipboard, and show in which way it was copied."""
        how = copy(text, self._to_terminal)
        shown = "it" if self._views.masked else " ".join(text.split())
        self._notify(self._in_a_line("copied ", shown, f" ({how})"), timeout=4)

    def screenshot(self) -> None:
        """Save a picture of the screen (SVG) in the working folder. Show its path, or why it could not be saved."""
        name = f"flux-tui-{time.strftime('%Y%m%d-%H%M%S')}.svg"
        try:
            saved = Path(self._save_picture(name)).absolute()
        except OSError as error:
            self._notify(f"{name} cannot be saved: {(error.strerror or '').lower()}", severity="error")
            return
        self._notify(self._in_a_line("saved ", saved.name if self._views.masked else str(saved)), timeout=6)

    def _in_a_line(self, before: str, text: str, after: str = "") -> str:
        """Join three texts so that they fit in one line of the terminal.

        If needed, the middle of `text` is cut out.
        """
        room = max(16, self._width() - cell_width.width(before) - cell_width.width(after) - 3)
        return f"{before}{cell_width.cut(plain(text), room)}{after}"


def copy(text: str, by_terminal: Callable[[str], None]) -> str:
    """Copy a text through the terminal (OSC 52), and through the clipboard of the system where there is one.

    `by_terminal` copies a text through the terminal. Return in words which way was used, because not every
    terminal supports OSC 52.
    """
    by_terminal(text)
    for command, needs in CLIPBOARDS:
        if os.environ.get(needs) and shutil.which(command[0]):
            try:
                data = text.encode(errors="surrogateescape")
                subprocess.run(command, input=data, timeout=CLIPBOARD_SECONDS, check=True)  # noqa: S603 - fixed names
            except (OSError, subprocess.SubprocessError):
                continue
            return f"by {command[0]} and the terminal"
    return "by the terminal, if it allows that"
