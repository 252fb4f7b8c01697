"""The dashboard's own themes, besides Textual's: dark, light, high contrast, and one for red-green blindness.

Every reason for a NO has a sign and a word besides its colour, so any theme works. Textual's `ansi-dark` and
`ansi-light` use the colours of the terminal.
"""

from textual.theme import Theme

THEMES = (
    Theme(
        name="flux", primary="#4aa8ff", secondary="#7a9cc6", accent="#ffb454", warning="#ffb454",
        error="#ff6b6b", success="#7fd88f", foreground="#d8dee9", background="#0f1319", surface="#171c24",
        panel="#1c2530", dark=True,
    ),
    Theme(
        name="flux-light", primary="#0b63c5", secondary="#3a5f8f", accent="#9a5b00", warning="#9a5b00",
        error="#c0262d", success="#1f7a33", foreground="#1d2430", background="#fbfbf8", surface="#f1f1ec",
        panel="#e4e8ee", dark=False,
    ),
    Theme(
        name="contrast", primary="#66d9ff", secondary="#ffffff", accent="#ffff00", warning="#ffff00",
        error="#ff8080", success="#66ff66", foreground="#ffffff", background="#000000", surface="#000000",
        panel="#202020", dark=True, variables={"text-muted": "#d0d0d0", "surface-lighten-2": "#909090"},
    ),
    Theme(
        name="blue-orange", primary="#56b4e9", secondary="#a6c8e8", accent="#e69f00", warning="#f0e442",
        error="#ff8c3b", success="#56b4e9", foreground="#e4e4e4", background="#101418", surface="#181d23",
        panel="#1f2730", dark=True,
    ),
)  # fmt: skip
"""The themes. The first is the default."""
