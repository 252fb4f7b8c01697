"""What the start of a node changes about this process's memory."""

import platform
import subprocess
import sys

import pytest

CHURN = """
import resource
from flux_tui.node import process_memory
{before}
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for number in range(40):
    if number == 20:
        begun = faults()
    chunks = [bytearray(1 << 20) for _ in range(3)]
    del chunks
print(faults() - begun)
"""


def churned(before: str = "") -> int:
    """Return the page faults of a process that makes and drops three chunks twenty times."""
    code = CHURN.format(before=before)
    return int(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another allocator")
def test_chunks_that_come_and_go_take_no_fresh_pages() -> None:
    assert churned("process_memory.keep_freed()") < 1000
