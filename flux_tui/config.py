"""Settings: read from the home's `settings.toml`. Options of the command line override them.

Sizes are in bytes, rates in bytes a second. Both may be written with KB MB GB (thousands) or KiB MiB GiB.
"""

import os
import re
from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, assert_never, get_args

import msgspec

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import BadIdError, PeerId, parse_cid, parse_peer_id
from flux_tui.core.series.giving_policy import POLICY, ObjectRule, Policy, PolicyChange
from flux_tui.core.series.keep_rule import BadRuleError, KeepRule, parse_keep_rule
from flux_tui.core.series.settings_table import Kind, Setting, Spec, table
from flux_tui.core.text.agent_versions import checked_suggestion
from flux_tui.core.text.close_words import did_you_mean
from flux_tui.environment_settings import found_in
from flux_tui.home import Home
from flux_tui.regular_files import open_to_read

UNITS = {
    "": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12,
    "k": 2**10, "m": 2**20, "g": 2**30, "kib": 2**10, "mib": 2**20, "gib": 2**30, "tib": 2**40,
}  # fmt: skip
NoticeBy: TypeAlias = Literal["none", "bell", "osc9", "osc777"]
"""How the terminal tells of something: not at all, by its bell, or by the bell and a notice of the desktop."""
NOTICES: tuple[NoticeBy, ...] = get_args(NoticeBy)
MAX_HOST = 253
"""Characters of a host name."""
LogLevel: TypeAlias = Literal["debug", "info", "warning", "error"]
"""How much a node logs: entries of this level and of those above."""
LEVELS: tuple[LogLevel, ...] = get_args(LogLevel)
LOOPBACK = "/ip4/127.0.0.1/tcp/0"
"""Listen here to be reached from this machine only, at any free port."""
KEEP_FREE = 256 * 1024 * 1024
"""Bytes that stay free on a disk, unless the settings say otherwise."""
_HOST = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}\.?)*"
"""A host name. An IPv4 address has the same form."""
_SIZE = r"(?i)^\s*([0-9]{0,20}\.?[0-9]{1,20})\s*([a-z]*)\s*$"


class SettingsError(FluxError):
    """A setting cannot be used. The message names the setting, its file or option, and the expected value."""


class BadValueError(SettingsError):
    """A setting has a value of the wrong kind. The message says what was expected."""

    def __init__(self, value: object, expected: str, key: str | None = None) -> None:
        super().__init__(f"{value!r} is not {expected}")
        self.value = value
        self.expected = expected
        """The expected value, with its article: `a size such as 10GiB`."""
        self.key = key
        """If the value is one of several: its key, or "" in a list."""

    def named(self, name: str) -> str:
        """Return the error sentence, with the name of the setting that has this value."""
        if self.key == "":
            return f"{name}: {self.value!r} is not {self.expected}"
        name = f"{name}.{self.key}" if self.key else name
        return f"{name} is {self.value!r}, expected {self.expected}"


# ── values ──────────────────────────────────────────────────────────────────────────────────────


def parse_size(text: Any) -> int:
    """Parse a number of bytes, such as `65536`, `64KiB` or `1.5 GB`. Raises BadValueError."""
    return _parse_bytes(text, text, Kind.SIZE)


def parse_rate(text: Any) -> int:
    """Parse a rate in bytes a second, such as `2MiB/s` or `2MiB`. Raises BadValueError."""
    amount = re.sub(r"/s(ec)?\s*$", "", text, flags=re.IGNORECASE) if isinstance(text, str) else text
    return _parse_bytes(amount, text, Kind.RATE)


def _parse_bytes(amount: Any, text: Any, kind: Kind) -> int:
    if isinstance(amount, int) and not isinstance(amount, bool) and amount >= 0:
        return amount
    found = re.match(_SIZE, amount) if isinstance(amount, str) else None
    unit = UNITS.get(found.group(2).lower()) if found else None
    if found is None or unit is None:
        raise BadValueError(text, kind.value)
    return int(Fraction(found.group(1)) * unit)


def _parse_number(value: Any, kind: Kind) -> int:
    if isinstance(value, int) and not isinstance(value, bool) and value >= kind.least:
        return value
    raise BadValueError(value, kind.value)


def _parse_list(value: Any, kind: Kind, parse: Callable[[Any], Any]) -> tuple[Any, ...]:
    if isinstance(value, (list, tuple)):
        return tuple(dict.fromkeys(parse(item) for item in value))
    raise BadValueError(value, kind.value)


