"""The former place of `series/events/`, for programs that import events from here."""

from flux_tui.core.series.events import *  # noqa: F403 - all of it
