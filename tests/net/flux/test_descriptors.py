"""A node raises its limit of file descriptors to what it may need."""

import resource
from collections.abc import Iterator

import pytest

from flux_tui.net.flux.descriptors import NEEDED, allow_enough

FILES = resource.RLIMIT_NOFILE


@pytest.fixture(autouse=True)
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(FILES)
    yield before
    resource.setrlimit(FILES, before)


def test_a_low_limit_is_raised(limits: tuple[int, int]) -> None:
    resource.setrlimit(FILES, (256, limits[1]))
    assert allow_enough() == resource.getrlimit(FILES)[0] == min(NEEDED, limits[1])
    assert resource.getrlimit(FILES)[1] == limits[1]


def test_a_high_limit_stays(limits: tuple[int, int]) -> None:
    if limits[1] < NEEDED + 1:
        pytest.skip("this system does not allow so many")
    resource.setrlimit(FILES, (NEEDED + 1, limits[1]))
    assert allow_enough() == NEEDED + 1


def test_the_limit_stays_if_it_may_not_be_raised(
    limits: tuple[int, int], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resource.setrlimit(FILES, (256, limits[1]))

    def refuse(*_: object) -> None:
        raise ValueError("not permitted")

    with monkeypatch.context() as patch:
        patch.setattr(resource, "setrlimit", refuse)
        assert allow_enough() == 256
    assert "this process may have 256 open files only: not permitted" in caplog.text