def _parse_peer(value: Any) -> PeerId:
    try:
        return parse_peer_id(value if isinstance(value, str) else "")
    except BadIdError:
        raise BadValueError(value, "a peer id", "") from None


def _parse_rule(value: Any) -> ObjectRule:
    if isinstance(value, ObjectRule):
        return value
    try:
        cid, separator, peer = (value if isinstance(value, str) else "").partition("=")
        return ObjectRule(parse_cid(cid), parse_peer_id(peer) if separator else None)
    except BadIdError:
        raise BadValueError(value, "a CID or CID=PEER-ID", "") from None


def _parse_addr(value: Any) -> str:
    if isinstance(value, str):
        return value  # listening, or dialling, reports what is wrong with it
    raise BadValueError(value, "a multiaddr", "")


def _parse_name(value: Any) -> str:
    try:
        return checked_suggestion(value) if value else ""
    except (AttributeError, ValueError):
        raise BadValueError(value, Kind.NAME.value) from None


def parse_endpoint(value: Any) -> str:
    """Parse where to listen for HTTP, such as `9464`, `127.0.0.1:9464`, `[::1]:9464`. Raises BadValueError.

    Returns `HOST:PORT`. A port alone is one of 127.0.0.1. An empty text stands for nowhere.
    """
    if value == "":
        return ""
    text = str(value) if isinstance(value, (str, int)) and not isinstance(value, bool) else ""
    host, _, port = text.rpartition(":") if ":" in text else ("127.0.0.1", "", text)
    if not (port.isascii() and port.isdigit() and int(port) < 65536 and _is_host(host)):
        raise BadValueError(value, Kind.ENDPOINT.value)
    return f"{host}:{int(port)}"


def _is_host(text: str) -> bool:
    if text.startswith("[") and text.endswith("]"):
        from ipaddress import ip_address  # takes 5 ms

        try:
            return ip_address(text[1:-1]).version == 6
        except ValueError:
            return False
    return len(text) <= MAX_HOST and re.fullmatch(_HOST, text) is not None


def _parse_host(value: Any) -> str:
    if isinstance(value, str) and len(value) <= MAX_HOST and re.fullmatch(_HOST, value):
        return value.lower()
    raise BadValueError(value, "a host name", "")


def _parse_keep(value: Any) -> str:
    try:
        parse_keep_rule(value if isinstance(value, str) else "")
    except BadRuleError:
        raise BadValueError(value, Kind.KEEP.value) from None
    return str(value)


def _parse_keys(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping):
        raise BadValueError(value, Kind.KEYS.value)
    for key, text in value.items():
        if not isinstance(text, str):
            raise BadValueError(text, "text", key)
    return dict(value)


def parse_value(kind: Kind, value: Any) -> Any:  # noqa: C901 - a flat match: one line a case
    """Return the value of a setting of this kind, parsed from what TOML or the command line gave.

    Raises BadValueError.
    """
    match kind:
        case Kind.RATE:
            return parse_rate(value)
        case Kind.SIZE:
            return parse_size(value)
        case Kind.COUNT | Kind.NUMBER:
            return _parse_number(value, kind)
        case Kind.PEERS:
            return _parse_list(value, kind, _parse_peer)
        case Kind.OBJECTS:
            return _parse_list(value, kind, _parse_rule)
        case Kind.ADDRS:
            return _parse_list(value, kind, _parse_addr)
        case Kind.KEYS:
            return _parse_keys(value)
        case Kind.HOSTS:
            return _parse_list(value, kind, _parse_host)
        case Kind.ENDPOINT:
            return parse_endpoint(value)
        case Kind.NOTICE | Kind.LEVEL:
            if value in (NOTICES if kind is Kind.NOTICE else LEVELS):
                return value
            raise BadValueError(value, kind.value)
        case Kind.NAME:
            return _parse_name(value)
        case Kind.SWITCH:
            expected: type = bool
        case Kind.PATH | Kind.THEME:
            expected = str
        case Kind.KEEP:
            return _parse_keep(value)
        case _:
            assert_never(kind)
    if isinstance(value, expected):
        return value
    raise BadValueError(value, kind.value)


# ── the settings ────────────────────────────────────────────────────────────────────────────────


