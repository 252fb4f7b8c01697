"""Makes the parts of a dashboard that act on keys, clicks and typed lines, when the first of them is needed."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from flux_tui.ui.actions.command_sender import CommandSender
from flux_tui.ui.actions.completion_context import Completion
from flux_tui.ui.actions.copy_and_screenshot import Copying
from flux_tui.ui.actions.display_actions import DisplayActions
from flux_tui.ui.actions.filtering import Filtering
from flux_tui.ui.actions.in_panels.flow_actions import FlowActions
from flux_tui.ui.actions.in_panels.object_actions import ObjectActions
from flux_tui.ui.actions.inspecting import Inspecting
from flux_tui.ui.actions.leaving import Leaving
from flux_tui.ui.actions.prompt_lines import CommandLine
from flux_tui.ui.actions.selected_objects import SelectedObjects
from flux_tui.ui.actions.sorting import Sorting
from flux_tui.ui.actions.want_and_add import WantAndAdd
from flux_tui.ui.keys import Keys

if TYPE_CHECKING:
    from flux_tui.ui.dashboard.parts import Host, Parts


class ActingParts:
    """The parts of one dashboard that act on keys, clicks and typed lines."""

    def __init__(
        self,
        app: "Host",
        parts: "Parts",
        keys: Keys,
        *,
        changed: Callable[[], None],
        sent: Callable[[], None],
    ) -> None:
        """Make the parts. `parts`: the parts that are on the screen, and what they watch.

        `changed` is called after a change that has to be drawn, `sent` after a command was pushed into the node.
        """
        nodes, views, panels, prompt, flow = (
            parts.nodes,
            parts.views,
            parts.panels,
            parts.prompt,
            parts.flow_feed,
        )
        self.leaving = Leaving(nodes, views, keys, open_window=app.open_window, leave=app.leave)
        self.sender = CommandSender(nodes, parts.liveness, notify=app.notify, sent=sent)
        self.want_and_add = WantAndAdd(
            nodes, views, self.sender, keys, notify=app.notify, open_window=app.open_window
        )
        self.flow = FlowActions(flow, panels, parts.playback, notify=app.notify, changed=changed)
        self.objects = ObjectActions(parts.objects_feed, panels, notify=app.notify, changed=changed)
        self.sorting = Sorting(views, panels, notify=app.notify, changed=changed)
        self.completion = Completion(nodes, views, panels, self.sorting, themes=lambda: app.theme_names)
        self.filtering = Filtering(panels, prompt, self.completion, keys, notify=app.notify, changed=changed)
        self.command_line = CommandLine(
            nodes, prompt, self.completion, self.sender, parts.playback, panels, self.filtering, self.sorting,
            notify=app.notify, run=app.action_do, set_theme=app.set_theme, changed=changed,
        )  # fmt: skip
        self.selected_objects = SelectedObjects(
            nodes, views, panels, self.sender, keys, notify=app.notify, open_window=app.open_window,
            type_command=self.command_line.open, changed=changed,
        )  # fmt: skip
        self.display = DisplayActions(
            views, panels, flow, self.filtering, prompt, notify=app.notify,
            clear_notices=app.clear_notifications, changed=changed,
        )  # fmt: skip
        self.copying = Copying(
            nodes, views, panels, keys, notify=app.notify, to_terminal=app.copy_to_clipboard,
            save_picture=app.save_screenshot, width=lambda: app.columns, height=lambda: app.lines,
            open_window=app.open_window,
        )  # fmt: skip
        self.inspecting = Inspecting(
            nodes, views, parts.playback, panels, flow, open_window=app.open_window, copy=self.copying.copy,
            type_command=self.command_line.open,
        )  # fmt: skip
