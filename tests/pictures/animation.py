"""The README's animation: the Flow panel while a recording is played, as one small SVG.

    python -m tests.pictures.animation [FILE]

Each frame has the lines that the panel draws at that moment (`ui/rows/flow.py`), made from a recording of a film that
was stuck. CSS shows one frame after the other, so it moves wherever an image may, and needs no script. A viewer that
moves nothing, or is asked not to, shows the last frame: the delays are negative, so that each frame is always in its
animation where there is one.
"""

import os
import time
from html import escape
from pathlib import Path

from flux_tui.core.ids import PeerId
from flux_tui.core.series.fold import derive
from flux_tui.core.text.plain import plain
from flux_tui.store.series_reader import SeriesReader
from flux_tui.ui.rows.flow import flow_rows, frame, step_words
from flux_tui.ui.rows.glyphs import Glyphs, Role
from flux_tui.ui.rows.view_and_lines import Line, View, span
from flux_tui.ui.series.flow_marks import FlowWindow
from tests.pictures.target import target_of

ROOT = Path(__file__).parents[2]
RECORDING = ROOT / "tests" / "ui" / "stuck.flux"
FILE = ROOT / "screenshots" / "flow.svg"
NAMES = ("eve", "cy", "bob", "dan", "ada")
"""The names of the peers of the recording, in the order in which they came."""
COLUMNS, LINES = 96, 11
STEP = 1.0
"""Seconds of a column."""
FRAME_SECONDS = 1.5
"""Seconds of the recording between two frames."""
SHOWN_SECONDS = 0.4
"""How long each frame is shown."""
QUIET_SECONDS = 6.0
"""The beginning of the recording in which nothing is wanted yet."""
LAST_FRAMES = 5
"""How often the last frame is shown."""
CELL, LINE = 8.4, 18
COLOURS: dict[Role, str] = {
    "text": "#d8dee9", "dim": "#7d8799", "strong": "#ffffff", "accent": "#5fb3f9", "good": "#7fd88f",
    "warn": "#e5c07b", "bad": "#f07178", "in": "#7fd88f", "out": "#c792ea", "name": "#ffffff", "peer": "#82d2ce",
    "time": "#7d8799", "bar": "#5fb3f9", "rail": "#3b4252",
}  # fmt: skip


def frames() -> list[list[Line]]:
    """Return the lines of each frame."""
    series = SeriesReader.open(RECORDING).read(0, 100_000)
    begin, end = series[0].at + QUIET_SECONDS, series[-1].at
    found = []
    for number in range(1, int((end - begin) / FRAME_SECONDS) + 2):
        now = min(begin + number * FRAME_SECONDS, end)
        entries = [entry for entry in series if entry.at <= now]
        state = derive(entries)
        called: dict[PeerId, str] = dict(zip(state.peers, NAMES, strict=False))
        flow = FlowWindow(STEP, next(iter(state.pending), None))
        flow.extend(entries)
        flow.forget_before(frame(COLUMNS, now, STEP).first * STEP)
        view = View(state, now, COLUMNS, Glyphs(unicode=True), called=called)
        title: Line = [span(f"7 Flow · film.mkv · {step_words(STEP)} · time runs to the right", "accent")]
        found.append([title, *(row.line for row in flow_rows(view, flow, "name"))][:LINES])
    return found + [found[-1]] * LAST_FRAMES


def svg(shown: list[list[Line]]) -> str:
    """Return the animation of these frames."""
    width, height = round((COLUMNS + 2) * CELL), LINES * LINE + 16
    seconds = len(shown) * SHOWN_SECONDS
    share = 100 / len(shown)
    style = (
        f"text{{font:14px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;white-space:pre}}"
        f".f{{visibility:hidden;animation:f {seconds}s step-end infinite}}"
        ".l{visibility:visible}"
        "@media(prefers-reduced-motion:reduce){.f{animation:none}}"
        f"@keyframes f{{0%{{visibility:visible}}{share:.3f}%{{visibility:hidden}}}}"
    )
    style += "".join(f".{role}{{fill:{colour}}}" for role, colour in COLOURS.items())
    body = [
        f'<svg xmlns="http://www.w3.org/2000/svg" xml:space="preserve" viewBox="0 0 {width} {height}"',
        f'width="{width}" height="{height}">',
        f"<style>{style}</style>",
        f'<rect width="{width}" height="{height}" rx="8" fill="#0f1419"/>',
    ]
    for number, lines in enumerate(shown):
        last = " l" if number == len(shown) - 1 else ""
        body.append(f'<g class="f{last}" style="animation-delay:{number * SHOWN_SECONDS - seconds:.1f}s">')
        body += [_line(line, 8 + (row + 1) * LINE - 4) for row, line in enumerate(lines)]
        body.append("</g>")
    return "\n".join([*body, "</svg>", ""])


def _line(line: Line, y: int) -> str:
    column, found = 1, []
    for text, role in line:
        left = len(text) - len(text.lstrip())
        if words := text.strip():
            x, length = (column + left) * CELL, len(words) * CELL
            found.append(
                f'<tspan x="{x:.1f}" class="{role}" textLength="{length:.1f}">{escape(plain(words))}</tspan>'
            )
        column += len(text)
    return f'<text y="{y}">{"".join(found)}</text>'


if __name__ == "__main__":
    os.environ["TZ"] = "UTC"  # the same picture wherever it is made
    time.tzset()
    target = target_of("tests.pictures.animation", __doc__, "file", FILE)
    target.write_text(svg(frames()))
    print(f"{target}: {target.stat().st_size:,} bytes")
