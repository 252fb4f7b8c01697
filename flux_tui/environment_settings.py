"""Settings from the environment: `FLUX_TUI_UPLOAD_LIMIT=2MB/s` is the setting `upload_limit`.

They override settings.toml, and options override them. An empty variable counts as not set. A list has spaces or commas
between its items, and a table is written as in TOML: `FLUX_TUI_KEYS={want = "f2"}`.
"""

import re
from collections.abc import Mapping
from typing import Any

from flux_tui.core.series.settings_table import Kind, Setting
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.core.text.plain import plain

PREFIX = "FLUX_TUI_"
OWN = ("ascii",)
"""Settings whose variable is read elsewhere: FLUX_TUI_ASCII may have any value (ui/rows/glyphs.py)."""
OF_CONTAINERS = re.compile(r"SERVICE_(HOST|PORT.*)|PORT(_\d.*)?", re.DOTALL)
"""Variables that a system of containers sets by itself for a service that is called flux-tui, without the prefix."""
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


def misspelt_in(environment: Mapping[str, str], settings: Mapping[str, Setting]) -> str | None:
    """Return a sentence about a variable that is not read, but nearly has the name of a setting's; None: there is none.

    Other variables of that prefix may be there (OF_CONTAINERS).
    """
    known = [variable_of(name) for name in settings]
    for variable in sorted(environment):
        name = variable.removeprefix(PREFIX)
        read = variable in known or name == "HOME"
        if name == variable or read or OF_CONTAINERS.fullmatch(name) or not environment[variable].strip():
            continue
        if did_you_mean(name, settings):
            return (
                f"the variable {plain(variable)} is not read{did_you_mean(variable, known).removesuffix('?')}"
            )
    return None


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
