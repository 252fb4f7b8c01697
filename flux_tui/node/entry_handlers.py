"""The functions of a program that are called for each durable entry of a kind."""

import logging
from collections.abc import Callable, Sequence

from flux_tui.core.api import inputs as inp
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event
from flux_tui.node.engine import Engine

log = logging.getLogger(__name__)

Handler = Callable[[Entry], None]


class Handlers:
    """The handlers of one node: by the kind of entry and, for custom messages, by the kind of message."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_tag: dict[str, list[Handler]] = {}

    def add(self, tag: str, handler: Handler) -> None:
        """Call `handler` for each entry with this tag, the name of an entry's kind."""
        self._by_tag.setdefault(tag, []).append(handler)

    def add_custom(self, kind: str, handler: Handler) -> None:
        """Call `handler` for each custom message of this kind that the node receives."""
        self.add(f"{ev.kind_of_type(ev.CustomReceived)} {kind}", handler)

    def tell(self, entries: Sequence[Entry]) -> None:
        """Call the handlers for these entries.

        If a handler raises, an error entry is written, unless the handler was called for an error entry.
        """
        if not self._by_tag:
            return
        for entry in entries:
            for handler in self._of(entry.event):
                try:
                    handler(entry)
                except Exception as error:  # an error of the program must not stop the node
                    log.exception("a handler failed")
                    if not isinstance(entry.event, ev.ErrorOccurred):
                        text = f"a handler of {ev.kind_of(entry.event)} failed: {error!r}"
                        self._engine.feed(inp.Failed(text=text))

    def _of(self, event: Event) -> list[Handler]:
        tag = ev.kind_of(event)
        found = self._by_tag.get(tag, [])
        if isinstance(event, ev.CustomReceived):
            found = found + self._by_tag.get(f"{tag} {event.kind}", [])
        return found
