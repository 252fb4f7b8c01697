"""Filters: `text`, `!not`, `kind:status_no`, `peer:12D3`, `cid:bafk`, `reason:busy`; all have to hold."""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import NamedTuple

import msgspec

from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.series.events import (
    EVENT_KINDS,
    REASONS,
    AnsweredNo,
    Entry,
    Event,
    StatusNo,
    Unknown,
    kind_of,
)

FIELDS = ("kind", "peer", "cid", "reason")


class Term(NamedTuple):
    """One condition."""

    field: str
    """kind, peer, cid, reason, or empty: the line's text."""
    value: str
    negated: bool


class Filter(NamedTuple):
    """All of these. Empty: everything."""

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """As it is typed."""
        return " ".join(
            ("!" if term.negated else "") + (f"{term.field}:" if term.field else "") + term.value
            for term in self.terms
        )

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def by_words(self) -> bool:
        """Whether any condition is on the line's text, which then has to be made."""
        return any(not term.field for term in self.terms)

    @property
    def by_object(self) -> bool:
        """Whether any condition can hold of an entry by the object that it is about."""
        return any(term.field in ("", "cid") for term in self.terms)

    def takes(
        self,
        entry: Entry,
        text: str,
        called: Mapping[PeerId, str] | None = None,
        roots: tuple[Cid, ...] = (),
    ) -> bool:
        """Whether an entry passes; `text` is its line as shown, in lower case. `called`: names of peers; `roots`:
        objects whose blocks it is about, besides those that it names."""
        return all(
            _holds(term, entry.event, text, called or {}, roots) != term.negated for term in self.terms
        )

    def takes_text(self, text: str) -> bool:
        """Whether a row that is no entry passes, by its text alone, in lower case."""
        return all((term.value in text) != term.negated for term in self.terms)


def parse_filter(text: str) -> Filter:
    """A filter as it was typed. Every text is one: there is nothing to get wrong."""
    terms = []
    for word in text.lower().split():
        negated = word.startswith("!") and len(word) > 1
        word = word.removeprefix("!") if negated else word
        field, colon, value = word.partition(":")
        if colon and field in FIELDS:
            terms.append(Term(field, value, negated))
        else:
            terms.append(Term("", word, negated))
    return Filter(tuple(terms))


def unknown_words(wanted: Filter) -> list[str]:
    """What a filter asks for that no entry can have: a sentence for each kind or reason that there is none of."""
    known = {"kind": tuple(EVENT_KINDS), "reason": REASONS}
    found = []
    for term in wanted.terms:
        name, colon, _ = term.value.partition(":")
        if not term.field and colon and name.isalpha():
            found.append(f"{name}: is no field: there are {', '.join(FIELDS)}.")
        values = known.get(term.field, ())
        if values and not any(term.value in value for value in values):
            near = get_close_matches(term.value, values, n=1)
            found.append(
                f"No {term.field} is called {term.value}" + (f" (is it {near[0]}?)." if near else ".")
            )
    return found


def _holds(term: Term, event: Event, text: str, called: Mapping[PeerId, str], roots: tuple[Cid, ...]) -> bool:
    match term.field:
        case "kind":
            return term.value in kind_of(event)
        case "reason":
            return isinstance(event, (StatusNo, AnsweredNo)) and term.value in event.reason
        case "peer":
            return any(
                term.value in peer.lower() or term.value in called.get(peer, "").lower()
                for peer in peers_of(event)
            )
        case "cid":
            return any(term.value in cid for cid in (*cids_of(event), *roots))
        case _:
            return term.value in text


def peers_of(event: Event) -> tuple[PeerId, ...]:
    """The peers that an event names."""
    if isinstance(event, Unknown):
        return ()
    peer = getattr(event, "peer", None)
    return (*((peer,) if peer else ()), *getattr(event, "peers", ()))


def cids_of(event: Event) -> tuple[Cid, ...]:
    """The chunks and roots that an event names."""
    if isinstance(event, Unknown):
        return ()
    found: list[Cid] = [value for name in ("cid", "root") if (value := getattr(event, name, None))]
    for name in ("cids", "roots"):
        found.extend(getattr(event, name, ()))
    return tuple(dict.fromkeys(found))


def fields_of(event: Event) -> dict[str, object]:
    """An event's fields by name, for showing them."""
    if isinstance(event, Unknown):
        return {"bytes": len(event.body)}
    return msgspec.structs.asdict(event)
