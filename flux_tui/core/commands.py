"""The former place of `api/commands.py`, for programs that import commands from here."""

from flux_tui.core.api.commands import *  # noqa: F403 - all of it
