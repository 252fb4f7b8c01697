"""The shell commands. Each command either pushes into the node or reads the series.

Exit status: 0 done, 1 failed (one sentence on stderr says why), 2 wrong usage, 130 interrupted, 128 + N ended
by signal N.

`--json` puts machine-readable lines on stdout. Text for people goes to stderr.
"""

from flux_tui.cli.main import run

__all__ = ["run"]
