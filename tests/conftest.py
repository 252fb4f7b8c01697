"""Settings of all tests.

Hypothesis tries the same examples at every run, on every machine. A process that a test starts can be
interrupted, even if the tests run in the background of a script, which ignores interrupts. The garbage
collector is on again after each test: the start of a dashboard switches it off, and a test that only calls it
never turns it on.
"""

import gc
import signal
from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
settings.load_profile("repeatable")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def the_collector_is_on_again() -> Iterator[None]:
    yield
    gc.enable()