class Settings(Policy, frozen=True, kw_only=True):
    """The settings of a node: each field is a key of settings.toml.

    The fields that come from `Policy` limit what the node gives to other nodes.
    """

    listen: Annotated[tuple[str, ...], Spec(
        Kind.ADDRS, "Multiaddrs to listen on. Empty: every address of this machine, at the port used last."
        ' Only for this machine: ["/ip4/127.0.0.1/tcp/0"].',
        option="Listen here, e.g. /ip4/127.0.0.1/tcp/0. [default: every address of this machine, at the port used"
        " last]",
    )] = ()  # fmt: skip
    join: Annotated[tuple[str, ...], Spec(
        Kind.ADDRS, "Peers to connect to at the start, and to stay connected to: multiaddrs that end in"
        " /p2p/PEER-ID.", option="Connect to this peer and stay connected.", live=True,
    )] = ()  # fmt: skip
    mdns: Annotated[bool, Spec(
        Kind.SWITCH, "Find peers on the local network, and be found.",
        option="Do not look for peers on the local network.",
    )] = True  # fmt: skip
    min_peers: Annotated[int, Spec(
        Kind.COUNT, "Peers that this node tries to be connected to, from what others told of the swarm. So it finds"
        " the swarm again when the peer that it joined is gone. 0: only those that it is told to dial.",
        option="Try to be connected to so many peers of the swarm. [default: 3]",
    )] = 3  # fmt: skip
    suggest_name: Annotated[str, Spec(
        Kind.NAME, "A name by which other people may call this node. Every node that connects is told it, and offers it"
        ' to its person. "hostname": the name of this machine. Empty: no name is suggested.',
        option="Suggest this name for this node to all that connect; `hostname`: the name of this machine. [default:"
        " none]",
    )] = ""  # fmt: skip
    swarm_key: Annotated[str, Spec(
        Kind.PATH, "A key file (libp2p's /key/swarm/psk/1.0.0/) that makes the swarm private: only peers with the"
        " same key can connect. A relative path starts at the home's folder.",
        option="Talk only to nodes that have the same key (libp2p's /key/swarm/psk/1.0.0/).",
    )] = ""  # fmt: skip
    announce: Annotated[tuple[str, ...], Spec(
        Kind.ADDRS, "Multiaddrs of a router at which others reach this node, because a port is forwarded by hand:"
        ' ["/ip4/203.0.113.5/tcp/4001"]. Peers check them by dialling back.',
        option="Tell others that they reach this node here, outside of the router: /ip4/ADDRESS/tcp/PORT.",
    )] = ()  # fmt: skip
    relay: Annotated[tuple[str, ...], Spec(
        Kind.ADDRS, "Multiaddrs of relays through which this node can be reached, because it cannot be dialled"
        " directly.", option="Be reached through this relay, because nobody can dial this node.",
    )] = ()  # fmt: skip
    serve_relay: Annotated[bool, Spec(
        Kind.SWITCH, "Be a relay for other nodes: pass their bytes on.",
    )] = False  # fmt: skip
    port_mapping: Annotated[bool, Spec(
        Kind.SWITCH, "Have the router pass connections on to this node (UPnP), and take that back at the end.",
        option="Do not ask the router to pass connections on to this node (UPnP).",
    )] = True  # fmt: skip
    relay_for_peers: Annotated[int, Spec(
        Kind.COUNT, "Peers for which this node relays a little while it has an address on the internet, so that those"
        " behind routers meet: two circuits each, of 64 MiB and ten minutes, 1 MiB/s in all. 0: for nobody.",
        option="Relay a little for so many peers, if this node can be reached. [default: 8]",
    )] = 8  # fmt: skip
    bitswap: Annotated[bool, Spec(
        Kind.SWITCH, "Speak Bitswap with IPFS nodes (Kubo, Helia): fetch from them, and give to them what this node"
        " shares, within the same limits. The same as `enabled` in a table [bitswap].",
        option="Speak Bitswap with IPFS nodes (Kubo, Helia), in both directions.",
    )] = False  # fmt: skip
    bitswap_peers: Annotated[int, Spec(
        Kind.NUMBER, "IPFS nodes that this node is connected to at a time. The same as `peers` in a table [bitswap].",
        option=None,
    )] = 32  # fmt: skip
    low_priority: Annotated[bool, Spec(
        Kind.SWITCH, "Let other programs have the processor first, so that the dashboard stays quick. It is for the"
        " process of `flux-tui node`.", option=None,
    )] = True  # fmt: skip
    metrics: Annotated[str, Spec(
        Kind.ENDPOINT, "Where Prometheus may read this node's metrics by HTTP, at /metrics: a port of 127.0.0.1, or an"
        " address with a port (0.0.0.0:9464: from everywhere, to anybody; [::1]:9464). Port 0: any free one. Empty:"
        " nowhere.", option="Let Prometheus read this node's metrics here: a port of 127.0.0.1, or an address with a"
        " port. [default: nowhere]",
    )] = ""  # fmt: skip
    metrics_hosts: Annotated[tuple[str, ...], Spec(
        Kind.HOSTS, "Names of this machine by which metrics may be asked for, besides its IP addresses, `localhost` and"
        " its own name. Other names are refused, so that no page in a browser can read them.",
        option="Answer requests for metrics that use this name of the machine, too.",
    )] = ()  # fmt: skip
    log_level: Annotated[LogLevel, Spec(
        Kind.LEVEL, 'What the node logs to stderr (in the background: to node.log): "debug", "info", "warning" or'
        ' "error", each with what is worse.',
        option="What to log to stderr, or in the background to node.log: debug, info, warning or error. [default:"
        " warning]",
    )] = "warning"  # fmt: skip
    log_json: Annotated[bool, Spec(
        Kind.SWITCH, "Log one JSON object a line: at, level, logger, message, and error if there is a traceback.",
        option="Log one JSON object a line.",
    )] = False  # fmt: skip
    max_pending: Annotated[int, Spec(
        Kind.NUMBER, "Intents that may be in the network at once. Further ones wait in the series.",
    )] = 1000  # fmt: skip
    series_keep: Annotated[str, Spec(
        Kind.KEEP, 'How much of the series is kept: "all", the last "30d" (h, d, w, y), or the last "10GiB". Older'
        " entries are dropped, in parts of some 20,000; the state stays as it is. Also: keep, in a table [series].",
        option="Drop entries of the series that are older (30d), or too many (10GiB). [default: all]",
    )] = "all"  # fmt: skip
    series_archive: Annotated[str, Spec(
        Kind.PATH, "A folder to which the oldest entries are moved, instead of being deleted; `flux-tui replay` opens"
        " it. A relative path starts at the home's folder. Also: archive, in a table [series].", option=None,
    )] = ""  # fmt: skip
    keep_free: Annotated[int, Spec(
        Kind.SIZE, "Bytes that stay free on each disk that this node writes to, though never more than a tenth of"
        " the disk. An object without room waits, and goes on when there is room.",
        option="Bytes that stay free on each disk. An object without room waits. [default: 256MiB, at most a tenth"
        " of the disk]",
    )] = KEEP_FREE  # fmt: skip
    theme: Annotated[str, Spec(
        Kind.THEME, "The dashboard's theme: flux, flux-light, contrast, blue-orange, nord, ansi-dark … Empty: flux.",
        option=None,
    )] = ""  # fmt: skip
    ascii: Annotated[bool, Spec(
        Kind.SWITCH, "Draw the dashboard with ASCII signs, whatever the locale.", option=None,
    )] = False  # fmt: skip
    notify: Annotated[NoticeBy, Spec(
        Kind.NOTICE, "What tells of an object that has become whole, besides a line in the dashboard: nothing"
        ' (none), the terminal\'s bell (bell), or the bell and a notice of the desktop by OSC 9 (osc9: iTerm2, WezTerm,'
        " kitty …) or OSC 777 (osc777: urxvt, foot, Ghostty …).", option=None,
    )] = "bell"  # fmt: skip
    keys: Annotated[Mapping[str, str], Spec(
        Kind.KEYS, 'The dashboard\'s keys that differ from its table: name = "key", or several, "ctrl+w, f5", or two'
        ' one after the other, "J s". `?` shows all names.', option=None,
    )] = msgspec.field(default_factory=dict)  # fmt: skip

    @property
    def policy(self) -> Policy:
        """The node's policy: the limits of what it gives to other nodes."""
        return Policy(**{name: getattr(self, name) for name in POLICY})

    @property
    def keep_rule(self) -> KeepRule:
        """What is kept of the series."""
        return parse_keep_rule(self.series_keep)

    def archive_folder(self, home: Home) -> Path | None:
        """Return the folder to which old entries are moved; None: they are deleted."""
        return home.path.absolute() / self.series_archive if self.series_archive else None

    @classmethod
    def load(cls, home: Home, **options: Any) -> "Settings":
        """Load the settings of a home. Raises SettingsError.

        The environment overrides the file (environment_settings.py), and each option that is not None overrides both.
        """
        settings = cls().merged(_read_toml(home.settings), str(home.settings))
        settings = settings.merged(found_in(os.environ, SETTINGS), "the environment (FLUX_TUI_…)")
        given = {name: value for name, value in options.items() if value is not None}
        return msgspec.structs.replace(settings, **parse_options(given))

    @classmethod
    def local(cls, **values: Any) -> "Settings":
        """Return settings for a node that only this machine can reach: for tests, and for programs on one machine.

        It listens on loopback, at any free port, and looks for nobody on the local network. `values`: further
        settings, by name, as settings.toml has them (`max_pending=10`, `upload_limit="2MB/s"`). Raises SettingsError.
        """
        return cls(listen=(LOOPBACK,), mdns=False, port_mapping=False, relay_for_peers=0).merged(
            values, "Settings.local"
        )

    def merged(self, values: Mapping[str, Any], source: str) -> "Settings":
        """Return a copy with these values, by setting name, parsed and replaced.

        Raises SettingsError for an unknown name or a wrong value. Its message names `source`, where the values come
        from, and the setting.
        """
        values = _without_tables(values)
        for name in values:
            if name not in SETTINGS:
                raise SettingsError(
                    f"{source}: {name!r} is not a setting{did_you_mean(name, SETTINGS)} (there are"
                    f" {', '.join(sorted(SETTINGS))})"
                )
        try:
            return msgspec.structs.replace(self, **_parsed(values, lambda setting: setting.name))
        except SettingsError as error:
            raise SettingsError(f"{source}: {error}") from None

    def listen_addrs(self, home: Home) -> tuple[str, ...]:
        """Return the addresses to listen at: the configured ones, otherwise all addresses of this machine.

        In the second case, the port is the one that this home's node used last; at the first start, any free
        port.
        """
        return self.listen or every_address(home.last_port() or 0)


