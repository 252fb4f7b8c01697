"""Completion of what a home knows: CIDs by name, peers by name, kinds of entries.

A shell calls these while a person types, so they never fail: without a home, or with one that cannot be read, they
offer nothing. They read the series as `flux-tui state` does, from its newest checkpoint.
"""

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from flux_tui.core.ids import Cid
from flux_tui.core.text.plain import plain
from flux_tui.home import Home

if TYPE_CHECKING:  # every command imports this module, and only a completion needs these
    from click.shell_completion import CompletionItem

    from flux_tui.core.series.state import State

KEPT = {
    "1d": "the last day", "7d": "the last week", "30d": "the last 30 days", "365d": "the last year",
    "1GiB": "the newest GiB", "10GiB": "the newest 10 GiB", "all": "everything",
}  # fmt: skip
"""Rules of what is kept of a series that are offered."""
MAX_OFFERED = 200
"""Completions that are offered at once."""


def complete_pending(context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the CIDs of what is pending. A name that begins as typed offers its CID, too."""
    state = _state(context)
    return [] if state is None else _cids(state, state.pending, typed)


def complete_shared(context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the CIDs of objects that are here and complete."""
    state = _state(context)
    if state is None:
        return []
    return _cids(state, (root for root, one in state.objects.items() if one.completed_at is not None), typed)


def complete_held(context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the CIDs of objects of which others keep replicas for this home, or of which it keeps some for others."""
    state = _state(context)
    return [] if state is None else _cids(state, (*state.holds, *state.kept), typed)


def complete_known(context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the CIDs of all objects and wants."""
    state = _state(context)
    return [] if state is None else _cids(state, state.roots, typed)


def complete_names_pending(
    context: click.Context, param: click.Parameter, typed: str
) -> "list[CompletionItem]":
    """Offer the names of what is pending, for a command that takes names, and then the CIDs."""
    state = _state(context)
    if state is None:
        return []
    named = (one for root in state.pending if (one := state.objects.get(root)) is not None)
    names = dict.fromkeys(one.name for one in named if one.name and one.name.startswith(typed))
    found = [_item(name) for name in names if plain(name) == name]
    return [*found, *_cids(state, state.pending, typed)][:MAX_OFFERED]


def complete_peers(context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the ids of peers, connected ones first. A given name that begins as typed offers its peer, too."""
    from flux_tui.petnames import PetNames

    home, state = _home(context), _state(context)
    if home is None:
        return []
    try:
        names = dict(PetNames(home).items())
    except Exception:  # completion never fails
        names = {}
    peers = [] if state is None else sorted(state.peers.values(), key=lambda peer: not peer.connected)
    ids = dict.fromkeys([*names, *(peer.peer for peer in peers)])
    offered = (
        _item(str(peer), help=plain(names.get(peer, "")))
        for peer in ids
        if peer.startswith(typed) or (typed and names.get(peer, "").casefold().startswith(typed.casefold()))
    )
    return list(islice(offered, MAX_OFFERED))


def complete_kinds(_context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer the kinds of entries."""
    from flux_tui.core.series.events import EVENT_KINDS

    return [_item(kind) for kind in sorted(EVENT_KINDS) if kind.startswith(typed)]


def complete_keep(_context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Offer rules of what is kept of a series. Others are possible, too."""
    return [_item(rule, help=words) for rule, words in KEPT.items() if rule.startswith(typed)]


def complete_folder(_context: click.Context, _param: click.Parameter, typed: str) -> "list[CompletionItem]":
    """Have the shell offer folders."""
    from click.shell_completion import CompletionItem

    return [CompletionItem(typed, type="dir")]


def _cids(state: "State", roots: Iterable[Cid], typed: str) -> "list[CompletionItem]":
    def offered() -> "Iterator[CompletionItem]":
        for root in dict.fromkeys(reversed(list(roots))):  # the newest first
            known = state.objects.get(root) or state.holds.get(root) or state.kept.get(root)
            name = (known.name if known is not None else None) or ""
            if root.startswith(typed) or (typed and name.casefold().startswith(typed.casefold())):
                yield _item(str(root), help=plain(name))

    return list(islice(offered(), MAX_OFFERED))


def _item(value: str, help: str = "") -> "CompletionItem":  # noqa: A002 - the name of click's own
    from click.shell_completion import CompletionItem

    return CompletionItem(value, help=help or None)


def _home(context: click.Context) -> Home | None:
    """Return the home that the words before name, or the default one; None: there is none."""
    from flux_tui.cli.home_and_series import the_home

    typed: Path | None = None
    at: click.Context | None = context
    while at is not None and typed is None:
        typed = at.params.get("home")
        at = at.parent
    try:
        return the_home(typed)
    except Exception:  # completion never fails
        return None


def _state(context: click.Context) -> "State | None":
    from flux_tui.cli.home_and_series import fold, open_series

    home = _home(context)
    if home is None:
        return None
    try:
        with closing(open_series(home)) as reader:
            return fold(reader)
    except Exception:  # completion never fails
        return None
