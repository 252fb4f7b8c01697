"""How text gets into Textual's own widgets: as it is, without markup, and only if it can be shown.

All that Textual draws goes through here: `segment` for a span of a panel, `Words` for a text in place, `Field` for
what is typed, `content` for the title of a border. The linter refuses Textual's own elsewhere. Underneath lies
`Guard`, which every line passes on its way to the terminal; nothing should be left for it to do.
"""

from typing import Any

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.color import Color
from textual.content import Content
from textual.filter import LineFilter
from textual.widgets import Input, Static

from flux_tui.core.text.plain import Plain, plain, plain_in_place

NOTHING = plain("")
MAX_PASTED = 64 * 1024
"""Characters that a line takes at once; more would make each key slow."""


class Words(Static):
    """A text as it is."""

    def __init__(self, text: Plain = NOTHING, **options: Any) -> None:
        super().__init__(text, markup=False, **options)

    def tell(self, text: Plain) -> None:
        """Replace the text."""
        if str(self.content) != text:
            self.update(text)


class Field(Input):
    """A line that is typed. Its value stays exact, as it may be a path; what is drawn of it is plain."""

    @property
    def _value(self) -> Text:
        if self.password:
            return super()._value
        return Text(plain_in_place(self.value), no_wrap=True, overflow="ignore", end="")

    def pasted(self, text: str) -> str:
        """What a pasted text becomes in this line."""
        return " ".join(text.split())

    def take(self, text: str) -> None:
        """Paste a text: all of its lines, not the first one only."""
        if len(text) > MAX_PASTED:
            self.notify(f"that is too long for a line: {len(text):,} characters", severity="warning")
            return
        line = self.pasted(text)
        if self.selection.is_empty:
            self.insert_text_at_cursor(line)
        else:
            self.replace(line, *self.selection)

    def _on_paste(self, event: events.Paste) -> None:
        self.take(event.text)
        event.prevent_default()
        event.stop()


def segment(text: Plain, style: Style) -> Segment:
    """A piece of a line as Textual draws it."""
    return Segment(text, style)


def content(text: Plain) -> Content:
    """A text for the border of a widget: text alone would be taken for markup there."""
    return Content(text)


def assembled(parts: list[tuple[Plain, str]]) -> Content:
    """The same of several texts, each with a style."""
    return Content.assemble(*parts)


class Guard(LineFilter):
    """Lets nothing that steers a terminal out of any widget, Textual's own included. A line keeps its width."""

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        width = sum(cell_len(segment.text) for segment in segments)
        shown = [Segment(plain_in_place(text), style) for text, style, _ in segments]
        return Segment.adjust_line_length(shown, width)
