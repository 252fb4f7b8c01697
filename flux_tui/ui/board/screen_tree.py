"""Arranges the widgets of the dashboard inside each other."""

from collections.abc import Mapping
from typing import TypeVar

from textual.app import ComposeResult
from textual.containers import Container
from textual.widget import Widget

from flux_tui.ui.board.panels import Panels
from flux_tui.ui.board.status_lines import StatusLines
from flux_tui.ui.board.timeline_strip import TimelineStrip
from flux_tui.ui.widgets.caption_strip import CaptionStrip
from flux_tui.ui.widgets.panel_layout import OVER
from flux_tui.ui.widgets.prompt import Prompt

Part = TypeVar("Part", bound=Widget)


class ScreenTree:
    """Arranges the widgets of the other parts on the screen. `caption`: None if there is no narrated demo."""

    def __init__(
        self,
        panels: Panels,
        lines: StatusLines,
        timeline: TimelineStrip,
        prompt: Prompt,
        caption: CaptionStrip | None,
    ) -> None:
        self._panels = panels
        self._lines = lines
        self._timeline = timeline
        self._prompt = prompt
        self._caption = caption

    def compose(self, classes: Mapping[str, set[str]]) -> ComposeResult:
        """Yield all widgets, from top to bottom.

        `classes`: the CSS classes of each panel and container, by its id. They depend on the terminal's size.
        """

        def shaped(part: Part) -> Part:
            return part.add_class(*classes[part.id or ""])

        panel = self._panels.panel
        yield self._lines.header
        yield self._lines.tabs
        yield self._lines.trouble
        with Container(id="main"):
            with shaped(Container(id="top")):
                with shaped(Container(id="left")):
                    yield shaped(panel("series"))
                with shaped(Container(id="right")):
                    yield shaped(panel("pending"))
                    yield shaped(panel("noes"))
                    yield shaped(panel("retries"))
                with shaped(Container(id="over")):
                    for name in OVER:
                        yield shaped(panel(name))
            with shaped(Container(id="bottom")):
                yield shaped(panel("peers"))
                yield shaped(panel("throughput"))
        yield self._lines.next_steps
        yield self._timeline.widget
        yield self._prompt
        if self._caption is not None:
            yield self._caption
        yield self._lines.footer
