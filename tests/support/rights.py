"""A process without rights over files of other users."""

import ctypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest


@contextmanager
def without_rights() -> Iterator[None]:
    """Act as a user who is not root: file modes apply to this thread, even if root runs the tests."""
    if os.geteuid() != 0:
        yield
        return
    if sys.platform != "linux":
        pytest.skip("root has every right, and only Linux can give them up for a while")
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)  # version 3, this thread
    before = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; and their upper halves
    assert libc.capget(header, before) == 0
    now = (ctypes.c_uint32 * 6)(*before)
    now[0] &= ~(1 << 1 | 1 << 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH
    assert libc.capset(header, now) == 0
    try:
        yield
    finally:
        assert libc.capset(header, before) == 0
