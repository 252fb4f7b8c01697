"""Settings: from the home's `settings.toml`, then the environment, then flags; typed, with clear errors.

Sizes are in bytes, rates in bytes a second. Both may be written with KB MB GB (thousands) or KiB MiB GiB.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, replace
from fractions import Fraction
from typing import Any

from flux_tui.core.ids import BadIdError, PeerId, parse_peer_id
from flux_tui.core.series.policy import Policy
from flux_tui.home import Home
from flux_tui.regular_files import open_to_read

UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 2**10, "m": 2**20, "g": 2**30, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
KEEP_FREE = 256 * 1024 * 1024
"""Bytes that stay free on a disk, unless the settings say otherwise."""
ANY_PORT = "/ip4/0.0.0.0/tcp/0"
"""Every address of this machine, at a free port."""
_SIZE = re.compile(r"^\s*([0-9]{0,20}\.?[0-9]{1,20})\s*([a-z]*)\s*$", re.IGNORECASE)


class SettingsError(Exception):
    """A setting that cannot be used: which one, where it stands, and what was expected."""


def parse_size(text: str | int) -> int:
    """Parse bytes: `65536`, `64KiB`, `1.5 GB`. Raises SettingsError."""
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
    """Parse bytes a second: `2MiB/s` or `2MiB`. Raises SettingsError."""
    return parse_size(
        re.sub(r"/s(ec)?\s*$", "", text, flags=re.IGNORECASE) if isinstance(text, str) else text
    )


def parse_count(value: Any) -> int:
    """Parse a whole number from 0. Raises SettingsError."""
    if isinstance(value, int) and not isinstance(value, bool) and value >= 0:
        return value
    raise SettingsError(f"{value!r} is no whole number from 0")


def parse_peers(value: Any) -> tuple[PeerId, ...]:
    """Parse a list of peer ids. Raises SettingsError, BadIdError."""
    if isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value):
        return tuple(dict.fromkeys(parse_peer_id(item) for item in value))
    raise SettingsError(f"{value!r} is no list of peer ids")


SIZE = {"parse": parse_size, "expected": "a size such as 10GiB"}
RATE = {"parse": parse_rate, "expected": "a rate such as 2MB/s"}
COUNT = {"parse": parse_count, "expected": "a whole number from 0"}
PEERS = {"parse": parse_peers, "expected": "a list of peer ids"}


@dataclass(frozen=True, kw_only=True)
class Settings:
    """How a node behaves. Each field is a key of settings.toml."""

    listen: tuple[str, ...] = ()
    """Multiaddrs to listen on; empty: all of this machine's addresses, at the port used last."""
    join: tuple[str, ...] = ()
    """Multiaddrs of peers to connect to at the start."""
    mdns: bool = True
    """Find peers on the local network, and be found."""
    swarm_key: str = ""
    """A key file, relative to the home, that makes the swarm private: only peers with the same key can connect."""
    relay: tuple[str, ...] = ()
    """Multiaddrs of relays through which this node can be reached, because it cannot be dialled directly."""
    serve_relay: bool = False
    """Be such a relay for others."""
    low_priority: bool = True
    """Whether the process of `flux-tui node` lets other programs have the processor first."""
    max_pending: int = 1000
    """Intents that may be in the network at once; further ones wait in the series."""
    max_uploads: int = 16
    """Peers that are served at the same time; others are answered `busy`."""
    upload_limit: int = field(default=0, metadata=RATE)
    """Bytes/s that leave this node; 0: no limit. A request that would wait too long is answered
    `rate_limited`."""
    per_peer_limit: int = field(default=0, metadata=RATE)
    """The same limit for each peer."""
    upload_chunks: int = field(default=0, metadata=COUNT)
    """Chunks/s that leave this node; 0: no limit."""
    per_peer_chunks: int = field(default=0, metadata=COUNT)
    """The same limit for each peer."""
    keep_free: int = field(default=KEEP_FREE, metadata=SIZE)
    """Bytes that stay free on each disk that is written to, though never more than a tenth of the disk.
    Objects without room wait."""
    quota: int = field(default=0, metadata=SIZE)
    """Bytes of replicas held for others (`hold`); 0: none."""
    max_object: int = field(default=0, metadata=SIZE)
    """Bytes of the largest object that is held for others; 0: the quota is the only limit."""
    allow: tuple[str, ...] = field(default=(), metadata=PEERS)
    """Peer ids; if there are any, only these peers are served."""
    deny: tuple[str, ...] = field(default=(), metadata=PEERS)
    """Peer ids that are not served."""
    theme: str = field(default="", metadata={"expected": "the name of a theme"})
    """The name of the dashboard's theme; empty: flux-tui's own."""
    ascii: bool = False
    """Draw the dashboard with ASCII signs, whatever the locale."""
    keys: Mapping[str, str] = field(default_factory=dict)
    """The dashboard's keys that differ from its table: action = "key" (`?` lists the actions)."""

    @property
    def policy(self) -> Policy:
        """The node's policy: what it lets others have."""
        return Policy(
            upload_limit=self.upload_limit,
            per_peer_limit=self.per_peer_limit,
            upload_chunks=self.upload_chunks,
            per_peer_chunks=self.per_peer_chunks,
            max_uploads=self.max_uploads,
            quota=self.quota,
            max_object=self.max_object,
            allow=tuple(PeerId(peer) for peer in self.allow),
            deny=tuple(PeerId(peer) for peer in self.deny),
        )

    @classmethod
    def load(cls, home: Home, **flags: Any) -> "Settings":
        """Load the home's file, with flags that are not None on top. Raises SettingsError."""
        try:
            with open_to_read(home.settings) as file:
                values = tomllib.load(file)
        except (FileNotFoundError, NotADirectoryError):
            values = {}  # locking the home will report a home that is no folder
        except OSError as error:
            raise SettingsError(f"{home.settings} cannot be read: {(error.strerror or '').lower()}") from None
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{home.settings} is not TOML: {error}") from None
        settings = cls().merged(values, str(home.settings))
        given = {name: value for name, value in flags.items() if value is not None}
        return settings.merged(given, "the command line")

    def merged(self, values: Mapping[str, Any], source: str) -> "Settings":
        """Return these settings with some replaced. Raises SettingsError, which names `source` and the key."""
        known = {one.name: one for one in fields(self)}
        for name in values:
            if name not in known:
                raise SettingsError(
                    f"{source}: {name!r} is no setting (there are {', '.join(sorted(known))})"
                )
        checked = {name: _checked(known[name], value, source) for name, value in values.items()}
        return replace(self, **checked)

    def listen_addrs(self, home: Home) -> tuple[str, ...]:
        """Return where to listen: the addresses that are set, or all of this machine's at the port used last."""
        return self.listen or (f"/ip4/0.0.0.0/tcp/{home.last_port() or 0}",)


def _checked(setting: "Field[Any]", value: Any, source: str) -> Any:
    name = setting.name
    if (parse := setting.metadata.get("parse")) is not None:
        try:
            return parse(value)
        except (SettingsError, BadIdError):
            expected = setting.metadata["expected"]
            raise SettingsError(f"{source}: {name} is {value!r}, expected {expected}") from None
    match setting.default if setting.default is not MISSING else dict[str, str]():
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
            expected = setting.metadata.get("expected", "a path")
            raise SettingsError(f"{source}: {name} is {value!r}, expected {expected}")
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
