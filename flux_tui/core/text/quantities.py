"""Writes numbers, sizes, durations and lists in words. Pure."""

from collections.abc import Sequence

from flux_tui.core.text.plain import Plain, plain

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
NAMED = 3
"""Items that a sentence names, of many of the same kind."""


def human_size(size: float) -> str:
    """Write a number of bytes in a readable unit, such as `1.5 GiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {UNITS[unit]}"


def human_seconds(seconds: float) -> str:
    """Write seconds for a countdown, such as `0.4 s`, `12 s`, `3:05`, `2:01:09`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def human_duration(seconds: float) -> str:
    """Write a long duration, given in seconds, such as `59:12`, `2:01:09`, `1,461 days`."""
    return f"{seconds / 86_400:,.0f} days" if seconds >= 2 * 86_400 else human_seconds(seconds)


def counted(number: int, what: str, many: str | None = None) -> str:
    """Write a number with the thing that it counts: `1 chunk`, `1,204 chunks`, `2 entries`.

    `many`: the plural, if it is not formed by the usual rule.
    """
    return f"{number:,} {what if number == 1 else many or what + 's'}"


def some(items: Sequence[str], total: int | None = None) -> Plain:
    """Write the first few items, and how many more there are: `a; b; c; and 1,204 more`.

    `total`: the number of all items, if `items` has only some of them.
    """
    named = [plain(item) for item in items[:NAMED]]
    rest = (len(items) if total is None else total) - len(named)
    return plain("; ".join([*named, f"and {rest:,} more"] if rest else named))
