"""Fixtures of the demo tests."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.nodes import wait_for
from tests.support.demos import processes_of


@pytest.fixture
def folder() -> Iterator[Path]:
    """The folder for temporary files of a demo.

    Its name is short, as the real one's is. It must be empty at the end.
    """
    with tempfile.TemporaryDirectory(prefix="flux-test-") as name:
        yield Path(name)
        wait_for(lambda: not processes_of(Path(name)), seconds=10)
        wait_for(lambda: not list(Path(name).iterdir()), seconds=10)