def _without_tables(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a settings file with each table of a switch, and the table `series`, as single settings.

    `[bitswap]` with `enabled` and `peers` is `bitswap` and `bitswap_peers`; `[series]` with `keep` is
    `series_keep`.
    """
    found: dict[str, Any] = {}
    for name, value in values.items():
        setting = SETTINGS.get(name)
        if name == "series" and isinstance(value, Mapping):
            found |= {f"series_{key}": one for key, one in value.items()}
        elif setting is not None and setting.kind is Kind.SWITCH and isinstance(value, Mapping):
            found |= {name if key == "enabled" else f"{name}_{key}": one for key, one in value.items()}
        else:
            found[name] = value
    return found


def every_address(port: int) -> tuple[str, ...]:
    """Return the listen addresses (IPv4, IPv6) that stand for all addresses of this machine. `port` 0: any free one."""
    return f"/ip4/0.0.0.0/tcp/{port}", f"/ip6/::/tcp/{port}"


SETTINGS: Mapping[str, Setting] = table(Settings)
"""Every setting by name."""


def parse_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Parse values that came from the command line, and return them, by setting name.

    Raises SettingsError for a wrong value. Its message names the option.
    """
    return _parsed(values, lambda setting: setting.option or setting.name)


def parse_change(values: Mapping[str, Any]) -> PolicyChange:
    """Parse new limits that came from the command line, by setting name. Raises SettingsError for a wrong value.

    For a list of peers, the single item `none` stands for an empty list.
    """
    peers = {name: () for name, value in values.items() if value == ("none",)}
    return PolicyChange(**parse_options({**values, **peers}))


def _parsed(values: Mapping[str, Any], shown: Callable[[Setting], str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        try:
            found[name] = parse_value(SETTINGS[name].kind, value)
        except BadValueError as error:
            raise SettingsError(error.named(shown(SETTINGS[name]))) from None
    return found


def _read_toml(path: Path) -> dict[str, Any]:
    """Return the values in a settings file; none if there is no file. Raises SettingsError."""
    try:
        with open_to_read(path) as file:
            data = file.read()
    except (FileNotFoundError, NotADirectoryError):
        return {}  # locking the home will report a home that is not a folder
    except OSError as error:
        raise SettingsError(f"{path} cannot be read: {(error.strerror or '').lower()}") from None
    import tomllib  # takes 2 ms: only if there is a file

    try:
        return tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from None
