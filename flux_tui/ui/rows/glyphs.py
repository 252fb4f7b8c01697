"""The signs for kinds of entries and for reasons.

Each has a sign, a word and a colour, so that one is enough.
"""

import locale
import os
from typing import Literal, NamedTuple, TypeAlias

from flux_tui.core.series.events import Reason

Role: TypeAlias = Literal[
    "text",
    "dim",
    "strong",
    "accent",
    "good",
    "warn",
    "bad",
    "in",
    "out",
    "name",
    "peer",
    "time",
    "bar",
    "rail",
]
"""The role of a piece of text, by which the theme colours it."""


class Sign(NamedTuple):
    """The sign for a kind of entry or a reason: in Unicode, in ASCII, and the role by which the theme colours it."""

    glyph: str
    plain: str
    """The glyph in ASCII."""
    role: Role


KINDS: dict[str, Sign] = {
    "requested": Sign("→", ">", "accent"),
    "pushed_want": Sign("→", ">", "out"),
    "pushed_have": Sign("→", ">", "out"),
    "records_provided": Sign("→", ">", "out"),
    "went_dormant": Sign("☾", "z", "dim"),
    "retry_set": Sign("↻", "~", "warn"),
    "granted": Sign("⇒", "=", "out"),
    "lease_extended": Sign("⇢", "=", "warn"),
    "lease_lapsed": Sign("⇍", "x", "warn"),
    "cancelled": Sign("⊘", "x", "warn"),
    "delayed_yes": Sign("←", "<", "good"),
    "status_no": Sign("✗", "!", "bad"),
    "chunk_received": Sign("↓", "v", "in"),
    "chunk_wasted": Sign("↯", "v", "warn"),
    "have_received": Sign("←", "<", "good"),
    "error_received": Sign("←", "!", "bad"),
    "chunks_lost": Sign("∅", "!", "bad"),
    "intent_received": Sign("◂", "<", "accent"),
    "answered_later": Sign("▸", ">", "good"),
    "answered_no": Sign("▸", ">", "bad"),
    "grant_received": Sign("◂", "<", "out"),
    "cancel_received": Sign("◂", "<", "warn"),
    "chunks_sent": Sign("↑", "^", "out"),
    "pushed_custom": Sign("→", ">", "accent"),
    "custom_received": Sign("←", "<", "accent"),
    "peer_connected": Sign("●", "+", "good"),
    "peer_moved": Sign("◐", ">", "accent"),
    "heard_nobody": Sign("◌", "?", "warn"),
    "addrs_told": Sign("◉", "*", "dim"),
    "name_suggested": Sign("✎", "~", "dim"),
    "series_pruned": Sign("✂", "-", "dim"),
    "peer_disconnected": Sign("○", "-", "dim"),
    "peer_faulted": Sign("▲", "!", "bad"),
    "object_added": Sign("+", "+", "good"),
    "object_removed": Sign("⊘", "x", "warn"),
    "object_freed": Sign("∅", "-", "dim"),
    "add_cancelled": Sign("⊘", "x", "warn"),
    "object_mapped": Sign("≡", "=", "dim"),
    "object_completed": Sign("✓", "*", "good"),
    "add_progressed": Sign("…", ".", "dim"),
    "hold_requested": Sign("▣", "@", "accent"),
    "pushed_hold": Sign("→", ">", "out"),
    "can_hold": Sign("←", "<", "good"),
    "pushed_keep": Sign("⇒", "=", "out"),
    "held": Sign("▣", "@", "good"),
    "replica_lost": Sign("⇍", "x", "warn"),
    "released": Sign("⊘", "x", "warn"),
    "offered_hold": Sign("▸", ">", "good"),
    "keep_received": Sign("◂", "@", "good"),
    "replica_wanted": Sign("◂", "<", "out"),
    "release_received": Sign("◂", "<", "warn"),
    "replica_dropped": Sign("⊘", "x", "warn"),
    "replica_adopted": Sign("▣", "@", "good"),
    "object_refused": Sign("⊘", "x", "warn"),
    "object_discarded": Sign("∅", "-", "dim"),
    "replica_evicted": Sign("∅", "-", "dim"),
    "node_started": Sign("◉", "*", "strong"),
    "node_stopped": Sign("◎", "*", "strong"),
    "clock_stepped": Sign("◷", "@", "warn"),
    "message_passed_over": Sign("?", "?", "dim"),
    "clock_differs": Sign("◷", "@", "warn"),
    "addrs_changed": Sign("◉", "*", "dim"),
    "policy_changed": Sign("◇", "*", "accent"),
    "error": Sign("▲", "!", "bad"),
}
UNKNOWN = Sign("?", "?", "dim")

