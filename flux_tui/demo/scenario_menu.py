"""The demo's menu: a person chooses a scenario, watches it, and comes back to the menu."""

from contextlib import closing
from pathlib import Path

from flux_tui.core.text.plain import plain
from flux_tui.demo.narrated_dashboard import show
from flux_tui.demo.scenario import load, names
from flux_tui.demo.swarm_control import NodesProcess
from flux_tui.ui.choice_menu import Menu, MenuEntry

TITLE = plain("flux-tui: demos with real nodes on this machine")
WORDS = (
    ("push", "a node sends an intent (I want this file) to many at once, and waits for none of them"),
    ("append", "whatever comes back is one more line in its series: answers, chunks, failures"),
    ("derive", "what it knows is computed from that series; each panel is such a computation"),
    ("NO", "a refusal is a line like any other: who, why, and when to ask again"),
)


def play_from_menu(*, speed: float, auto: bool, crash_log: Path) -> None:
    """Show the menu and play each scenario that the person chooses, until the person leaves the menu.

    `speed`: divides the reading time of captions. `auto`: do not wait for keys. `crash_log`: where errors are
    written.
    """
    entries = [MenuEntry(name, load(name).about, load(name).lasts) for name in names()]
    chosen, note, done = entries[0].name, "", set[str]()
    while True:
        # It imports libp2p while the person reads the menu.
        with closing(NodesProcess()) as nodes:
            nodes.open()
            picked = Menu(TITLE, WORDS, entries, selected=chosen, done=done, note=note).run_in_terminal()
            if picked is None:
                return
            error = show(load(picked), speed=speed, auto=auto, menu=True, nodes=nodes, crash_log=crash_log)
        note = f"{picked} did not finish: {error}" if error is not None else ""
        done.add(picked)
        following = [entry.name for entry in entries if entry.name not in done]
        chosen = picked if error is not None or not following else following[0]
