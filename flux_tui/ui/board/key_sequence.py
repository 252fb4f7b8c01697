"""Keys of two strokes, such as `J s`: which first key was pressed."""

from collections.abc import Callable

from flux_tui.ui.keys import Action, Keys


class KeySequence:
    """Remembers the first key of a sequence. `changed` is called when there is one, or none any more."""

    def __init__(self, keys: Keys, changed: Callable[[], None]) -> None:
        self._keys = keys
        self._changed = changed
        self._first = ""

    @property
    def first(self) -> str:
        """The first key, as Textual names it. Empty: no sequence has begun."""
        return self._first

    def begin(self, first: str) -> None:
        """Begin a sequence."""
        self._first = first
        self._changed()

    def end(self, second: str = "") -> Action | None:
        """End the sequence with its second key. Return the action of both. Any unknown key ends it, too."""
        if not self._first:
            return None
        action = self._keys.after(self._first).get(second)
        self._first = ""
        self._changed()
        return action
