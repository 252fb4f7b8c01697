"""Write `assets/settings.toml`: every key with its meaning and its default, from the table of settings.

python -m tests.sample_settings
"""

import json
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flux_tui.config import SETTINGS
from flux_tui.core.series.giving_policy import POLICY
from flux_tui.core.series.settings_table import Kind, Setting
from flux_tui.core.text.quantities import human_size

SAMPLE = Path(__file__).parent.parent / "assets" / "settings.toml"
HEAD = """\
# Settings of a home: copy this file to settings.toml in the home's folder, and change what you like.
# Every key is here with its default. An option of the command line overrides its key.
# Sizes and rates: plain numbers are bytes; KB MB GB are thousands, KiB MiB GiB powers of 1024; "/s" may follow.
"""
DASHBOARD = ("theme", "ascii", "notify", "keys")
WIDTH = 110


def sample() -> str:
    """Return the text of the sample settings."""
    parts = [HEAD]
    for title, names in _sections():
        parts.append(f"# ── {title} ".ljust(WIDTH - 10, "─") + "\n")
        parts += ["\n".join(_lines(SETTINGS[name])) + "\n" for name in names]
    return "\n".join(parts)


def _sections() -> Iterator[tuple[str, list[str]]]:
    yield "the node", [name for name in SETTINGS if name not in POLICY and name not in DASHBOARD]
    yield "what other peers may have of this node", list(POLICY)
    yield "the dashboard", list(DASHBOARD)  # [keys] is a table, so it is the last


def _lines(setting: Setting) -> Iterator[str]:
    yield from textwrap.wrap(
        setting.spec.meaning, WIDTH, initial_indent="# ", subsequent_indent="# ", break_on_hyphens=False
    )
    yield f"[{setting.name}]" if setting.kind is Kind.KEYS else f"{setting.name} = {_toml(setting)}"


def _toml(setting: Setting) -> str:
    value: Any = setting.default
    if setting.kind in (Kind.SIZE, Kind.RATE) and value:
        value = human_size(value)
    return json.dumps(value)  # numbers, text, lists and true are written alike in TOML


if __name__ == "__main__":
    SAMPLE.write_text(sample())
