"""Opens the windows in which a person types tickets to fetch or paths to share; also when a text is pasted."""

from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.commands import Command
from flux_tui.core.ids import is_cid
from flux_tui.core.text.quantities import counted
from flux_tui.path_arguments import folder_here
from flux_tui.ui.actions.command_sender import CommandSender, new_mark
from flux_tui.ui.keys import Keys
from flux_tui.ui.screens.open_window_protocol import OpenWindow
from flux_tui.ui.typed.part_wanted import PartWanted
from flux_tui.ui.watching.notify_protocol import Notify
from flux_tui.ui.watching.panel_views import Views
from flux_tui.ui.watching.watched_node import Nodes
from flux_tui.ui.widgets.plain_text import MAX_PASTED


class WantAndAdd:
    """Opens the window in which a person types tickets to fetch, and the window for paths to share."""

    def __init__(
        self,
        nodes: Nodes,
        views: Views,
        sender: CommandSender,
        keys: Keys,
        *,
        notify: Notify,
        open_window: OpenWindow,
    ) -> None:
        self._nodes = nodes
        self._views = views
        self._sender = sender
        self._keys = keys
        self._notify = notify
        self._open_window = open_window

    def want(self) -> None:
        """Open the window in which a person types tickets or CIDs to fetch.

        In a recording, show that this is not possible.
        """
        if self._sender.can_type():
            self._open_wants("")

    def add(self) -> None:
        """Open the window in which a person types paths to share.

        In a recording, show that this is not possible.
        """
        if self._sender.can_type():
            self._open_add("")

    def take_paste(self, text: str) -> None:
        """Open the window that fits a pasted text: for wants if it has a ticket or CID, for sharing if it is a path.

        If it is neither, or if a recording is shown, only tell the person so.
        """
        if not self._sender.can_type():
            return
        # with msgpack; imported when something is first pasted
        from flux_tui.core.content.object_paths import is_object_path
        from flux_tui.core.content.ticket import is_ticket_like, ticket_words

        words = ticket_words(text[:MAX_PASTED])
        if any(is_ticket_like(word) or is_cid(word) or is_object_path(word) for word in words):
            self._open_wants(text)
        elif text.strip().lstrip("'\"").startswith(("/", "~/", "file://")):
            self._open_add(text)
        else:
            self._notify("what was pasted is neither a ticket nor a path", timeout=4)

    def _open_wants(self, text: str) -> None:
        from flux_tui.ui.screens.want import WantScreen  # imported when it is first opened

        def send(commands: list[Command | PartWanted]) -> None:
            self._sender.push_or_raise(commands, f"pushed {counted(len(commands), 'want')}")

        window = WantScreen(
            self._nodes.state, folder_here(), new_mark, masked=self._views.masked, text=text, send=send,
            trouble=self._sender.gone(),
        )  # fmt: skip
        self._open_window(window, lambda answer: None)

    def _open_add(self, text: str) -> None:
        from flux_tui.ui.screens.add import AddScreen

        ticket = self._keys.shown(self._keys.named("ticket"))

        def send(paths: list[Path]) -> None:
            what = paths[0].name if len(paths) == 1 else counted(len(paths), "path")
            commands = [cmd.Add(str(path), new_mark()) for path in paths]
            self._sender.push_or_raise(commands, f"adding {what}; {ticket} then copies its ticket")

        window = AddScreen(
            folder_here(), masked=self._views.masked, text=text, send=send, trouble=self._sender.gone()
        )
        self._open_window(window, lambda answer: None)
