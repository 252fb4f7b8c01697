"""The table of settings: one entry holds everything that is known about a setting. Pure.

A setting is an annotated field of `Policy` (what a node gives to others) or of `Settings` in config.py (all else):

    upload_limit: Annotated[int, Spec(Kind.RATE, "Bytes a second that leave this node.")] = 0

From this entry are made: the key of settings.toml with its parser, the option of the command line, the words of
`:limit`, the sentence about a policy, and the sample settings.
"""

from collections.abc import Mapping
from enum import Enum
from typing import Any, get_type_hints

import msgspec


class Kind(Enum):
    """The kind of value that a setting takes. Each member's text completes the error message "expected …"."""

    RATE = "a rate such as 2MB/s"
    SIZE = "a size such as 10GiB"
    COUNT = "a whole number from 0"
    NUMBER = "a whole number above 0"
    SWITCH = "true or false"
    PATH = "a path"
    NAME = "a name of at most 24 visible characters"
    THEME = "the name of a theme"
    NOTICE = 'one of "none", "bell", "osc9" and "osc777"'
    PEERS = "a list of peer ids"
    OBJECTS = "a list of CIDs, each alone or as CID=PEER-ID"
    ADDRS = "a list of multiaddrs"
    KEYS = "a table of text"
    KEEP = "all, an age such as 30d, or a size such as 10GiB"
    ENDPOINT = "a port, or an address such as 127.0.0.1:9464"
    HOSTS = "a list of host names"
    LEVEL = 'one of "debug", "info", "warning" and "error"'

    @property
    def least(self) -> int:
        """The smallest number that a setting of this kind accepts."""
        return 1 if self is Kind.NUMBER else 0

    @property
    def is_number(self) -> bool:
        """Whether a person types the value as digits alone."""
        return self in (Kind.COUNT, Kind.NUMBER)

    @property
    def is_list(self) -> bool:
        """Whether the option may be given several times on the command line."""
        return self in (Kind.PEERS, Kind.OBJECTS, Kind.ADDRS, Kind.HOSTS)


class Spec(msgspec.Struct, frozen=True):
    """The description of a setting for people: kind, meaning, and words. It annotates the setting's field."""

    kind: Kind
    meaning: str
    """The meaning of the setting, in whole sentences, for the sample settings and `--help`."""
    option: str | None = ""
    """The help of the setting's command-line option, if it is not `meaning`. None: the setting has no option."""
    live: bool = False
    """Whether a special command changes the setting while a node runs. (`limit` changes the policy.)"""
    words: str = ""
    """The words for this setting, with {} for the value, in about twelve characters: an entry is one line.
    Empty: by the name of the field."""
    one: str = ""
    """The words for the value 1, if they are not `words`."""
    none: str = ""
    """The words for zero or an empty list. Empty: the setting is left out."""


class Setting(msgspec.Struct, frozen=True):
    """One setting: its name, its default value, and its description (`Spec`)."""

    name: str
    """The name of the field, and the key in settings.toml."""
    default: Any
    spec: Spec

    @property
    def kind(self) -> Kind:
        """The kind of value that this setting takes."""
        return self.spec.kind

    @property
    def option(self) -> str | None:
        """The command-line option, such as `--upload-limit` (`--no-mdns` if the default is true); None: no option."""
        if self.spec.option is None:
            return None
        return f"--{'no-' if self.default is True else ''}{self.name.replace('_', '-')}"

    @property
    def option_help(self) -> str:
        """The text about the option in `--help`."""
        text = self.spec.option or self.spec.meaning
        return f"{text} Repeatable." if self.kind.is_list else text

    @property
    def words(self) -> str:
        """The words for this setting in a sentence about a policy, with {} in place of the value."""
        return self.spec.words or f"{self.name.replace('_', ' ')} {{}}"


def table(owner: type[msgspec.Struct]) -> Mapping[str, Setting]:
    """Return the settings that a struct defines, by field name. Raise TypeError if a field has no Spec."""
    found: dict[str, Setting] = {}
    hints = get_type_hints(owner, include_extras=True)
    for field in msgspec.structs.fields(owner):
        extras = getattr(hints[field.name], "__metadata__", ())
        spec = next((extra for extra in extras if isinstance(extra, Spec)), None)
        if spec is None:
            raise TypeError(f"{owner.__name__}.{field.name} has no Spec in its annotation")
        factory = field.default_factory
        default = factory() if callable(factory) else field.default
        found[field.name] = Setting(field.name, default, spec)
    return found
