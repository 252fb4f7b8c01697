"""The functions of a program that are called for durable entries, until they are unsubscribed."""

import logging
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from flux_tui.core.api import inputs as inp
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event, EventBase
from flux_tui.node.engine import Engine

log = logging.getLogger(__name__)

E = TypeVar("E", bound=EventBase)
Handler = Callable[[Entry], object]
OnEntries = Callable[[Sequence[Entry]], object]


class Subscription(Generic[E]):
    """A function that a node calls with events. `unsubscribe` ends that; calling it calls the function."""

    def __init__(self, function: Callable[[E], object], unsubscribe: Callable[[], None]) -> None:
        self._function = function
        self._unsubscribe = unsubscribe

    def __call__(self, event: E) -> object:
        """Call the function with an event, as the node does."""
        return self._function(event)

    def unsubscribe(self) -> None:
        """Call the function no more. Does nothing if that was done before."""
        self._unsubscribe()


class Handlers:
    """The handlers of one node: by the kind of entry and, for custom messages, by the kind of message."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_tag: dict[str, list[Handler]] = {}
        self._groups: dict[OnEntries, None] = {}

    def add(self, tag: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` for each entry with this tag, the name of an entry's kind. Returns what ends that."""
        listed = self._by_tag.setdefault(tag, [])
        listed.append(handler)

        def remove() -> None:
            listed[:] = [one for one in listed if one is not handler]

        return remove

    def add_custom(self, kind: str, handler: Handler) -> Callable[[], None]:
        """Call `handler` for each custom message of this kind that the node receives. Returns what ends that."""
        return self.add(f"{ev.kind_of_type(ev.CustomReceived)} {kind}", handler)

    def subscribe(
        self, kind: type[E], filters: Callable[[E], bool], function: Callable[[E], object]
    ) -> Subscription[E]:
        """Call `function(event)` for each event of a class, or of its subclasses, that `filters` lets through."""

        def handler(entry: Entry) -> None:
            event: Any = entry.event
            if filters(event):
                function(event)

        tags = [ev.kind_of_type(one) for one in ev.EVENT_TYPES if issubclass(one, kind)]
        removes = [self.add(tag, handler) for tag in tags]

        def unsubscribe() -> None:
            for remove in removes:
                remove()

        return Subscription(function, unsubscribe)

    def watch(self, watcher: OnEntries) -> Callable[[], None]:
        """Call `watcher` with each group of durable entries. Returns what ends that. `watcher` must not raise."""
        self._groups[watcher] = None
        return lambda: self._groups.pop(watcher, None)

    def tell(self, entries: Sequence[Entry]) -> None:
        """Call the handlers for these entries.

        If a handler raises, an error entry is written, unless the handler was called for an error entry.
        """
        for watcher in tuple(self._groups):
            watcher(entries)
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
                        self._engine.feed(inp.Failed(text=text, code="handler_failed"))

    def _of(self, event: Event) -> list[Handler]:
        tag = ev.kind_of(event)
        found = list(self._by_tag.get(tag, ()))
        if isinstance(event, ev.CustomReceived):
            found += self._by_tag.get(f"{tag} {event.kind}", ())
        return found
