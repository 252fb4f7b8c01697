"""The shell commands: thin. Each pushes commands into the node, or reads the series; nothing else.

Exit status: 0 done, 1 failed with one sentence on stderr, 2 wrong usage, 130 interrupted,
128 + its number where another signal ended it.
`--json` puts machine-readable lines on stdout; people's words go to stderr.
"""

from flux_tui.cli.main import run

__all__ = ["run"]
