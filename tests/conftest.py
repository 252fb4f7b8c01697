"""What all tests share: properties are tried with the same examples at every run, on every machine; and what a test
starts can be interrupted, also where the tests themselves run in the background of a script, which ignores that.
And the collector is on again after each: a dashboard's start switches it off, and one that is no more than called
never settles.
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
