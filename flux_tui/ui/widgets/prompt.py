"""The prompt at the bottom: an input for a filter, a moment or a command, with history and completion.

Errors are shown beside the line. The typed text stays.
"""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

from textual import on
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from flux_tui.core.text.plain import plain
from flux_tui.regular_files import read_regular
from flux_tui.ui.rows.view_and_lines import identifies
from flux_tui.ui.widgets.plain_text import PlainInput, PlainText

Completer = Callable[[str], list[str]]
"""Returns whole lines that begin with the typed text."""
HISTORY = 500
"""How many lines the history keeps for each kind of prompt."""
SHOWN = 8
"""How many completions are shown at a time."""


class History:
    """The lines that the person typed before.

    They are stored in the home, so the next dashboard has them too.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path
        self._lines: dict[str, list[str]] = {}
        try:
            text = read_regular(path).decode(errors="replace") if path is not None else ""
        except OSError:
            text = ""
        for line in text.splitlines():
            kind, _, typed = line.partition(" ")
            if typed:
                self._lines.setdefault(kind, []).append(typed)

    def of(self, kind: str) -> list[str]:
        """Return the lines typed before in one kind of prompt (such as `command`), the newest last."""
        return self._lines.get(kind, [])

    def add(self, kind: str, line: str) -> None:
        """Remember a typed line, unless it is empty or the same as the line before.

        If it cannot be written to the home, it is remembered only until the dashboard ends.
        """
        line = " ".join(line.split())
        lines = self._lines.setdefault(kind, [])
        if not line or (lines and lines[-1] == line):
            return
        lines.append(line)
        del lines[:-HISTORY]
        if self._path is None:
            return
        text = "".join(f"{name} {typed}\n" for name, kept in self._lines.items() for typed in kept)
        part = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            with open(descriptor, "w") as file:
                file.write(text)
            part.replace(self._path)
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                part.unlink(missing_ok=True)


class PromptInput(PlainInput):
    """The input of the prompt. Its arrow keys go through the history, and tab completes the line."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up", "history(-1)", "Before", show=False),
        Binding("down", "history(1)", "After", show=False),
        Binding("tab", "complete(1)", "Complete", show=False, priority=True),
        Binding("shift+tab", "complete(-1)", "Complete", show=False, priority=True),
        Binding("escape", "leave", "Leave", show=False),
    ]

    def action_history(self, by: int) -> None:
        """Show the line that is `by` lines later in the history, or earlier if `by` is negative."""
        self.prompt.recall(by)

    def action_complete(self, by: int) -> None:
        """Complete the typed text as far as all candidates agree, or show the next (1) or previous (-1) candidate."""
        self.prompt.complete(by)

    def action_leave(self) -> None:
        """Close the prompt without running the typed line."""
        self.prompt.leave()

    @property
    def prompt(self) -> "Prompt":
        """The Prompt widget that contains this input."""
        return next(node for node in self.ancestors if isinstance(node, Prompt))


