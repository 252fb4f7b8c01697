"""Passes text to Textual's widgets as plain text, without markup or control characters.

Everything that Textual draws goes through here: `segment` for a span of a panel, `PlainText` for a fixed
text, `PlainInput` for typed text, `content` for the title of a border. The linter forbids Textual's own
classes elsewhere. `ControlFilter` also checks every line on its way to the terminal; it should find nothing.
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
from typing_extensions import override

from flux_tui.core.text.plain import Plain, plain, plain_in_place

NOTHING = plain("")
MAX_PASTED = 64 * 1024
"""The longest text that a line accepts at once. A longer one would make each key slow."""


class PlainText(Static):
    """A widget that shows a text without interpreting markup in it."""

    def __init__(self, text: Plain = NOTHING, **options: Any) -> None:
        super().__init__(text, markup=False, **options)

    def tell(self, text: Plain) -> None:
        """Replace the text of this widget."""
        if str(self.content) != text:
            self.update(text)


class PlainInput(Input):
    """An input. Its value stays exactly as typed, because it may be a path.

    Only the drawn text is made plain.
    """

    @property
    def _value(self) -> Text:
        if self.password:
            return super()._value
        return Text(plain_in_place(self.value), no_wrap=True, overflow="ignore", end="")

    def pasted(self, text: str) -> str:
        """Return the text to insert into the input for a pasted text. Subclasses may change it.

        Here, line breaks and repeated spaces become one space.
        """
        return " ".join(text.split())

    def take(self, text: str) -> None:
        """Insert a pasted text with all of its lines, not only the first one. Selected text is replaced by it.

        A text of more than MAX_PASTED characters is not inserted; a notice says so.
        """
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
    """Return a piece of a line as the object that Textual draws."""
    return Segment(text, style)


def content(text: Plain) -> Content:
    """Return a text for the border of a widget. Textual would parse a bare string as markup."""
    return Content(text)


def assembled(parts: list[tuple[Plain, str]]) -> Content:
    """Return one text for the border of a widget, made of parts that each have a style."""
    return Content.assemble(*parts)


class ControlFilter(LineFilter):
    """A line filter that replaces control characters in every drawn line, Textual's lines included.

    The width of the line stays the same.
    """

    @override
    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        if all(segment.text.isprintable() for segment in segments):
            return segments
        width = sum(cell_len(segment.text) for segment in segments)
        shown = [Segment(plain_in_place(text), style) for text, style, _ in segments]
        return Segment.adjust_line_length(shown, width)
