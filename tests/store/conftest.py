"""Fixtures of the store tests."""

from pathlib import Path

import pytest

from flux_tui.store.store import Store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store.open(tmp_path / "home")
