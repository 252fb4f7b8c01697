"""The strip above the footer that shows the caption of a narrated demo.

A caption takes one to three lines. The strip also says when the demo is paused, or an earlier caption is
shown. The keys that change the caption are in the footer.
"""

from textual.strip import Strip
from typing_extensions import override

from flux_tui.core.text.plain import plain_lines
from flux_tui.core.text.quantities import counted
from flux_tui.ui.keys import NARRATED, Keys
from flux_tui.ui.rows.cell_width import wrapped
from flux_tui.ui.rows.glyphs import Glyphs
from flux_tui.ui.rows.view_and_lines import Line, span, wide
from flux_tui.ui.watching.captions import Caption
from flux_tui.ui.widgets.line_strips import LineStrip

MIN_LINES, MAX_LINES = 2, 3


class CaptionStrip(LineStrip):
    """The strip with the caption.

    It is as high as the longest caption so far, so that the panels do not move.
    """

    def __init__(self, keys: Keys, signs: Glyphs, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._keys = keys
        self._signs = signs
        self._lines: list[Line] = []
        self._height = (0, MIN_LINES)
        """The width of the terminal, and the lines that the strip has taken at that width."""

    def tell(self, caption: Caption) -> None:
        """Show this caption."""
        place = f"{caption.step}/{caption.steps} "
        lines = wrapped(plain_lines(*caption.text.split("\n")), max(20, self.size.width - len(place) - 3))[
            :MAX_LINES
        ]
        shown: list[Line] = [
            [span(f" {place}" if not number else " " * (len(place) + 1), "accent"), span(text, "strong")]
            for number, text in enumerate(lines)
        ]
        waits = self._waits(caption)
        if waits and shown:
            pause: Line = [span(f"   {waits}", "warn" if caption.paused else "good")]
            if wide([*shown[-1], *pause]) <= self.size.width:
                shown[-1] = [*shown[-1], *pause]
            else:
                shown.append([span(" " * (len(place) - 2), "text"), *pause])
        width, tall = self._height
        tall = max(len(shown), tall if width == self.size.width else MIN_LINES)
        if (self.size.width, tall) != self._height:
            self._height = self.size.width, tall
            self.styles.height = tall
        if shown != self._lines:
            self._lines = shown
            self.refresh()

    def _waits(self, caption: Caption) -> str:
        """Return a text that says why the demo does not go on by itself, and which key makes it go on.

        Empty: it goes on.
        """
        keys = {action.name: self._keys.shown(action) for action in NARRATED}
        if caption.back:
            back = counted(caption.back, "caption")
            return f"{back} back: {keys['narrate-next']} next, {keys['narrate-pause']} to the newest"
        if caption.paused:
            return f"paused; the nodes are not: {keys['narrate-pause']} resumes the story"
        enter = self._keys.shown(self._keys.named("inspect"))
        return f"{self._signs.play} press {enter}: {caption.press}" if caption.press else ""

    @override
    def render_line(self, y: int) -> Strip:
        return self.drawn(self._lines[y] if y < len(self._lines) else [])