REASON_SIGNS: dict[Reason, Sign] = {
    "rate_limited": Sign("◔", "%", "warn"),
    "busy": Sign("◼", "#", "warn"),
    "low_space": Sign("▣", "@", "accent"),
    "not_held": Sign("∅", "n", "dim"),
    "denied": Sign("⊘", "x", "bad"),
    "too_large": Sign("⤒", "^", "bad"),
    "shutting_down": Sign("◌", "_", "accent"),
}
REASON_SHORT: dict[Reason, str] = {
    "rate_limited": "rate",
    "busy": "busy",
    "low_space": "space",
    "not_held": "not held",
    "denied": "denied",
    "too_large": "large",
    "shutting_down": "leaving",
}


class Glyphs:
    """The signs for this terminal: in Unicode where the terminal can show it, otherwise in ASCII."""

    def __init__(self, *, unicode: bool) -> None:
        self.unicode = unicode
        self.blocks = " ▁▂▃▄▅▆▇█" if unicode else " .:-=+*#@"
        self.full, self.empty = ("█", "░") if unicode else ("#", ".")
        self.half = "▌" if unicode else "="
        self.dot, self.ring, self.pause = ("●", "○", "❚❚") if unicode else ("*", "o", "||")
        self.down, self.up = ("↓", "↑") if unicode else ("v", "^")
        self.dash, self.times = ("–", "×") if unicode else ("-", "x")  # noqa: RUF001
        self.cursor, self.quiet = ("┃", "·") if unicode else ("|", ".")
        self.mark, self.here = ("◆", "▌") if unicode else ("+", ">")
        self.falling, self.rising = ("▼", "▲") if unicode else ("v", "^")
        self.play, self.ellipsis = ("▶", "…") if unicode else (">", "~")

    def kind(self, kind: str) -> Sign:
        """Return the sign for a kind of entry, or UNKNOWN if the kind has no sign."""
        return KINDS.get(kind, UNKNOWN)

    def glyph(self, sign: Sign) -> str:
        """Return the character of a sign, in Unicode or ASCII as the terminal needs. It is one column wide."""
        return sign.glyph if self.unicode else sign.plain

    def bar(self, share: float, width: int) -> str:
        """Draw a progress bar of `width` columns. `share`: the part that is full, from 0 to 1."""
        share = min(max(share, 0.0), 1.0)
        whole = int(share * width)
        half = self.half if whole < width and share * width - whole >= 0.5 else ""
        return self.full * whole + half + self.empty * (width - whole - len(half))

    def chart(self, values: list[float], height: int, top: float | None = None) -> list[str]:
        """Draw a bar chart of `height` lines, with one column for each value.

        Return its lines, the top line first. The full height stands for `top` (None: the largest value). A
        larger value is drawn at full height.
        """
        highest = max(values, default=0.0) if top is None else top
        steps = len(self.blocks) - 1
        heights = [
            min(height * steps, max(1, round(value / highest * height * steps))) if value > 0 < highest else 0
            for value in values
        ]
        return [
            "".join(self.blocks[min(steps, max(0, tall - level * steps))] for tall in heights)
            for level in reversed(range(height))
        ]

    def spark(self, values: list[float], top: float | None = None) -> str:
        """Draw a bar chart of one line, with one character for each value.

        The full height of a character stands for `top` (None: the largest value). A larger value is drawn at
        full height.
        """
        highest = max(values, default=0.0) if top is None else top
        if highest <= 0:
            return self.blocks[0] * len(values)
        steps = len(self.blocks) - 1
        return "".join(
            self.blocks[min(steps, max(1, round(value / highest * steps)))] if value > 0 else self.blocks[0]
            for value in values
        )


def for_this_terminal(plain: bool = False) -> Glyphs:
    """Return the signs for this terminal: in ASCII if the setting or the locale says so, otherwise in Unicode.

    The setting is `plain` or the variable FLUX_TUI_ASCII.
    """
    if plain or os.environ.get("FLUX_TUI_ASCII"):
        return Glyphs(unicode=False)
    if os.environ.get("LC_ALL") in ("C", "POSIX"):
        return Glyphs(unicode=False)  # Python reports UTF-8 for these locales, too (PEP 540)
    encoding = (locale.getpreferredencoding(False) or "").lower().replace("-", "")
    return Glyphs(unicode=encoding in ("utf8", "utf_8") or not encoding)


def reason_words(reason: Reason, glyphs: Glyphs, *, short: bool = True) -> str:
    """Return a NO's reason as text: its sign and its word. `short`: with the shorter word."""
    return f"{glyphs.glyph(REASON_SIGNS[reason])} {REASON_SHORT[reason] if short else reason}"
