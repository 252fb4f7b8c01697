"""Fixtures of the demo's tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.nodes import wait_for
from tests.support.demos import processes_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """What a demo takes for the folder of temporary files (its name is short, as that one's is); it has to be
    empty in the end."""
    with tempfile.TemporaryDirectory(prefix="flux-test-") as name:
        yield Path(name)
        wait_for(lambda: not processes_of(Path(name)), seconds=10)
        wait_for(lambda: not list(Path(name).iterdir()), seconds=10)
