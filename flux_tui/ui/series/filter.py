"""Filters that a person types, such as `text`, `!not`, `kind:status_no`, `peer:12D3`, `cid:bafk`, `reason:busy`.

A line passes a filter if all of its terms match.
"""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, NamedTuple

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
    kind_of_type,
)
from flux_tui.core.series.events.named_ids import cids_of, peers_of

if TYPE_CHECKING:  # imported when entries are searched: the first frame does not wait for it
    from flux_tui.store.segments.page_index import Wanted

FIELDS = ("kind", "peer", "cid", "reason")
WITH_REASON = frozenset((kind_of_type(StatusNo), kind_of_type(AnsweredNo)))
"""The kinds of entries that have a reason."""


class Term(NamedTuple):
    """One condition of a filter: a field, the text that it must contain, and whether the condition is negated."""

    field: str
    """kind, peer, cid or reason. Empty: the text of the line."""
    value: str
    negated: bool


class Filter(NamedTuple):
    """A filter with its terms (conditions). A line passes if all terms match.

    An empty filter lets every line pass.
    """

    terms: tuple[Term, ...] = ()

    def __str__(self) -> str:
        """Return the filter in the form in which a person types it."""
        return " ".join(
            ("!" if term.negated else "") + (f"{term.field}:" if term.field else "") + term.value
            for term in self.terms
        )

    def __bool__(self) -> bool:
        return bool(self.terms)

    @property
    def by_words(self) -> bool:
        """Whether any term looks at the drawn text of a line, so that this text has to be made."""
        return any(not term.field for term in self.terms)

    @property
    def by_object(self) -> bool:
        """Whether any term may match the name or CID of the object to which an entry's chunks belong."""
        return any(term.field in ("", "cid") for term in self.terms)

    def wanted(self, called: Callable[[], Mapping[PeerId, str]]) -> "Wanted | None":
        """Return what an index of entries can tell about the entries that pass. None: nothing.

        `called`: returns the names of peers.
        """
        from flux_tui.store.segments.page_index import Wanted, indexed

        terms = [term for term in self.terms if not term.negated]
        kinds = [term.value for term in terms if term.field == "kind"]
        cids = [term.value for term in terms if term.field == "cid" and indexed(term.value)]
        peers = [term.value for term in terms if term.field == "peer"]
        reason = any(term.field == "reason" for term in terms)
        if not (kinds or cids or peers or reason):
            return None

        def of_kind(kind: str) -> bool:
            return all(value in kind for value in kinds) and (not reason or kind in WITH_REASON)

        def of_peer(peer: str) -> bool:
            text = f"{peer} {called().get(PeerId(peer), '')}".lower()
            return any(value in text for value in peers)

        return Wanted(
            of_kind if kinds or reason else None,
            of_peer if peers else None,
            tuple(cids),
            whole=self.by_object,
        )

    def takes(
        self,
        entry: Entry,
        text: str,
        called: Mapping[PeerId, str] | None = None,
        roots: tuple[Cid, ...] = (),
    ) -> bool:
        """Return whether an entry passes the filter.

        `text` is the drawn line in lower case. `called` are the names of peers. `roots` are the objects to
        which the entry's chunks belong, besides those that the entry names.
        """
        return all(
            _holds(term, entry.event, text, called or {}, roots) != term.negated for term in self.terms
        )

    def takes_text(self, text: str) -> bool:
        """Return whether a row that is not an entry passes the filter. `text`: its text in lower case.

        Each term's value must be in the text (negated: must not be). The fields of the terms are ignored.
        """
        return all((term.value in text) != term.negated for term in self.terms)


def parse_filter(text: str) -> Filter:
    """Parse a filter that a person typed. Every text is a valid filter."""
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
    """Return a sentence for each field, kind of entry or reason in a filter that does not exist."""
    known = {"kind": tuple(EVENT_KINDS), "reason": REASONS}
    found = []
    for term in wanted.terms:
        name, colon, _ = term.value.partition(":")
        if not term.field and colon and name.isalpha():
            found.append(f"{name}: is not a field: there are {', '.join(FIELDS)}.")
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


def fields_of(event: Event) -> dict[str, object]:
    """Return the names and values of the fields of an event, to show them.

    An event of an unknown kind has one field, `bytes`: its size.
    """
    if isinstance(event, Unknown):
        return {"bytes": len(event.body)}
    return msgspec.structs.asdict(event)
