"""Settings from the environment: `FLUX_TUI_UPLOAD_LIMIT=2MB/s` is the setting `upload_limit`.

They override settings.toml, and options override them. An empty variable counts as not set. A list has spaces or commas
between its items, and a table is written as in TOML: `FLUX_TUI_KEYS={want = "f2"}`.
"""

import re
from collections.abc import Mapping
from typing import Any

from flux_tui.core.series.settings_table import Kind, Setting

PREFIX = "FLUX_TUI_"
OWN = ("ascii",)
"""Settings whose variable is read elsewhere: FLUX_TUI_ASCII may have any value (ui/rows/glyphs.py)."""
SWITCHES = {
    "1": True, "true": True, "yes": True, "on": True, "0": False, "false": False, "no": False, "off": False,
}  # fmt: skip


def variable_of(name: str) -> str:
    """Return the name of the environment variable of a setting."""
    return PREFIX + name.upper()


def found_in(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the values of the settings that the environment has, by setting name, as settings.toml would have them.

    A text that has not the form of its kind is returned as it is: the parser of the setting says what is wrong.
    """
    found: dict[str, Any] = {}
    for name, setting in settings.items():
        text = environment.get(variable_of(name), "").strip()
        if text and name not in OWN:
            found[name] = _value(setting.kind, text)
    return found


def _value(kind: Kind, text: str) -> Any:
    if kind.is_list:
        return [item for item in re.split(r"[\s,]+", text) if item]
    if kind.is_number:
        return int(text) if text.isascii() and text.isdecimal() and len(text) < 20 else text
    if kind is Kind.SWITCH:
        return SWITCHES.get(text.lower(), text)
    if kind is Kind.KEYS:
        import tomllib  # takes 2 ms: only for a table

        try:
            return tomllib.loads(f"keys = {text}")["keys"]
        except tomllib.TOMLDecodeError:
            return text
    return text
