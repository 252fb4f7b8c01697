"""Keeps keys that a person pressed right after enter, while the entered line is being run."""

from textual import events


class WaitingKeys:
    """Keeps keys that come after a line was entered, until it is known which widget has the focus."""

    def __init__(self) -> None:
        self._keys: list[events.Key] | None = None
        """None: no line is being read."""

    def begin(self) -> None:
        """Begin to keep keys, because a line was entered."""
        self._keys = []

    def take(self, key: events.Key) -> bool:
        """Keep a key, if an entered line is still being run. Return whether the key was kept."""
        if self._keys is None:
            return False
        self._keys.append(key)
        return True

    def end(self) -> list[events.Key]:
        """Return the keys that were kept, in their order, as new events. From now on no keys are kept."""
        keys, self._keys = self._keys or [], None
        return [events.Key(key.key, key.character) for key in keys]
