"""The laboratory as a fixture."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.support.network_lab import Lab, lacks, opened

_lacks = cache(lacks)


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    """A laboratory of networks. The test is skipped where this machine cannot make one."""
    if (why := _lacks()) is not None:
        pytest.skip(f"no network laboratory: {why}")
    with opened(tmp_path) as lab:
        yield lab
