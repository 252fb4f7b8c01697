"""Settings: the home's `settings.toml`, then the environment, then flags; typed, with clear errors.

Sizes are bytes, rates bytes a second; both may be written with KB MB GB (thousands) or KiB MiB GiB.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from flux_tui.home import Home

UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 2**10, "m": 2**20, "g": 2**30, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
ANY_PORT = "/ip4/0.0.0.0/tcp/0"
"""Every address of this machine, at a port that is free."""
_SIZE = re.compile(r"^\s*([0-9]{0,20}\.?[0-9]{1,20})\s*([a-z]*)\s*$", re.IGNORECASE)


class SettingsError(Exception):
    """A setting that cannot be used: which, where, and what was expected."""


def parse_size(text: str | int) -> int:
    """Bytes of `65536`, `64KiB`, `1.5 GB`. Raises SettingsError."""
    if isinstance(text, int) and not isinstance(text, bool):
        if text < 0:
            raise SettingsError(f"{text} is no size: it is negative")
        return text
    found = _SIZE.match(str(text))
    unit = UNITS.get(found.group(2).lower()) if found else None
    if found is None or unit is None:
        raise SettingsError(f"{text!r} is no size: write a number, with KB MB GB KiB MiB GiB if you like")
    return int(Fraction(found.group(1)) * unit)


def parse_rate(text: str | int) -> int:
    """Bytes a second of `2MiB/s` or `2MiB`. Raises SettingsError."""
    return parse_size(
        re.sub(r"/s(ec)?\s*$", "", text, flags=re.IGNORECASE) if isinstance(text, str) else text
    )


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a node behaves. Each field is a key of settings.toml."""

    listen: tuple[str, ...] = ()
    """Multiaddrs to listen on; empty: all of this machine's addresses, at the port used last."""
    join: tuple[str, ...] = ()
    """Multiaddrs of peers to connect to at the start."""
    mdns: bool = True
    """Find peers on the local network, and be found."""
    max_pending: int = 1000
    """Intents that may be in the network at once; more wait in the series."""
    max_uploads: int = 16
    """Peers that are served at the same time; the next hear `busy`."""
    theme: str = ""
    """The dashboard's colours, by a theme's name; empty: ours."""
    ascii: bool = False
    """Draw the dashboard with ASCII signs, whatever the locale."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The dashboard's keys that differ from its table: action = "key" (`?` lists the actions)."""

    @classmethod
    def load(cls, home: Home, **flags: Any) -> "Settings":
        """From the home's file, with flags that are not None on top. Raises SettingsError."""
        try:
            with home.settings.open("rb") as file:
                values = tomllib.load(file)
        except (FileNotFoundError, NotADirectoryError):
            values = {}  # a home that is no folder is told of by who locks it
        except OSError as error:
            raise SettingsError(f"{home.settings} cannot be read: {(error.strerror or '').lower()}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{home.settings} is not TOML: {error}") from None
        settings = cls().merged(values, str(home.settings))
        given = {name: value for name, value in flags.items() if value is not None}
        return settings.merged(given, "the command line")

    def merged(self, values: Mapping[str, Any], source: str) -> "Settings":
        """These settings with some replaced. Raises SettingsError naming `source` and the key."""
        known = {known.name for known in fields(self)}
        for name in values:
            if name not in known:
                raise SettingsError(
                    f"{source}: {name!r} is no setting (there are {', '.join(sorted(known))})"
                )
        checked = {name: _checked(name, value, getattr(self, name), source) for name, value in values.items()}
        return replace(self, **checked)

    def listen_addrs(self, home: Home) -> tuple[str, ...]:
        """Where to listen, in order of preference: what was set, or the port that was used last."""
        return self.listen or (f"/ip4/0.0.0.0/tcp/{home.last_port() or 0}",)


def _checked(name: str, value: Any, default: Any, source: str) -> Any:
    match default:
        case bool():
            if isinstance(value, bool):
                return value
            raise SettingsError(f"{source}: {name} is {value!r}, expected true or false")
        case int():
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
            raise SettingsError(f"{source}: {name} is {value!r}, expected a whole number above 0")
        case str():
            if isinstance(value, str):
                return value
            raise SettingsError(f"{source}: {name} is {value!r}, expected text")
        case dict():
            if not isinstance(value, Mapping):
                raise SettingsError(f"{source}: {name} is {value!r}, expected a table of text")
            for key, text in value.items():
                if not isinstance(text, str):
                    raise SettingsError(f"{source}: {name}.{key} is {text!r}, expected text")
            return dict(value)
        case _:
            if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
                return tuple(value)
            raise SettingsError(f"{source}: {name} is {value!r}, expected a list of multiaddrs")
