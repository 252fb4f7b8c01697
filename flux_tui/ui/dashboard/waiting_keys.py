"""Keys that came while a line was being read from the prompt."""

from textual import events


class WaitingKeys:
    """Keeps keys until it is known what has the focus after a line was entered."""

    def __init__(self) -> None:
        self._keys: list[events.Key] | None = None
        """None: no line is being read."""

    def begin(self) -> None:
        """Begin to keep keys, because a line was entered."""
        self._keys = []

    def take(self, key: events.Key) -> bool:
        """Keep a key, if a line is being read. Return whether it was kept."""
        if self._keys is None:
            return False
        self._keys.append(key)
        return True

    def end(self) -> list[events.Key]:
        """Return the keys, in the order in which they came, as new events. No more are kept."""
        keys, self._keys = self._keys or [], None
        return [events.Key(key.key, key.character) for key in keys]
