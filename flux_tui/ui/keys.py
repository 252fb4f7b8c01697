"""The actions: one table for the bindings, the footer, the help and the palette."""

from typing import NamedTuple

from textual.binding import Binding


class Action(NamedTuple):
    """One thing that can be done."""

    id: str
    keys: str
    """Textual's names, separated by commas."""
    shown: str
    """As a person reads them."""
    label: str
    """In the footer; empty: not there."""
    help: str
    group: str


ACTIONS: tuple[Action, ...] = (
    Action("want", "w", "w", "want", "Push a want: paste a ticket, a CID, or several", "Push"),
    Action("add", "a", "a", "add", "Share a file or folder of this machine", "Push"),
    Action("cancel", "c", "c", "", "Cancel what is selected in Pending or Retries", "Push"),
    Action("retry", "r", "r", "", "Push what is selected again now (all, if nothing is)", "Push"),
    Action(
        "filter", "slash", "/", "filter", "Show only what matches: text !not kind: peer: cid: reason:", "Look"
    ),
    Action("inspect", "enter", "enter", "", "Inspect what is selected, with all that touches it", "Look"),
    Action("zoom", "z", "z", "zoom", "One panel on the whole screen, and back", "Look"),
    Action("next_panel", "tab", "tab", "", "The next panel", "Look"),
    Action("previous_panel", "shift+tab", "shift+tab", "", "The panel before", "Look"),
    Action("panel(1)", "1", "1-6", "", "A panel by its number", "Look"),
    Action("panel(2)", "2", "", "", "", ""),
    Action("panel(3)", "3", "", "", "", ""),
    Action("panel(4)", "4", "", "", "", ""),
    Action("panel(5)", "5", "", "", "", ""),
    Action("panel(6)", "6", "", "", "", ""),
    Action("match(1)", "n", "n N", "", "The next match of a filter, the one before", "Look"),
    Action("match(-1)", "N", "", "", "", ""),
    Action("clear", "escape", "esc", "", "Leave a filter, a zoom, a window", "Look"),
    Action("freeze", "space", "space", "freeze", "Hold the cursor in time, and let it go", "Time"),
    Action("step(-1)", "left_square_bracket", "[ ]", "step", "One entry back, one forward", "Time"),
    Action("step(1)", "right_square_bracket", "", "", "", ""),
    Action("leap(-10)", "left_curly_bracket", "{ }", "", "Ten seconds back, ten forward", "Time"),
    Action("leap(10)", "right_curly_bracket", "", "", "", ""),
    Action("goto", "t", "t", "", "Go to a time or an entry: 12:01:03, -5m, #1234, start", "Time"),
    Action("live", "L", "L", "live", "Back to what happens now", "Time"),
    Action("copy", "y", "y", "", "Copy the whole CID or peer id of what is selected", "Take"),
    Action("screenshot", "s", "s", "", "Save a picture of the screen (SVG)", "Take"),
    Action("mask", "m", "m", "", "Hide ids and addresses, for an audience", "Take"),
    Action("help", "question_mark,f1", "?", "help", "This", "Leave"),
    Action("detach", "d", "d", "", "Leave; the node runs on", "Leave"),
    Action("quit", "q,ctrl+q", "q", "quit", "Leave; a node that was started here stops", "Leave"),
)

GROUPS = ("Push", "Look", "Time", "Take", "Leave")


def bindings() -> list[Binding]:
    """The app's bindings. `id` is what a person rebinds by."""
    return [
        Binding(
            action.keys,
            action.id,
            action.label or action.help,
            show=bool(action.label),
            key_display=action.shown or None,
            tooltip=action.help,
            id=action.id.replace("(", "-").replace(")", ""),
            # What a panel or an input would otherwise take for itself.
            priority=action.id in ("next_panel", "previous_panel"),
        )
        for action in ACTIONS
    ]
