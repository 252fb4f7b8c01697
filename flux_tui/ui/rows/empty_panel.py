"""The text that an empty panel shows. It names the keys to press as this person has bound them. Pure."""

from flux_tui.core.text.plain import Plain, plain_lines
from flux_tui.ui.keys import Keys
from flux_tui.ui.series.filter import Filter, unknown_words

WORDS = {
    "series": "Nothing has happened yet.\nPress {want} to want something, {add} to share a file.",
    "pending": "Nothing is wanted.\nPress {want} and paste a ticket or a CID.",
    "noes": "Nobody has said NO.",
    "retries": "Nothing waits to be pushed again.",
    "peers": (
        "No peer yet.\nShare with {add} and give the ticket to another machine,\n"
        "or :join\u00a0ADDRESS, which flux-tui\u00a0state prints there."
    ),
    "throughput": "",
    "flow": "Nothing was said here.\nPress {want} to want something: the want leaves this node, and answers come back.",
    "objects": "Nothing is here yet.\nPress {want} to want something, {add} to share a file.",
}
RECORDED = {
    "series": "Nothing had happened yet.",
    "pending": "Nothing was wanted at this moment.",
    "peers": "There was no peer at this moment.",
    "flow": "Nothing was said in this stretch of time.",
    "objects": "There was no object at this moment.",
}
"""The texts for a recording, into which nothing can be pushed."""
UNMATCHED = "Nothing matches the filter; {clear} leaves it."


def empty_words(name: str, keys: Keys, *, recording: bool, filtered: Filter) -> Plain:
    """Return the text that the panel with this name shows when it is empty.

    `recording`: no node writes the shown series. `filtered`: the panel's filter. If it is not empty, the text
    says that nothing passes it, and which of its words are unknown.
    """
    text = RECORDED.get(name, WORDS[name]) if recording else WORDS[name]
    text = UNMATCHED if filtered else text
    text = text.format_map({name: keys.shown(keys.named(name)) for name in ("want", "add", "clear")})
    return plain_lines(*unknown_words(filtered), *text.split("\n"))
