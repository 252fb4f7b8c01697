"""What a narrator says, above the footer: one to three lines, with the keys that turn its pages."""

from rich.segment import Segment
from textual.strip import Strip

from flux_tui.ui.keys import NARRATED, Keys
from flux_tui.ui.panels.lines import wrapped
from flux_tui.ui.panels.strips import LineStrip
from flux_tui.ui.place import Caption
from flux_tui.ui.view import Line

MAX_LINES = 3


class CaptionStrip(LineStrip):
    """As high as what is said, up to MAX_LINES."""

    def __init__(self, keys: Keys, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._keys = keys
        self._lines: list[Line] = []

    def tell(self, caption: Caption) -> None:
        """Say it."""
        place = f"{caption.step}/{caption.steps} "
        lines = wrapped(caption.text, max(20, self.size.width - len(place) - 3))[:MAX_LINES]
        shown: list[Line] = [
            [(f" {place}" if not number else " " * (len(place) + 1), "accent"), (text, "strong")]
            for number, text in enumerate(lines)
        ]
        keys: Line = [(" ", "text")]
        for action in NARRATED:
            label = "go on" if action.label == "hold" and caption.held else action.label
            keys += [(self._keys.shown(action), "accent"), (f" {label}  ", "dim")]
        if caption.held:
            keys.append(("held", "warn"))
        used = sum(len(text) for text, _ in shown[-1]) if shown else 0
        width = sum(len(text) for text, _ in keys)
        if used + width + 1 <= self.size.width and shown:
            shown[-1] = [*shown[-1], (" " * (self.size.width - used - width), "text"), *keys]
        elif len(shown) < MAX_LINES:
            shown.append(keys)
        if shown != self._lines:
            if len(shown) != len(self._lines):
                self.styles.height = len(shown)
            self._lines = shown
            self.refresh()

    def render_line(self, y: int) -> Strip:
        line = self._lines[y] if y < len(self._lines) else []
        segments = [Segment(self.signs.plain(text), self._role(role)) for text, role in line]
        return Strip(segments).crop_extend(0, self.size.width, self.rich_style)
