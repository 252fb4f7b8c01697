"""The table of actions, from which keys, footer, help, palette and command line are made.

Each action has a name. A person can give it other keys by this name (`[keys]` in the settings file), or type
the name after `:`. A key may be a sequence of two (`J s`). The first key then does nothing alone, and the
footer shows the possible second keys.

A narrated demo has three more actions, and another order in the footer. Two of them take the keys `n` and
`space` from other actions: the next match of a filter, and freezing. Of these, freezing still has the key F.
"""

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple, TypeAlias

from textual.binding import Binding, BindingsMap

PRIORITY = ("next-panel", "previous-panel")
"""Actions with priority, because a panel or an input would take their keys."""


class Action(NamedTuple):
    """An action of the dashboard: its name, its keys, and its texts in footer and help."""

    name: str
    keys: str
    """Textual's names of the keys, separated by commas. Two with a space between are a sequence."""
    help: str
    group: str
    label: str = ""
    """The label in the footer. Empty: the action is not in the footer."""
    pair: str = ""
    """Another action. The footer shows its key beside this one's."""
    next: str = ""
    """The label in the footer after the first key of a sequence."""
    on: str = ""
    """The label in the footer while the action is on."""


ACTIONS: tuple[Action, ...] = (
    Action("want", "w", "Push a want: paste a ticket, a CID, or several", "Push", "want"),
    Action("add", "a", "Share a file or folder of this machine", "Push", "add"),
    Action("hold", "H", "Ask others to keep replicas of what is selected", "Push"),
    Action("cancel", "c", "Cancel the selected one in Pending or Retries, or all marked; release a hold",
           "Push"),
    Action("remove", "D", "Stop sharing what is selected, after a question; your files stay", "Push"),
    Action("retry", "r", "Push the selected or marked ones again now; all, if none is", "Push"),
    Action("undo", "u", "Want again what was cancelled last", "Push"),
    Action("mark", "x", "Mark the selected line, for cancelling and retrying several", "Push"),
    Action("mark-range", "X", "Mark all lines from the one marked last to the selected one", "Push"),
    Action("mark-all", "A", "Mark all lines that the filter shows, or unmark them", "Push"),
    Action("restart", "R", "Start the node again as it was, if it is gone", "Push"),
    Action("command", "colon", "The command line: want, get, add, cancel, goto, theme …", "Look",
           "command"),
    Action("filter", "slash", "Show only what matches: text !not kind: peer: cid: reason:", "Look",
           "filter"),
    Action("next-match", "n", "The next match of a filter", "Look"),
    Action("previous-match", "N", "The match before", "Look"),
    Action("clear", "escape", "Leave a filter, marks, a zoom, a window", "Look"),
    Action("inspect", "enter", "Inspect what is selected, with all that touches it", "Look",
           "inspect"),
    Action("zoom", "z", "One panel on the whole screen, and back", "Look", "zoom"),
    Action("next-panel", "tab", "The next panel", "Look"),
    Action("previous-panel", "shift+tab", "The panel before", "Look"),
    Action("panel-1", "1,J s", "Jump to Series", "Look", next="Series"),
    Action("panel-2", "2,J p", "Jump to Pending", "Look", next="Pending"),
    Action("panel-3", "3,J n", "Jump to NO by node", "Look", next="NO"),
    Action("panel-4", "4,J r", "Jump to Retries", "Look", next="Retries"),
    Action("panel-5", "5,J e", "Jump to Peers", "Look", next="Peers"),
    Action("panel-6", "6,J t", "Jump to Throughput", "Look", next="Throughput"),
    Action("panel-7", "7,J f", "Jump to Flow, of the selected object if there is one", "Look", next="Flow"),
    Action("panel-8", "8,J o", "Jump to Objects", "Look", next="Objects"),
    Action("next-tab", "O", "Objects: the next tab: wanted, here, shared, kept for others", "Look"),
    Action("previous-tab", "Q", "Objects: the tab before", "Look"),
    Action("flow-face", "V", "Flow: lanes over time, or this node among its peers", "Look"),
    Action("mark-back", "comma", "Flow: go to the mark before, in the selected lane", "Time"),
    Action("mark-forward", "full_stop", "Flow: go to the next mark, in the selected lane", "Time"),
    Action("fold", "f", "Fold runs of like entries into one line, or unfold them; in Objects, all files", "Look"),
    Action("times", "T", "Times as a clock, since the node started, or since the entry before", "Look"),
    Action("sort-right", "greater_than_sign", "Sort NO by node or Peers by the next column", "Look"),
    Action("sort-left", "less_than_sign", "Sort by the column before; before the first: as they came",
           "Look"),
    Action("sort-reverse", "o", "The other way round; in Flow, the next order of lanes", "Look"),
    Action("next-node", "v", "Look at the next node, where there are several", "Look", "node"),
    Action("freeze", "space,F", "Freeze all panels at this moment, and back to live", "Time",
           "freeze"),
    Action("step-back", "left_square_bracket", "One entry back", "Time", "step", "step-forward"),
    Action("step-forward", "right_square_bracket", "One entry forward", "Time"),
    Action("leap-back", "left_curly_bracket", "Ten seconds back", "Time"),
    Action("leap-forward", "right_curly_bracket", "Ten seconds forward", "Time"),
    Action("minute-back", "left_parenthesis", "A minute back", "Time"),
    Action("minute-forward", "right_parenthesis", "A minute forward", "Time"),
    Action("goto", "t", "Go to a time or an entry: 12:01:03, -5m, #1234, start", "Time"),
    Action("live", "L", "Back to what happens now", "Time", "live"),
    Action("play", "P", "Play on from the cursor as it happened, and stop", "Time",
           "play"),
    Action("speed", "S", "Play 1, 10 or 100 times as fast", "Time"),
    Action("strip-closer", "plus", "The strip of time, or Flow: a shorter stretch", "Time"),
    Action("strip-wider", "minus", "The strip of time, or Flow: a longer stretch", "Time"),
    Action("copy", "y", "Copy the whole CID or peer id of what is selected", "Take"),
    Action("ticket", "Y", "Copy the ticket of what is selected, or of what was shared last", "Take"),
    Action("ticket-code", "C", "Show that ticket as a QR code, for a camera", "Take"),
    Action("screenshot", "s", "Save a picture of the screen (SVG)", "Take"),
    Action("mask", "m", "Hide ids and addresses, for an audience", "Take"),
    Action("palette", "ctrl+p", "All commands and themes, by name", "Leave"),
    Action("help", "question_mark,f1", "This: the line and the panel explained, all keys, all words", "Leave", "help"),
    Action("detach", "d", "Leave; the node runs on", "Leave"),
    Action("quit", "q,ctrl+q", "Leave; a node started here stops (during a fetch, it asks)", "Leave", "quit"),
)  # fmt: skip
NARRATED: tuple[Action, ...] = (
    Action("narrate-next", "n", "The next caption", "Story", "next"),
    Action("narrate-back", "p", "Back to the caption before, as often as you like", "Story",
           "back"),
    Action("narrate-pause", "space", "Pause the story, and resume it; the nodes do not stop",
           "Story", "pause story", on="resume story"),
)  # fmt: skip
"""The actions of a narrated dashboard. They come before all others."""

