"""What the dashboard's commands say and refuse, without a terminal."""

import pytest

from flux_tui.cli.commands.dashboard import unfinished_words
from flux_tui.core.ids import Cid, dag_cid, raw_cid
from flux_tui.core.series.state import ObjectState, Pending, State


def wanting(*names: str, progress: int = 61) -> State:
    roots = {name: dag_cid(name.encode()) for name in names}
    return State(
        objects={
            root: ObjectState(root=root, origin="wanted", since=0.0, name=name, size=100, have_bytes=progress)
            for name, root in roots.items()
        },
        pending={root: Pending(cid=root, since=0.0) for root in roots.values()},
    )


def test_a_person_who_leaves_learns_how_it_goes_on() -> None:
    assert unfinished_words(wanting("film.mkv"), stays=False) == (
        "film.mkv is at 61%: what came is kept, and `flux-tui` or `flux-tui node` goes on from there"
    )
    assert unfinished_words(wanting("film.mkv"), stays=True) == (
        "film.mkv is at 61%: the node goes on with it; `flux-tui` shows it, `flux-tui stop` stops the node"
    )
    many = unfinished_words(wanting("a", "b", "c", "d", "e"), stays=False)
    assert many is not None
    assert many.startswith("a is at 61%, b is at 61%, c is at 61%, and 2 more are not whole: ")


@pytest.mark.parametrize("held", [True, False])
def test_nothing_is_said_about_what_nobody_here_waits_for(held: bool) -> None:
    state = wanting("film.mkv") if held else State()
    loose: Cid = raw_cid(b"loose")
    state.pending[loose] = Pending(cid=loose, since=0.0)
    for want in state.pending.values():
        want.held = held
    assert unfinished_words(state, stays=False) is None
