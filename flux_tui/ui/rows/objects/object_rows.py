"""The rows of the Objects panel: what is wanted, here, shared, and kept for others. Pure."""

from flux_tui.core.series.state import ObjectState
from flux_tui.core.text.phrases import object_words
from flux_tui.core.text.quantities import human_size
from flux_tui.ui.rows import cell_width
from flux_tui.ui.rows.view import Line, Row, View, cut, span

NAME_WIDTH, SIZE_WIDTH, STATUS_WIDTH = 24, 10, 14


def object_rows(view: View) -> list[Row]:
    """Return a line for each object, the newest first."""
    return [Row(found.root, _line(view, found)) for found in reversed(view.state.objects.values())]


def _line(view: View, found: ObjectState) -> Line:
    size = "?" if found.size is None else human_size(found.size)
    line: Line = [
        span(cell_width.fit(view.name(found.root), NAME_WIDTH) + " ", "name"),
        span(f"{size:>{SIZE_WIDTH}}  ", "text"),
        span(f"{object_words(found):<{STATUS_WIDTH}} ", "good" if found.completed_at is not None else "dim"),
        span(view.text(found.path or "in the store"), "dim"),
    ]
    return cut(line, view.width, view.glyphs.ellipsis)
