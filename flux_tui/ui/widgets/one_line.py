"""One-line widgets: the header, the tabs of a small terminal, the strip of time, the footer."""

from collections.abc import Sequence

from textual.events import Click, MouseDown, MouseMove
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from typing_extensions import override

from flux_tui.ui.rows.cell_width import width
from flux_tui.ui.rows.view import Line, merged, span
from flux_tui.ui.widgets.plain_text import segment
from flux_tui.ui.widgets.span_styles import SpanStyles


class LineStrip(Widget):
    """One line of spans. It is drawn only when it changed."""

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._line: Line = []
        self._span_styles = SpanStyles(self)

    @override
    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._span_styles.check()

    def show(self, line: Line) -> None:
        """Replace the line."""
        line = merged(line)
        if line != self._line:
            self._line = line
            self.refresh()

    @override
    def render_line(self, y: int) -> Strip:
        return self.drawn(self._line)

    def drawn(self, line: Line) -> Strip:
        """Draw a line as wide as this widget."""
        segments = [segment(text, self._span_styles.role(role)) for text, role in line]
        return Strip(segments).crop_extend(0, self.size.width, self.rich_style)


class TimeStrip(LineStrip):
    """The strip of time. A click or a drag moves the cursor there."""

    class Moved(Message):
        """The person chose a column of the strip."""

        def __init__(self, x: int) -> None:
            super().__init__()
            self.x = x

    def on_mouse_down(self, event: MouseDown) -> None:
        """Move the cursor there, and begin a drag."""
        self.capture_mouse()
        self.post_message(self.Moved(event.x))

    def on_mouse_move(self, event: MouseMove) -> None:
        """Move the cursor along while a button is held."""
        if event.button:
            self.post_message(self.Moved(event.x))

    def on_mouse_up(self) -> None:
        """End the drag."""
        self.release_mouse()


class Keybar(LineStrip):
    """The footer. A click on a key does what the key does."""

    class Picked(Message):
        """The person clicked a key."""

        def __init__(self, label: str) -> None:
            super().__init__()
            self.label = label

    def on_click(self, event: Click) -> None:
        """Pick what was clicked."""
        end = 0
        for text, role in self._line:
            end += width(text)
            if event.x < end and role == "dim":
                self.post_message(self.Picked(text.strip()))
                break


class Tabs(LineStrip):
    """The tabs: panels by number and name, for terminals where not all panels fit."""

    class Picked(Message):
        """The person clicked a tab."""

        def __init__(self, number: int) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *names: Sequence[str], id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._names = names
        """The names of all panels, first the longest: the first that fit are used, or else the last."""
        self._ends: list[int] = []

    def show_current(self, current: int) -> None:
        """Mark the tab of the current panel."""
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
        """Pick what was clicked."""
        for number, end in enumerate(self._ends, 1):
            if event.x < end:
                self.post_message(self.Picked(number))
                break
