"""The widgets of one line each: header, tabs of a small terminal, timeline, footer."""

from collections.abc import Sequence

from textual.events import Click, MouseDown, MouseMove
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from typing_extensions import override

from flux_tui.ui.rows.cell_width import width
from flux_tui.ui.rows.view_and_lines import Line, merged, span
from flux_tui.ui.widgets.plain_text import segment
from flux_tui.ui.widgets.span_styles import SpanStyles


class LineStrip(Widget):
    """A widget that shows one line of spans (text with colours). It is drawn only when the line has changed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._line: Line = []
        self._span_styles = SpanStyles(self)

    @override
    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._span_styles.check()

    def show(self, line: Line) -> None:
        """Replace the line of this widget."""
        line = merged(line)
        if line != self._line:
            self._line = line
            self.refresh()

    @override
    def render_line(self, y: int) -> Strip:
        return self.drawn(self._line)

    def drawn(self, line: Line) -> Strip:
        """Return a line as Textual draws it, as wide as this widget."""
        segments = [segment(text, self._span_styles.role(role)) for text, role in line]
        return Strip(segments).crop_extend(0, self.size.width, self.rich_style)


class TimeStrip(LineStrip):
    """The timeline. A click or a drag on it moves the cursor in time."""

    class Moved(Message):
        """Message: the person clicked or dragged to a column of the timeline."""

        def __init__(self, x: int) -> None:
            super().__init__()
            self.x = x

    def on_mouse_down(self, event: MouseDown) -> None:
        """Move the cursor to the moment of the clicked column, and begin a drag."""
        self.capture_mouse()
        self.post_message(self.Moved(event.x))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Move the cursor in time to the mouse, while a mouse button is held."""
        if event.button:
            self.post_message(self.Moved(event.x))

    def on_mouse_up(self) -> None:
        """End the drag that began when the mouse button was pressed."""
        self.release_mouse()


class Keybar(LineStrip):
    """The footer with keys and their labels. A click on a key has the same effect as the key."""

    class Picked(Message):
        """Message: the person clicked a key in the footer, or its label."""

        def __init__(self, label: str) -> None:
            super().__init__()
            self.label = label

    def on_click(self, event: Click) -> None:
        """Post a message with the label that was clicked in the footer, or that follows the clicked key."""
        end = 0
        for text, role in self._line:
            end += width(text)
            if event.x < end and role == "dim":
                self.post_message(self.Picked(text.strip()))
                break


class Tabs(LineStrip):
    """The tabs: the names and numbers of all panels, for terminals where not all panels fit."""

    class Picked(Message):
        """Message: the person clicked the tab of a panel."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *names: Sequence[str], id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._names = names
        """The names of all panels, first the longest: the first that fit are used, or else the last."""
        self._ends: list[int] = []

    def show_current(self, current: int) -> None:
        """Highlight the tab of the current panel. `current`: its number, from 1."""
        line: Line = []
        self._ends = []
        fitting = (
            names for names in self._names if self.size.width >= sum(len(name) + 3 for name in names) + 1
        )
        names = next(fitting, self._names[-1])
        for number, name in enumerate(names, 1):
            text = f" {number} {name}"
            line.append(span(text, "accent" if number == current else "dim"))
            self._ends.append((self._ends[-1] if self._ends else 0) + len(text))
        self.show(line)

    def on_click(self, event: Click) -> None:
        """Post a message with the number of the panel whose tab was clicked."""
        for number, end in enumerate(self._ends, 1):
            if event.x < end:
                self.post_message(self.Picked(number))
                break
