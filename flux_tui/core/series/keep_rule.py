"""The rule of the setting `series.keep`: how much of its series a node keeps."""

import re
from fractions import Fraction

import msgspec

_AGE = r"(?i)^\s*([0-9]{1,6})\s*(h|d|w|y|hours?|days?|weeks?|years?)\s*$"
_SIZE = r"(?i)^\s*([0-9]{0,12}\.?[0-9]{1,12})\s*([kmgt])(i?)b?\s*$"
_SECONDS = {"h": 3600, "d": 86_400, "w": 7 * 86_400, "y": 365 * 86_400}
_POWERS = {"k": 1, "m": 2, "g": 3, "t": 4}


class BadRuleError(ValueError):
    """A rule cannot be used. The message is one sentence for a person."""


class KeepRule(msgspec.Struct, frozen=True):
    """How much of a series is kept: all, the last `seconds`, or the last `size` bytes. The rest is pruned."""

    seconds: float | None = None
    size: int | None = None

    @property
    def all(self) -> bool:
        """Whether nothing is ever pruned."""
        return self.seconds is None and self.size is None


KEEP_ALL = KeepRule()


def parse_keep_rule(text: str) -> KeepRule:
    """Parse `all`, an age such as `30d`, or a size such as `10GiB`. Raises BadRuleError."""
    if text.strip().lower() == "all":
        return KEEP_ALL
    if (found := re.match(_AGE, text)) is not None and int(found[1]) > 0:
        return KeepRule(seconds=float(int(found[1]) * _SECONDS[found[2][0].lower()]))
    if (found := re.match(_SIZE, text)) is not None:
        base = 1024 if found[3] else 1000
        return KeepRule(size=int(Fraction(found[1]) * base ** _POWERS[found[2].lower()]))
    raise BadRuleError(f"{text!r} is not all, an age such as 30d, or a size such as 10GiB")