class Prompt(Vertical):
    """The prompt, drawn over the footer. Its messages are drawn over the line above.

    It takes no room while it is closed, and no other widget moves when it opens.
    """

    class Typed(Message):
        """Message: the typed text has changed."""

        def __init__(self, kind: str, text: str) -> None:
            super().__init__()
            self.kind = kind
            self.text = text

    class Entered(Typed):
        """Message: the person pressed enter. The receiver closes the prompt, or shows an error in it."""

    class Left(Message):
        """Message: the person closed the prompt without pressing enter."""

        def __init__(self, kind: str) -> None:
            super().__init__()
            self.kind = kind

    def __init__(
        self,
        history: History | None = None,
        *,
        masked: bool = False,
        covers: Callable[[], None] = lambda: None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self.kind = ""
        """The kind of line that the prompt is open for. Empty: it is closed."""
        self.history = history or History()
        self._covers = covers
        """Called when the prompt opens and covers its line."""
        self._masked = masked
        """Whether ids, addresses and paths are hidden while they are typed."""
        self._completer: Completer | None = None
        self._back = 0
        """The number of steps back in the history. 0: the line that is being typed."""
        self._typed = ""
        self._candidates: list[str] = []
        self._candidate = -1
        self._own_change = False

    def fill(self) -> None:
        """Make the widgets in the prompt, unless they are made, or the dashboard has ended.

        The first frame does not wait for them.
        """
        if self.is_attached and not self.children:
            line = Horizontal(
                PlainText(id="prompt-label"),
                PromptInput(id="prompt-input", select_on_focus=False),
                id="prompt-line",
            )
            self.mount(PlainText(id="prompt-error"), line)

    @property
    def field(self) -> PromptInput:
        """The input in which the person types."""
        return self.query_one(PromptInput)

    def open(
        self, kind: str, label: str, hint: str, *, text: str = "", completer: Completer | None = None
    ) -> None:
        """Show the prompt and give it the focus.

        `kind`: command, goto or filter. `label`: the text before the input. `hint`: what can be typed.
        `text`: the text that the input begins with. `completer`: returns completed lines.
        """
        self.fill()
        self.kind = kind
        self._completer = completer
        self._back, self._typed = 0, text
        self._forget_candidates()
        self.display = True
        self._covers()
        self.query_one("#prompt-label", PlainText).tell(plain(label))
        self.say("")
        self.field.placeholder = hint
        self._set(text)
        # Focus now, not on a later turn: text that is typed fast or pasted must arrive here.
        self.screen.set_focus(self.field)

    def mask(self, masked: bool) -> None:
        """Hide or show ids, addresses and paths in the typed text."""
        self._masked = masked

    def close(self) -> None:
        """Hide the prompt, so that it takes no keys any more."""
        self.kind = ""
        self.display = False

    def say(self, text: str, *, bad: bool = True) -> None:
        """Show a message near the typed text. `bad`: it is an error. An empty text removes the message."""
        label = self.query_one("#prompt-error", PlainText)
        label.set_class(bad, "error")
        label.display = bool(text)
        label.tell(plain(text))

    def leave(self) -> None:
        """Close the prompt without running the typed line, and post the message Left."""
        kind = self.kind
        self.close()
        self.post_message(self.Left(kind))

    def recall(self, by: int) -> None:
        """Show the previous (-1) or next (1) line of the history that begins with the typed text.

        After the newest such line comes the typed text itself.
        """
        if self._back == 0:
            self._typed = self.field.value
        lines = [line for line in self.history.of(self.kind) if line.startswith(self._typed)]
        self._back = min(max(self._back - by, 0), len(lines))
        self._set(lines[-self._back] if self._back else self._typed)

    def complete(self, by: int) -> None:
        """Complete the typed text as far as all candidates agree.

        At further calls, show the candidates one by one. `by`: the next candidate (1) or the previous one
        (-1).
        """
        if self._completer is None:
            return
        if not self._candidates:
            self._candidates = self._completer(self.field.value)
            common = common_start(self._candidates)
            if len(common) > len(self.field.value):
                self._set(common)
                if len(self._candidates) == 1:
                    self._forget_candidates()
            self._tell_candidates()
            return
        self._candidate = (self._candidate + by) % len(self._candidates)
        self._set(self._candidates[self._candidate])
        self._tell_candidates()

    def _tell_candidates(self) -> None:
        from flux_tui.ui.typed.shell_words import last_argument  # imported at the first completion

        if len(self._candidates) > 1:
            start = max(0, self._candidate)
            words = [last_argument(line.rstrip())[1].rstrip("/").rpartition("/")[2] or line
                     for line in self._candidates[start : start + SHOWN]]  # fmt: skip
            more = len(self._candidates) - start - SHOWN
            self.say("  ".join(words) + (f"  +{more}" if more > 0 else ""), bad=False)
        else:
            self.say("", bad=False)

    def _forget_candidates(self) -> None:
        self._candidates, self._candidate = [], -1

    def _set(self, text: str) -> None:
        if self.field.value != text:
            self._own_change = True
            self.field.value = text
        self.field.password = self._masked and identifies(text)
        self.field.cursor_position = len(text)

    @on(PlainInput.Changed)
    def _changed(self, event: PlainInput.Changed) -> None:
        event.stop()
        event.input.password = self._masked and identifies(event.value)
        if self._own_change:
            self._own_change = False
        else:
            self._back = 0
            self._forget_candidates()
            self.say("")
        if self.kind:
            self.post_message(self.Typed(self.kind, event.value))

    @on(PlainInput.Submitted)
    def _submitted(self, event: PlainInput.Submitted) -> None:
        event.stop()
        if self.kind:
            self.history.add(self.kind, event.value)
        # Post this even if the prompt was closed just before: the dashboard holds back keys until it arrives.
        self.post_message(self.Entered(self.kind, event.value))


def common_start(lines: list[str]) -> str:
    """Return the longest text with which all lines begin."""
    low, high = min(lines, default=""), max(lines, default="")
    length = next((at for at, (a, b) in enumerate(zip(low, high, strict=False)) if a != b), None)
    return low if length is None else low[:length]