GROUPS = ("Story", "Push", "Look", "Time", "Take", "Leave")
Situation: TypeAlias = Literal["live", "frozen", "recording", "told"]
"""The situation that the footer is for: a running node, a frozen moment, a recording, a narrated demo."""
FOOTER_ORDERS: Mapping[Situation, tuple[str, ...]] = {
    "live": (
        "want", "help", "quit", "add", "freeze", "filter", "inspect", "zoom", "command", "step", "jump",
    ),
    "frozen": (
        "live", "help", "quit", "step", "inspect", "filter", "play", "zoom", "command", "want", "jump", "add",
    ),
    "recording": (
        "play", "help", "quit", "step", "inspect", "filter", "live", "freeze", "zoom", "command", "jump",
    ),
    # A person who follows a narrated demo looks around and shares nothing.
    "told": (
        "next", "back", "pause story", "help", "quit", "step", "command", "node", "freeze", "want", "filter",
        "live", "zoom", "inspect", "jump", "add",
    ),
}  # fmt: skip
"""The labels that the footer shows in each situation, the most needed first."""

JUMP = "jump"
"""The label in the footer for the first key of a sequence."""

SIGNS = {
    "slash": "/", "colon": ":", "question_mark": "?", "escape": "esc", "plus": "+", "minus": "-",
    "left_square_bracket": "[", "right_square_bracket": "]", "left_curly_bracket": "{",
    "right_curly_bracket": "}", "left_parenthesis": "(", "right_parenthesis": ")",
    "less_than_sign": "<", "greater_than_sign": ">", "comma": ",", "full_stop": ".", "semicolon": ";",
    "number_sign": "#", "at": "@", "exclamation_mark": "!", "tilde": "~", "grave_accent": "`",
    "underscore": "_", "equals_sign": "=", "apostrophe": "'", "quotation_mark": '"', "backslash": "\\",
    "ampersand": "&", "asterisk": "*", "percent_sign": "%", "dollar_sign": "$", "vertical_line": "|",
}  # fmt: skip
NAMES = {sign: name for name, sign in SIGNS.items()}
FORMER_NAMES = {"place": "next-node", "narrate-hold": "narrate-pause"}
"""Names that actions had before. Settings files and typed lines may still have them."""


