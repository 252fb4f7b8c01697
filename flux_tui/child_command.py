"""The commands by which this program starts other parts of itself as processes.

`python -m` looks for the module in the working folder first. A folder that came from somebody else may have a
`flux_tui` of its own, which would then run with the user's rights. `-P` leaves the working folder out (Python 3.11).
"""

import sys


def child_command(module: str, *arguments: str) -> list[str]:
    """Return the command that runs this package's module `module` with these arguments, in any working folder."""
    return [sys.executable, "-P", "-m", module, *arguments]
