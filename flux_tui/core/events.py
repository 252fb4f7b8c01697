"""An old name of `core/series/events/`, kept for programs that import events from here."""

from flux_tui.core.series.events import *  # noqa: F403 - all of it