class Keys:
    """The table of actions with one person's keys. The settings file can give an action other keys."""

    def __init__(self, rebound: Mapping[str, str] | None = None, *, narrated: bool = False) -> None:
        """Make the table. `rebound`: other keys, by the name or former name of the action, as in the settings file.

        `narrated`: with the actions of a narrated demo. Raises ValueError with one sentence for an unknown
        name, a bad key, or one key for two actions.
        """
        self.actions = (*(NARRATED if narrated else ()), *ACTIONS)
        self._keys = {action.name: action.keys for action in (*NARRATED, *ACTIONS)}
        for given, keys in (rebound or {}).items():
            name = FORMER_NAMES.get(given, given)
            if name not in self._keys:
                raise ValueError(f"keys: {name!r} is not an action (`?` in the dashboard lists them)")
            self._keys[name] = _normal(name, keys)
        _check_clashes(self._keys)

    def keys(self, action: Action) -> str:
        """Return the keys of an action, as Textual names them, separated by commas.

        In a narrated demo, keys that the demo's own actions take are left out.
        """
        found = self._keys[action.name]
        if len(self.actions) > len(ACTIONS) and action.group != "Story":
            taken = {key for other in NARRATED for key in self._keys[other.name].split(",")}
            found = ",".join(key for key in found.split(",") if key.partition(" ")[0] not in taken)
        return found

    def starts(self) -> list[str]:
        """Return the first keys of all sequences of two keys."""
        found = [
            key.split(" ")[0] for action in self.actions for key in self.keys(action).split(",") if " " in key
        ]
        return list(dict.fromkeys(found))

    def after(self, start: str) -> dict[str, Action]:
        """Return the second keys that may follow a first key, each with its action.

        Empty: no sequence of two keys begins with `start`.
        """
        pairs = [
            (key.partition(" "), action) for action in self.actions for key in self.keys(action).split(",")
        ]
        return {second: action for (first, _, second), action in pairs if first == start and second}

    def letter(self, name: str) -> str:
        """Return the second key of an action's sequence of two keys. Empty: the action has no such sequence."""
        action = self.named(name)
        return next((key.partition(" ")[2] for key in self.keys(action).split(",") if " " in key), "")

    def named(self, name: str) -> Action:
        """Return the action with this name. The table must have such an action."""
        return next(action for action in self.actions if action.name == name)

    def shown(self, action: Action) -> str:
        """Return the first key of an action, in the form in which a person reads keys."""
        first = self.keys(action).split(",")[0]
        return sign(first)

    def all_shown(self, action: Action) -> str:
        """Return all keys of an action, in the form in which a person reads keys."""
        keys = self.keys(action)
        return (", " if " " in keys else " ").join(sign(key) for key in keys.split(",") if key)

    def bindings(self) -> BindingsMap:
        """Return the key bindings for Textual.

        Textual's own way to rebind keys is not used: it would take a key away from every other action that
        has it.
        """
        found = [
            Binding(
                keys, f"do({action.name!r})", action.label or action.help, show=bool(action.label), tooltip=action.help,
                id=action.name, priority=action.name in PRIORITY or action.group == "Story",
            )
            for action in self.actions
            if (keys := ",".join(key for key in self._keys[action.name].split(",") if " " not in key))
        ]  # fmt: skip
        found += [Binding(start, f"begin({start!r})", JUMP, show=False) for start in self.starts()]
        return BindingsMap(found)

    def footer(self, situation: Situation = "live", on: Collection[str] = ()) -> list[tuple[int, str, str]]:
        """Return (importance, key, label) for the entries of the footer; importance 0 is the most important.

        An entry is an action that the footer shows, or the first key of sequences of two keys. `situation`:
        whether the dashboard is live, frozen and so on. `on`: the names of the actions that are switched on.
        """
        order = FOOTER_ORDERS[situation]
        by_name = {action.name: action for action in self.actions}
        found = []
        for action in self.actions:
            if action.label in order:
                keys = self.shown(action)
                if action.pair:
                    keys += f" {self.shown(by_name[action.pair])}"
                label = action.on if action.name in on else action.label
                found.append((order.index(action.label), keys, label))
        return found + [(order.index(JUMP), sign(start), JUMP) for start in self.starts()]


def action_named(name: str) -> Action | None:
    """Return the action with this name or former name. None: there is none.

    The actions that only a narrated demo has are not found.
    """
    name = FORMER_NAMES.get(name, name)
    return next((action for action in ACTIONS if action.name == name), None)


def sign(key: str) -> str:
    """Return a key, or a sequence of two keys, in the form in which a person reads keys."""
    return " ".join(SIGNS.get(part, part) for part in key.split(" "))


def _normal(name: str, keys: str) -> str:
    found = []
    for key in (word.strip() for word in keys.split(",")):
        parts = key.split()
        if not 1 <= len(parts) <= 2:
            raise ValueError(f'keys: {name} is {keys!r}, expected keys such as "x", "J s" or "ctrl+w,f5"')
        found.append(" ".join(NAMES.get(part, part) for part in parts))
    return ",".join(found)


def _check_clashes(table: Mapping[str, str]) -> None:
    taken: dict[str, str] = {}
    for action in ACTIONS:
        for key in table[action.name].split(","):
            if key in taken:
                raise ValueError(f"keys: {sign(key)!r} would do two things, {taken[key]} and {action.name}")
            taken[key] = action.name
    for key, name in taken.items():
        first, space, _ = key.partition(" ")
        if space and first in taken:
            raise ValueError(f"keys: {sign(first)!r} would do two things, {taken[first]} and begin {name}")
