"""Parts of a drawn dashboard."""

from flux_tui.ui.dashboard.app import Dashboard
from flux_tui.ui.rows.view_and_lines import text_of
from flux_tui.ui.widgets.line_strips import LineStrip


def footer(app: Dashboard) -> str:
    return text_of(app.query_one("#footer", LineStrip)._line)
