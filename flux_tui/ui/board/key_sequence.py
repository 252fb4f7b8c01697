"""Keys of two strokes, such as `J s`: remembers that the first key was pressed."""

from collections.abc import Callable

from flux_tui.ui.keys import Action, Keys


class KeySequence:
    """Remembers the first key of a sequence of two keys. `changed` is called when a sequence begins or ends."""

    def __init__(self, keys: Keys, changed: Callable[[], None]) -> None:
        self._keys = keys
        self._changed = changed
        self._first = ""

    @property
    def first(self) -> str:
        """The first key of the sequence that has begun, as Textual names it. Empty: no sequence has begun."""
        return self._first

    def begin(self, first: str) -> None:
        """Remember the first key of a sequence, until the second key is pressed."""
        self._first = first
        self._changed()

    def end(self, second: str = "") -> Action | None:
        """End the sequence with its second key. Return the action of both keys. None: they have no action.

        `second` is empty if the sequence ends without a second key.
        """
        if not self._first:
            return None
        action = self._keys.after(self._first).get(second)
        self._first = ""
        self._changed()
        return action
