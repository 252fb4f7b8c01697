"""The state of a long series that has no checkpoint which this version reads: it is told, and begun once."""

import signal
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

import pytest

from flux_tui.config import Settings
from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import Entry
from flux_tui.core.series.fold import derive, snapshot
from flux_tui.home import Home
from flux_tui.node.disk import stored_state
from flux_tui.node.disk.stored_state import load_for_node, load_state
from flux_tui.node.serve import serve
from flux_tui.store.store import Store
from tests.bench.series import exchange

COUNT = 100


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    monkeypatch.setattr(stored_state, "FOLD_PAGE", 10)
    monkeypatch.setattr(stored_state, "SAVED_ENTRIES", 30)
    monkeypatch.setattr(stored_state, "TOLD_SECONDS", 0.0)
    home = Home(tmp_path / "home")
    home.prepare()
    return home


@pytest.fixture
def store(home: Home) -> Iterator[Store]:
    with closing(Store.open(home.path)) as store:
        store.commit([(1e9 + number, event) for number, event in enumerate(islice(exchange(1), COUNT))])
        yield store


def expected() -> bytes:
    return snapshot(
        derive([Entry(n, 1e9 + n - 1, event) for n, event in enumerate(islice(exchange(1), COUNT), 1)])
    )


def test_how_much_was_read_is_told(home: Home, store: Store) -> None:
    seen: list[tuple[int, int]] = []

    def told(done: int, total: int) -> None:
        seen.append((done, total))
        assert home.opening() == (done, total), "other programs see it, too"

    state, folded = load_for_node(home, store, told)
    assert (snapshot(state), folded) == (expected(), COUNT)
    assert seen == [(done, COUNT) for done in range(10, COUNT + 1, 10)]
    assert home.opening() is None


def test_a_start_that_was_ended_goes_on_where_it_was(home: Home, store: Store) -> None:
    def killed(done: int, total: int) -> None:
        if done == 70:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load_for_node(home, store, killed)
    state, folded = load_for_node(home, store)
    assert (snapshot(state), folded) == (expected(), COUNT - 60), "60 was saved"
    assert store.partial() is not None
    store.commit([], checkpoint=snapshot(state))
    assert snapshot(load_state(store)) == expected()
    assert store.partial() is None, "the checkpoint is newer"


@pytest.mark.parametrize("saved", [b"", b"of another version", b"\xc0"])
def test_what_cannot_be_read_is_begun_anew(saved: bytes, home: Home, store: Store) -> None:
    store.save_partial(saved)
    state, folded = load_for_node(home, store)
    assert (snapshot(state), folded) == (expected(), COUNT)


@pytest.mark.parametrize("text", [b"", b"1", b"x y\n", b"1 2 3", b"\xff\xff 1"])
def test_what_another_program_finds_may_be_anything(text: bytes, home: Home) -> None:
    home.opening_file.write_bytes(text)
    assert home.opening() is None
    home.opening_file.unlink()
    home.opening_file.mkdir()
    assert home.opening() is None
    home.note_opening(1, 2)
    home.end_opening()


async def test_a_signal_ends_the_reading(home: Home, store: Store) -> None:
    noted: list[int] = []
    read: list[int] = []

    def told(done: int, total: int) -> None:
        read.append(done)
        if done == 30:
            noted.append(signal.SIGTERM)

    def announce(peer: PeerId, addrs: tuple[str, ...], urls: tuple[str, ...]) -> None:
        pytest.fail("it does not start")

    store.close()
    await serve(home, Settings(), announce, noted=noted, told=told)
    assert read == [10, 20, 30]
    assert home.running() is None
