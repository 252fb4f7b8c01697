"""An old name of `core/api/commands.py`, kept for programs that import commands from here."""

from flux_tui.core.api.commands import *  # noqa: F403 - all of it
